"""Run folders that ecoml 0.1.0 wrote are read, reported, compared and gone on with.

`version_1/` holds three: `limited` (six trials of a training that reports its energy, of which two failed and three
reached a limit), `warm` (`bayes` with a target, started from it) and `interrupted` (metered, left by Ctrl-C).
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from rigs.scripts import why

import ecoml
from ecoml.endings import EndReason, FailureKind, StopReason
from ecoml.format import describe_search_end, describe_trial_end
from ecoml.report.page.page import write_report
from ecoml.run.result import Result

FOLDERS = Path(__file__).parent / "version_1"


@pytest.fixture
def old(tmp_path):
    def copy(name):
        return shutil.copytree(FOLDERS / name, tmp_path / name)

    return copy


def train(config):
    for step in range(4):
        yield ecoml.Measurement(0.5 + step / 10 + config["width"] / 1000, energy_j=float(config["width"]))


def test_why_its_trials_ended_is_an_enumeration_and_reads_as_it_did(old):
    result = Result.load(old("limited"))
    assert why(result).reason is StopReason.MAX_TRIALS
    assert describe_search_end(why(result), result.metric) == "6 trials were made"
    assert [why(trial).reason for trial in result.trials] == [
        EndReason.NEXT_STEP_TOO_MUCH,
        FailureKind.ERROR,
        FailureKind.DIVERGED,
        EndReason.NEXT_STEP_TOO_MUCH,
        EndReason.NEXT_STEP_TOO_MUCH,
        EndReason.FINISHED,
    ]
    assert describe_trial_end(why(result.trials[1]), result.metric) == "RuntimeError: no such layer"
    assert "it took 58.0 J (reported)" in describe_trial_end(why(result.trials[0]), result.metric)
    assert (result.metric.name, result.limits.max_trials, result.limits.max_energy_per_training_j) == (
        "validation accuracy",
        6,
        100.0,
    )


def test_its_joules_are_all_there(old):
    limited, warm, interrupted = (Result.load(old(name)) for name in ("limited", "warm", "interrupted"))
    assert (limited.energy.total_j, warm.energy.total_j) == (310.0, 419.0)
    assert [trial.energy_j for trial in limited.trials] == [58, 15, 39, 76, 82, 40]
    assert interrupted.energy.total_j == pytest.approx(0.1304171635006639)
    assert why(interrupted).reason is StopReason.INTERRUPTED
    assert not interrupted.complete
    assert [result.recommended and result.recommended.number for result in (limited, warm)] == [5, 12]
    assert warm.frugal is not None
    assert warm.frugal.number == 10


def test_it_is_reported_and_compared(old):
    from ecoml.experiments.compare import gather

    folders = [old("limited"), old("warm")]
    for folder in folders:
        assert "validation accuracy" in write_report(folder, figures=False).read_text()
    assert {search.strategy for problem in gather(folders).problems for search in problem.searches} == {
        "random",
        "bayes",
    }


def test_it_is_gone_on_with(old):
    folder = old("warm")
    result = ecoml.Searcher.resume(folder, train, budget_j=700).run()
    assert 419 < result.energy.total_j <= 700 + result.energy.overshoot_bound_j
    assert result.limits.target == 0.9
    assert result.progress[: len(Result.load(FOLDERS / "warm").progress)] == Result.load(FOLDERS / "warm").progress
