"""When a search ends, what comes of it, and going on with it."""

from __future__ import annotations

import numpy as np
import pytest
from rigs.meter import FakeMeter
from rigs.scripts import CONFIG, Script, curve, why

import ecoml
from ecoml.endings import FailureKind, StopReason, TrialEnd
from ecoml.energy import Provenance
from ecoml.errors import BudgetError, MeterError, RunFolderError, RunLockedError, UsageError
from ecoml.run.result import Result
from ecoml.strategies import End, Start


def test_it_ends_at_the_target(space, reported):
    result = ecoml.Searcher(space, curve([0.5, 0.8, 0.95, 0.99]), budget_j=1e4, target=0.9, **reported).run()
    assert len(result.progress) == 3
    assert why(result).reason is StopReason.TARGET_REACHED


def test_the_front_holds_the_points_that_none_beats(space, reported):
    def train(config):
        if config["width"] == 8:
            yield ecoml.Measurement(0.80, energy_j=5)
            yield ecoml.Measurement(0.95, energy_j=5)
            yield ecoml.Measurement(0.94, energy_j=5)  # dearer and worse than the step before
        else:
            yield ecoml.Measurement(0.70, energy_j=6)
            yield ecoml.Measurement(0.955, energy_j=34)

    reported["strategy"] = Script([ecoml.Start({**CONFIG, "width": width}) for width in (8, 32)])
    result = ecoml.Searcher(space, train, budget_j=1e4, **reported).run()
    front = [(trial.number, trial.step, trial.score, trial.energy_j) for trial in result.front]
    assert front == [(0, 1, 0.80, 5), (0, 2, 0.95, 10), (1, 2, 0.955, 40)]
    assert result.recommended is not None
    assert result.frugal is not None
    assert [(found.number, found.step) for found in (result.recommended, result.frugal)] == [(1, 2), (0, 2)]


def test_the_result_is_what_the_folder_says(space, reported, run_folder):
    result = ecoml.Searcher(space, curve([0.5, 0.6, 0.7]), budget_j=100, **reported).run()
    again = Result.load(run_folder)
    assert again == result
    assert again.settings["run"]["seed"] == 0


def test_searchers_do_not_share_a_folder(space, quick, run_folder):
    first = ecoml.Searcher(space, None, budget_j=10, **quick)
    first.ask()
    with pytest.raises(RunLockedError, match="this very process"):
        ecoml.Searcher.resume(run_folder)
    first.close()
    with pytest.raises(RunFolderError, match="already there"):
        ecoml.Searcher(space, None, budget_j=10, **quick)


def test_a_spent_budget_wants_a_larger_one(space, reported, run_folder):
    ecoml.Searcher(space, curve([0.5]), budget_j=95, **{**reported, "seed": 3}).run()
    with pytest.raises(BudgetError, match="larger"):
        ecoml.Searcher.resume(run_folder, curve([0.5]), budget_j=80)
    result = ecoml.Searcher.resume(run_folder, curve([0.5]), budget_j=200).run()
    assert result.energy.total_j == 200
    whole = ecoml.Searcher(space, curve([0.5]), budget_j=200, strategy="random", seed=3, energy="reported",
                           directory=run_folder.parent / "whole").run()  # fmt: skip
    assert [t.config for t in result.trials] == [t.config for t in whole.trials]


def test_resuming_keeps_a_strategy_file(space, reported, run_folder, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('strategy = "grid"\n[settings]\nlevels = 2\norder = "sequential"\n')
    ecoml.Searcher(space, curve([0.5]), budget_j=30, **{**reported, "strategy": file}).run()
    file.unlink()
    result = ecoml.Searcher.resume(run_folder, curve([0.5]), budget_j=1000).run()
    assert len(result.trials) == len({tuple(t.config.values()) for t in result.trials}) == 8


@pytest.mark.parametrize(
    ("limits", "why"),
    [({"max_trials": 2}, "2 trials were made"), ({"target": 0.4}, "the target was reached")],
    ids=["trials", "target"],
)
def test_a_complete_search_is_not_prepared_again(space, reported, run_folder, limits, why):
    ecoml.Searcher(space, curve([0.5]), budget_j=1000, **limits, **reported).run()
    before = (run_folder / "ledger.sqlite").read_bytes()
    with pytest.raises(UsageError, match=f"complete: {why}.* a new search with warm_start={run_folder} learns from it"):
        ecoml.Searcher.resume(run_folder, curve([0.5]))
    assert (run_folder / "ledger.sqlite").read_bytes() == before
    again = ecoml.Searcher.resume(run_folder, curve([0.5]), budget_j=2000).run()  # what it left untested is made up for
    assert again.ended == ecoml.Result.load(run_folder).ended


def test_an_early_end_is_undone_by_spend_all_alone(space, run_folder):
    class Early:
        """Ends like `bayes`, unless all is to be spent."""

        told = -1

        def pursue(self, goal):
            self.goal = goal

        def tell(self, trial):
            self.told = trial.number

        def ask(self):
            if self.told >= 1 and not self.goal.limits.spend_all:
                return End(StopReason.NOT_WORTH_IT, {"spent_j": 20.0, "promise": 0.0, "worth": 0.1})
            return Start(space.sample(np.random.default_rng(self.told + 1)))

    given = {"strategy": Early(), "directory": run_folder, "energy": "reported", "seed": 3}
    ecoml.Searcher(space, curve([0.5]), budget_j=60, **given).run()
    with pytest.raises(UsageError, match=r"complete: more energy is not worth it.* spend_all=True continues it"):
        ecoml.Searcher.resume(run_folder, curve([0.5]), strategy=Early())
    result = ecoml.Searcher.resume(run_folder, curve([0.5]), budget_j=100, strategy=Early(), spend_all=True).run()
    assert result.energy.total_j == 100


def test_resuming_metered_joules_goes_on_from_the_sum(space, quick, run_folder):
    def train(config):
        meter.spend(10)
        yield 0.5

    meter = FakeMeter()
    ecoml.Searcher(space, train, budget_j=35, meter=meter, **quick).run()
    meter = FakeMeter()  # a meter counts from its opening
    result = ecoml.Searcher.resume(run_folder, train, budget_j=65, meter=meter).run()
    assert result.energy.total_j == 60
    assert [p.point.spent_j for p in result.progress] == [10, 20, 30, 40, 50, 60]


def test_measured_and_estimated_joules_are_not_mixed_in_one_run(space, quick, run_folder):
    def train(config):
        meter.spend(10)
        yield 0.5

    meter = FakeMeter(Provenance.MEASURED)
    ecoml.Searcher(space, train, budget_j=35, meter=meter, **quick).run()
    meter = FakeMeter(Provenance.ESTIMATED)
    with pytest.raises(MeterError, match="was measured so far and would be estimated here"):
        ecoml.Searcher.resume(run_folder, train, budget_j=65, meter=meter).run()
    assert Result.load(run_folder).energy.total_j == 30


def test_a_model_that_cannot_be_tested_is_named_and_loses_nothing(space, quick, meter):
    class Untestable:
        test_cost = 0.5

        def prepare(self, space):
            pass

        def describe(self):
            return {"kind": "untestable"}

        def start(self, trial, account):
            def run():
                meter.spend(5)
                yield ecoml.Measurement(0.5)

            return run()

        def save(self, run, trial, path):
            path.write_bytes(b"weights")

        def test(self, path):
            raise MemoryError("no room for the test set")

    result = ecoml.Searcher(space, Untestable(), budget_j=100, max_trials=1, meter=meter, **quick).run()
    assert result.recommended is not None
    assert result.recommended.test_score is None
    assert "no room for the test set" in result.energy.gaps[0]


@pytest.mark.parametrize("kind", [ChildProcessError, TimeoutError])
def test_a_network_that_is_lost_before_it_is_saved_fails_its_trial_and_not_the_search(space, quick, meter, kind):
    class Mortal:
        test_cost = 1.0

        def prepare(self, space):
            pass

        def describe(self):
            return {"kind": "mortal"}

        def start(self, trial, account):
            def run():
                meter.spend(5)
                yield ecoml.Measurement(0.5 + trial.number / 10)

            return run()

        def save(self, run, trial, path):
            if trial.number == 1:
                raise kind("the worker was ended")
            path.write_bytes(b"weights")

        def test(self, path):
            return 0.5

    result = ecoml.Searcher(space, Mortal(), budget_j=100, max_trials=3, meter=meter, **quick).run()
    assert [trial.state.value for trial in result.trials] == ["finished", "failed", "finished"]
    assert result.trials[1].end == TrialEnd(
        FailureKind.WORKER_LOST, {"message": f"{kind.__name__}: the worker was ended"}
    )
    assert result.trials[1].energy_j == 5
