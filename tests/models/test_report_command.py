"""`ecoml report` with limits: page, card, receipt and the command that it names are about one network."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from ecoml.models.load import model_file
from ecoml.run.result import Result


@pytest.fixture
def copy(run, tmp_path):
    """A copy of the run in which the recommended network takes nine seconds an image."""
    folder = shutil.copytree(run.directory, tmp_path / "copy")
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as connection, connection:
        connection.execute("UPDATE inference SET latency_s = 9 WHERE trial = ?", (run.recommended.number,))
    return folder


def test_a_limit_chooses_the_network_of_page_card_receipt_and_command(copy, run, told):
    best: Any = run.recommended
    other: Any = Result.load(copy, max_latency_s=1.0).recommended
    assert other.number != best.number
    arguments = ("report", copy, "--no-figures", "--receipt")
    for limit, chosen in ((("--max-latency", "1000"), other), ((), best)):
        said = told(*arguments, *limit).splitlines()
        assert said[:2] == [str(copy / "report.html"), str(copy / "card.md")]
        file = model_file(copy, chosen).name
        assert f"| file | `{file}` |" in (copy / "card.md").read_text()
        assert f"Trial {chosen.number} after" in (copy / "report.html").read_text()
        assert f"reaches {100 * chosen.score:.2f} %" in (copy / "receipt.txt").read_text()
        command = f"  or use it: ecoml predict {copy} --trial {chosen.number} --step {chosen.step} IMAGE…"
        assert (command in said) == bool(limit), "without a limit nothing is chosen anew"
