"""The command line. Each command imports what it needs when it runs, so that `--help` answers at once.

Exit codes: 0 done, 1 a search that failed, 2 a user's mistake (one line on standard error), 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from inspect import signature
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from ecoml.cli import budgeting, comparing, looking, metering, searching, studies, using
from ecoml.cli.options import in_flags, say
from ecoml.errors import EcomlError, UsageError

_STANDARD_ERROR = 2


class _Interruptible(TyperGroup):
    """Says that a command was interrupted, if the command itself does not: the parser would end without a word."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            say("interrupted")
            raise typer.Exit(130) from None


app = typer.Typer(
    cls=_Interruptible,
    help="Find the best small network that an energy budget buys.",
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def _ecoml(
    context: typer.Context, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False
) -> None:
    if version:
        from importlib.metadata import version as version_of

        print(f"ecoml {version_of('ecoml')}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


for command in (
    searching.search,
    searching.resume,
    comparing.compare,
    using.predict,
    using.export,
    looking.report,
    looking.watch,
    metering.meters,
    looking.spaces,
    looking.strategies,
    looking.data,
    studies.effects,
    studies.profile,
):
    app.command()(command)
app.command(context_settings={"allow_interspersed_args": False})(budgeting.budget)
app.add_typer(studies.paper, name="paper")


def _mend_streams() -> None:
    """Whatever the terminal: a closed stream shows nothing, and a character that standard output lacks is replaced."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= _STANDARD_ERROR:
        pass  # else a file of the search would take the number, and be written to
    os.close(number)
    nowhere = Path(os.devnull)
    sys.stdout = sys.stdout or nowhere.open("w", encoding="utf-8")
    sys.stderr = sys.stderr or nowhere.open("w", encoding="utf-8")
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape" if sys.stdout.encoding == "utf-8" else "replace")


def main() -> NoReturn:
    """Run the command line; a user's mistake is one line without a traceback."""
    _mend_streams()
    try:
        code = app(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except EcomlError as error:
        say(in_flags(str(error), signature(searching.search).parameters))
        sys.exit(2 if isinstance(error, UsageError) else 1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        # The parser's own errors know how to say themselves; which class they have depends on typer's version.
        message = getattr(error, "format_message", None)
        if message is None:
            raise
        say(f"{' '.join(message().split())} (see ecoml --help)")
        sys.exit(2)
