"""`ecoml report` with limits: page, card, receipt and the command that it names are about one network."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest

import ecoml
from ecoml.models.load import model_file
from ecoml.run.result import Result


@pytest.fixture
def search(photos, tmp_path):
    """A search over a small network, which is by far the cheapest, and a large one, which is by far the best."""
    space = ecoml.Space({"width": ecoml.Choice([2, 96]), "depth": 2, "epochs": 6, "batch_size": 32})
    training: dict[str, Any] = {"strategy": "grid", "directory": tmp_path / "run", "progress": False}
    return ecoml.search(space, ecoml.CnnTraining(photos, threads=1), budget_j=1e4, **training)


@pytest.fixture
def slow_best(search):
    """Its run folder, in which the recommended network takes nine seconds an image, and the other a millisecond."""
    best: Any = search.recommended
    other = next(one for one in search.front if one.number != best.number)
    with closing(sqlite3.connect(search.directory / "ledger.sqlite")) as connection, connection:
        for latency_s, one in ((9.0, best), (0.001, other)):
            place = (one.number, one.step)
            connection.execute("INSERT OR REPLACE INTO model VALUES (?, ?, 100, 1000, 1e6)", place)
            connection.execute("DELETE FROM inference WHERE trial = ?", place[:1])
            connection.execute(
                "INSERT INTO inference SELECT ?, ?, 1, 10, ?, energy_j, uncertainty_j, provenance, edge_j"
                " FROM measurement LIMIT 1",
                (*place, latency_s),
            )
    return search.directory


def test_a_limit_chooses_the_network_of_page_card_receipt_and_command(slow_best, search, told):
    best: Any = search.recommended
    other: Any = Result.load(slow_best, max_latency_s=1.0).recommended
    assert other.number != best.number
    arguments = ("report", slow_best, "--no-figures", "--receipt")
    for limit, chosen in ((("--max-latency", "1000"), other), ((), best)):
        said = told(*arguments, *limit).splitlines()
        assert said[:2] == [str(slow_best / "report.html"), str(slow_best / "card.md")]
        file = model_file(slow_best, chosen).name
        assert f"| file | `{file}` |" in (slow_best / "card.md").read_text()
        assert f"Trial {chosen.number} after {chosen.step} epoch" in (slow_best / "report.html").read_text()
        assert f"reaches {100 * chosen.score:.2f} %" in (slow_best / "receipt.txt").read_text()
        command = f"  or use it: ecoml predict {slow_best} --trial {chosen.number} --step {chosen.step} IMAGE…"
        assert (command in said) == bool(limit), "without a limit nothing is chosen anew"
