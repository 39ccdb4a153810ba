"""The command `budget`, which runs any command under a hard energy budget."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from ecoml.cli.options import Json, say
from ecoml.errors import UsageError


def budget(
    command: Annotated[
        list[str], typer.Argument(metavar="-- COMMAND…", help="The command to run, with its own options.")
    ],
    kwh: Annotated[float | None, typer.Option(metavar="KWH", help="The budget in kWh.")] = None,
    joules: Annotated[float | None, typer.Option("--joules", "-j", metavar="J", help="The same in joules.")] = None,
    grace: Annotated[
        float, typer.Option(min=0, metavar="S", help="Seconds between SIGTERM and SIGKILL when the budget is spent.")
    ] = 10.0,
    require_measured: Annotated[
        bool, typer.Option("--require-measured", help="Refuse to run if energy can only be estimated.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run any command under a hard energy budget, which covers all processes that it starts.

    When the budget is spent, the command is asked to end (SIGTERM), and killed after a grace period. Exit codes: the
    command's own, 128 + n if signal n ended it; 124 at the budget; 126 or 127 if it cannot be started; 2 for a mistake
    in the options.
    """
    from ecoml.budget.command import CommandError, run_command
    from ecoml.limits import budget_in_joules
    from ecoml.report.terminal.budget import print_account

    if (kwh is None) == (joules is None):
        raise UsageError("how much energy may it take? Give --kwh 0.1, or --joules 360000, once")
    try:
        account = run_command(
            command,
            budget_in_joules(kwh, joules, names=("--kwh", "--joules")),
            grace_s=grace,
            to_stderr=as_json,
            require_measured=require_measured,
            say=say,
        )
    except CommandError as error:
        say(str(error))
        raise typer.Exit(error.exit_code) from None
    if as_json:
        print(json.dumps(account.to_dict(), indent=2))
    else:
        print_account(account)
    raise typer.Exit(account.exit_code)
