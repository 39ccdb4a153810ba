"""Limits on what a network may take to use: tried with the first measurement, foreseen where that is possible."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rigs.meter import FakeMeter

import ecoml
from ecoml.endings import EndReason, StopReason
from ecoml.energy import Energy
from ecoml.errors import UsageError
from ecoml.format import describe_ending, describe_trial_end
from ecoml.report.page.page import headline, page
from ecoml.report.terminal.summary import print_result
from ecoml.run.result import Result
from ecoml.training.base import Work
from ecoml.training.images.network.floor import Floor
from ecoml.trial import Inference, Measurement, Usage

SPACE = ecoml.Space({"width": ecoml.Choice([1, 2, 3, 4, 5, 6, 7, 8])})


class Networks:
    """Networks that score the better the wider they are; an image takes width · 1 ms and width · 0.1 J."""

    test_cost = 0.0

    def __init__(self, meter: FakeMeter, *, foresees: bool = False) -> None:
        self.meter, self.width = meter, 0
        self.tried: list[int] = []
        if foresees:
            self.work = lambda config: Work("plain", (config["width"],), 1e-4 * config["width"], 0.0)

    def prepare(self, space):
        pass

    def describe(self):
        return {"kind": "networks"}

    def start(self, trial, account):
        def steps():
            for step in range(1, 4):
                self.meter.spend(10)
                self.width = trial.config["width"]
                yield Measurement(trial.config["width"] / 10 + step / 100)

        return steps()

    def save(self, run, trial, path):
        path.parent.mkdir(exist_ok=True)
        path.write_text(str(trial.config["width"]))

    def test(self, path):
        return 0.5

    def use(self, path, seconds, window):
        width = int(path.read_text())
        self.tried.append(width)
        with window() as opened:
            self.meter.spend(width)
        energy = Energy(opened.energy_j, 0.0, opened.provenance)
        return Usage(width, 1, 1, {1: Inference(1, 10, width / 1e3, energy.times(1 / 10))})


@pytest.fixture
def search(tmp_path):
    def run(*, foresees=False, **given: Any) -> tuple[Result, Networks]:
        executor = Networks(meter := FakeMeter(spends_w=12.0), foresees=foresees)
        options = {"budget_j": 1e4, "strategy": "grid", "directory": tmp_path / "r", **given}
        return ecoml.Searcher(SPACE, executor, meter=meter, **options).run(), executor

    return run


@pytest.mark.parametrize("limit", [{"max_latency_s": 0.003}, {"max_inference_energy_j": 0.3}])
def test_no_network_that_is_too_dear_to_use_is_on_the_front(search, limit):
    result, executor = search(**limit)
    assert sorted(executor.tried) == list(range(1, 9)), "each network once, with its first measurement"
    assert {trial.config["width"] for trial in result.front} <= {1, 2, 3}
    assert result.recommended.config["width"] == 3
    assert result.recommended.step == 3
    for trial in result.trials:
        dear = trial.config["width"] > 3
        assert trial.step == (1 if dear else 3), "no joule more is put into one that may not be used"
        assert (trial.end.reason is EndReason.TOO_DEAR_TO_USE) == dear
    kept = {int(path.read_text()) for path in (result.directory / "models").iterdir()}
    assert kept <= {1, 2, 3}
    assert Result.load(result.directory) == result
    assert sum(part.energy_j for part in result.energy.by_purpose.values()) == pytest.approx(executor.meter.spent_j)


def test_it_says_why(search, capsys):
    result, _ = search(max_latency_s=0.003, max_inference_energy_j=9.0)
    dear = next(trial for trial in result.trials if trial.config["width"] == 5)
    told = describe_trial_end(dear.end, result.metric)
    assert told == "a prediction takes 5 ms and 0.50 J (measured), more than the allowed 3 ms and 9.00 J"
    assert describe_ending(dear, result.metric) == "stopped: a prediction takes more than allowed"
    print_result(result)
    assert "Limits: at most 3 ms per prediction and 9.00 J per prediction" in capsys.readouterr().out
    assert json.loads(json.dumps(result.to_dict()))["limits"] == {"max_latency_s": 0.003, "max_inference_energy_j": 9.0}


def test_where_no_network_is_cheap_enough_the_nearest_is_named(search, capsys):
    result, _ = search(max_latency_s=0.0005)
    assert (result.front, result.recommended) == ((), None)
    says = "No network takes at most 0.5 ms per prediction: the nearest, trial 1, takes 1 ms and 0.10 J (measured)"
    print_result(result)
    assert says in capsys.readouterr().out
    assert headline(result).startswith(says)
    assert "the nearest, trial 1" in page(result)
    assert result.to_dict()["nearest_in_use"]["config"] == {"width": 1}


def test_what_does_no_less_than_a_network_that_is_too_dear_is_not_trained(search):
    result, executor = search(foresees=True, max_latency_s=0.003, strategy="random", seed=1)
    tried = executor.tried
    assert result.recommended.config["width"] == 3
    dear = [width for width in tried if width > 3]
    assert dear == sorted(dear, reverse=True), "each is smaller than those before it"
    assert len(set(dear)) == len(dear)


def test_what_arithmetic_forbids_is_not_trained(search):
    result, executor = search(foresees=True, max_latency_s=0.00035, strategy="grid")
    assert max(executor.tried) <= 3, "a width of 4 has 0.4 ms of arithmetic"
    assert result.ended.reason in (StopReason.STRATEGY, StopReason.NOTHING_FEASIBLE)


def test_a_resumed_search_knows_what_was_tried(search, tmp_path):
    first, _ = search(max_latency_s=0.003, max_trials=8, budget_j=100)
    executor = Networks(meter := FakeMeter(spends_w=12.0))
    result = ecoml.Searcher.resume(first.directory, executor, budget_j=1e4, meter=meter).run()
    assert not set(executor.tried) & {trial.config["width"] for trial in first.trials if trial.curve}
    assert result.recommended is not None
    assert result.recommended.config["width"] == 3


def test_a_finished_run_is_looked_at_by_other_limits(search):
    whole, _ = search(max_latency_s=0.008)
    assert whole.recommended.config["width"] == 8
    chosen = whole.choices[0].config["width"]
    result = Result.load(whole.directory, max_latency_s=chosen / 1e3)
    assert result.front
    kept = {(trial.number, trial.step) for trial in whole.choices}
    assert {(trial.number, trial.step) for trial in result.choices} <= kept, "only of those is there a model"
    assert {trial.config["width"] for trial in result.choices} == {chosen}
    assert Result.load(whole.directory, max_latency_s=None) == whole
    nearest = Result.load(whole.directory, max_inference_energy_j=1e-3).nearest_in_use
    assert nearest is not None
    assert nearest.config == {"width": 1}


def test_limits_that_cannot_be_held(tmp_path):
    given: dict[str, Any] = {"budget_j": 10, "directory": tmp_path / "r"}
    with pytest.raises(UsageError, match="need a training whose predictions can be measured"):
        ecoml.Searcher(SPACE, lambda config: 0.5, max_latency_s=0.1, **given)
    with pytest.raises(UsageError, match="max_latency_s is -1 s; give a positive number"):
        ecoml.Searcher(SPACE, ecoml.CnnTraining(), max_latency_s=-1, **given)
    with pytest.raises(UsageError, match="name one device, or leave them out and choose when the search has ended"):
        ecoml.Searcher(SPACE, ecoml.CnnTraining(device="cuda:0,cuda:1"), max_inference_energy_j=1, **given)
    with pytest.raises(UsageError, match=r"leave out either workers=.* choose when the search has ended"):
        ecoml.Searcher(SPACE, ecoml.CnnTraining(), max_latency_s=1, workers="local:2", **given)


def test_work_of_networks():
    floor = Floor((1, 28, 28), 10, 1000, 200, 1e-10)
    small, wide, other = (
        floor.work(config, 1e11) for config in ({"width": 8}, {"width": 16}, {"width": 16, "block": "separable"})
    )
    assert wide.no_less_than(small)
    assert not small.no_less_than(wide)
    assert not other.no_less_than(small)
    assert small.least_s == 0.25 * floor.flops({"width": 8, "epochs": 1, "start_resolution": 1.0}, 1) / 3200 / 1e11
    assert small.least_j == pytest.approx(small.least_s * 1e11 * 1e-10)
