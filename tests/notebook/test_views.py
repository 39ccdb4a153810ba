"""What a notebook shows of what a search found: short words, escaped HTML, tables, charts."""

from __future__ import annotations

import json
import logging
import re

import pytest

import ecoml
from ecoml.notebook.html import MOST_ROWS, html
from ecoml.report.page.sections.importance import importance_context
from ecoml.run.rows import point_rows, trial_rows


def train(config):
    for step in range(1, 4):
        yield ecoml.Measurement(0.5 + 0.1 * step + config["width"] / 1000, energy_j=config["width"] * step)


@pytest.fixture
def result(space, reported) -> ecoml.Result:
    return ecoml.Searcher(space, train, budget_j=20_000, max_trials=24, **reported).run()


def test_words_are_short(result, space):
    best = result.recommended
    assert best is not None
    for value in (result, best, result.energy, space):
        assert len(repr(value)) < 320
        assert "\n" not in repr(value)
    assert f"recommended=trial {best.number} step 3, validation accuracy={best.score:.4g}" in repr(result)
    assert repr(result.energy).startswith("<EnergyAccount: reported, total_j=3984, ")
    assert repr(space) == "<Space: learning_rate, width, activation>"


def test_spaces_are_compared_by_what_they_hold(space):
    same = ecoml.Space(space.parameters)
    assert same == space
    assert hash(same) == hash(space)
    assert ecoml.Space({**space.parameters, "width": ecoml.Int(8, 32)}) != space


def test_html_holds_the_figures(result, space):
    best = result.recommended
    shown = result._repr_html_()
    assert f"Recommended: trial {best.number} after 3 steps" in shown
    assert shown.count("<tr>") == min(len(result.front), MOST_ROWS) + 1
    assert "◆" in shown
    assert shown.count("reported") > len(result.front[-MOST_ROWS:])
    assert "finished" in best._repr_html_()
    for purpose in ("training", "evaluation", "optimiser", "overhead", "total"):
        assert purpose in result.energy._repr_html_()
    assert "8 … 64 (log)" in space._repr_html_()
    assert "relu | gelu" in space._repr_html_()


def test_html_is_escaped():
    nasty = "<script>alert(1)</script>"
    space = ecoml.Space({nasty: ecoml.Choice([nasty, "b"])}, description=nasty)
    trial = ecoml.Trial(0, {nasty: nasty})
    for shown in (space._repr_html_(), trial._repr_html_()):
        assert "<script>" not in shown
        assert "&lt;script&gt;" in shown
    with pytest.raises(TypeError):
        html("anything")


def test_rows_of_trials_and_of_points(result):
    rows = list(trial_rows(result.trials, result.front, result.recommended))
    assert [row["trial"] for row in rows] == list(range(24))
    first, trial = rows[0], result.trials[0]
    assert first["energy_j"] == trial.energy_j == pytest.approx(6 * trial.config["width"])
    assert (first["score"], first["provenance"], first["end"]) == (trial.score, "reported", "finished")
    assert first["config.activation"] == trial.config["activation"]
    assert [row["trial"] for row in rows if row["recommended"]] == [result.recommended.number]
    assert {row["trial"] for row in rows if row["on_front"]} == {trial.number for trial in result.front}
    points = list(point_rows(result.trials, result.front, result.progress))
    assert len(points) == 72
    assert points[-1]["spent_j"] == pytest.approx(result.energy.total_j)
    assert {(row["trial"], row["step"]) for row in points if row["on_front"]} == {
        (t.number, t.step) for t in result.front
    }


def test_a_data_frame(result):
    pandas = pytest.importorskip("pandas")
    frame = result.to_dataframe()
    assert isinstance(frame, pandas.DataFrame)
    assert frame.shape[0] == 24
    assert frame["energy_j"].sum() == pytest.approx(result.energy.total_j)
    assert result.to_dataframe(points=True).shape[0] == 72


def test_a_data_frame_without_pandas(result, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(ecoml.UsageError, match="pip install pandas"):
        result.to_dataframe()


@pytest.mark.parametrize("what", ["front", "curves", "energy", "importance"])
def test_charts(result, what):
    spec = result.plot(what).to_dict()
    drawn = json.dumps(spec)
    assert spec["layer"]
    words = {"front": "reported", "curves": "Validation accuracy", "energy": "training", "importance": "width"}
    assert words[what] in drawn


def test_a_metric_called_energy_is_told_from_the_energy_of_training(space, reported):
    def measured(config):
        energy = config["width"] if config["activation"] == "relu" else 2 * config["width"]
        yield ecoml.Measurement(energy, energy_j=config["width"])

    metric = ecoml.Metric("energy", minimize=True)
    result = ecoml.Searcher(space, measured, budget_j=2_000, max_trials=40, metric=metric, **reported).run()
    spec = result.plot("importance").to_dict()
    assert {row["for"] for data in spec["datasets"].values() for row in data} == {"energy", "energy of training"}
    section = importance_context(result)
    assert section is not None
    assert section["table"].header == ["Parameter", "For the energy", "For the energy of training"]


def test_charts_that_cannot_be_drawn(result, space, reported, tmp_path):
    with pytest.raises(ecoml.UsageError, match="did you mean 'front'"):
        result.plot("frnt")
    few = ecoml.Searcher(space, train, budget_j=1e4, max_trials=3, **{**reported, "directory": tmp_path / "few"}).run()
    with pytest.raises(ecoml.UsageError, match="is not known: 3 measured trials are too few"):
        few.plot("importance")


def test_search_says_at_the_end_what_came_of_it(space, reported, caplog, run_folder):
    with caplog.at_level(logging.INFO, "ecoml"):
        result = ecoml.search(space, train, budget_j=2_000, **reported)
    told = [record.getMessage() for record in caplog.records][-3:]
    assert result.recommended is not None
    assert told[0].startswith(f"recommended: trial {result.recommended.number} after")
    assert re.match(r"spent .* k?J \(reported\) of 2\.00 kJ, \d+ %; the energy budget is spent", told[1])
    assert str(run_folder) in told[2]
    caplog.clear()
    ecoml.search(space, train, budget_j=2_000, progress=False, **{**reported, "directory": run_folder.with_name("two")})
    assert not caplog.records
