"""Page of the site made from the code: every command of `ecoml` with its arguments and options."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

PAGE = "reference/command-line.md"
INTRODUCTION = """# The command line

Made from the code. Exit codes: 0 done, 1 a search that failed, 2 a mistake in what was given (one line on standard
error), 130 interrupted. `ecoml budget` has [codes of its own](../guides/any-program.md#a-command).
"""


def on_files(files: Any, config: Any) -> Any:
    """Called by MkDocs: adds the page."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, PAGE, content=page()))
    return files


def page() -> str:
    """The page as Markdown."""
    from ecoml.cli import app

    return "\n".join([INTRODUCTION, *_commands("ecoml", typer.main.get_command(app))])


def _commands(name: str, command: Any) -> Iterator[str]:
    """The part of a command, or those of the commands that stand below it."""
    for word, inner in getattr(command, "commands", {}).items():
        yield from _commands(f"{name} {word}", inner)
    if not hasattr(command, "commands"):
        context = typer.Context(command)
        yield f"## {name}\n\n{command.help}\n\n```\n{name} {' '.join(command.collect_usage_pieces(context))}\n```\n"
        for parameter in command.params:
            if record := parameter.get_help_record(context):
                shown, told = (" ".join(text.split()) for text in record)
                yield f"- `{shown}`: {told.replace('[', chr(92) + '[')}" if told else f"- `{shown}`"
        yield ""
