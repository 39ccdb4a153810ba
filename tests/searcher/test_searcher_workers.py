"""Several GPUs, a trial on each: whose the joules are, what is reserved, and how it ends."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing, nullcontext

import pytest
from rigs.scripts import purposes, why
from rigs.workers import CPU_W, GPU_W, Alone, OnAll, Rig

import ecoml
from ecoml.endings import EndReason, SearchEnd, StopReason
from ecoml.errors import MeterError
from ecoml.trial import TrialState

SPACE = ecoml.Space({"width": ecoml.Int(8, 64), "x": ecoml.Float(0.0, 1.0)})


@pytest.fixture
def rig(tmp_path, monkeypatch):
    rig = Rig(tmp_path / "host", monkeypatch)
    with rig.meter:
        yield rig


def search(rig, folder, *, strategy="random", **options):
    executor = options.pop("executor", None) or OnAll(rig)
    options = {"budget_j": 1e7, "seed": 1, "meter": rig.meter, **options}
    return ecoml.Searcher(SPACE, executor, strategy=strategy, directory=folder, **options)


def sums(folder):
    """Joules by what they were spent on, and those the meter saw, as they are on disk."""
    with closing(sqlite3.connect(f"{(folder / 'ledger.sqlite').resolve().as_uri()}?mode=ro", uri=True)) as ledger:
        spent = "SELECT TOTAL(energy_j) FROM (SELECT energy_j FROM entry UNION ALL SELECT energy_j FROM in_flight)"
        return (
            ledger.execute(spent).fetchone()[0],
            ledger.execute("SELECT TOTAL(energy_j) FROM host").fetchone()[0],
        )


def watching(look):
    """To show a search by: call `look(search)` after every change of a trial."""

    def show(opened):
        opened.listeners.append(lambda trial: look(opened))
        return nullcontext()

    return show


def test_each_trial_has_its_own_gpus_joules_and_a_share_of_the_rest(rig, run_folder):
    result = search(rig, run_folder, max_trials=2).run()
    first, second = result.trials
    assert {first.state, second.state} == {TrialState.FINISHED}
    lasted_s = sorted((4 * trial.config["width"] / 10, number) for number, trial in enumerate(result.trials))
    (short_s, short), (long_s, long) = lasted_s
    assert short_s < long_s, "this seed gives two trainings of different length"
    found = [trial.curve[-1] for trial in result.trials]
    # the fifth step ends the run and has no point: both are under way up to the end of the short one's fifth
    both_s = min(long_s, 1.25 * short_s)
    assert found[short].energy_j == pytest.approx(short_s * (GPU_W[short] + CPU_W / 2), rel=0.01)
    assert found[long].energy_j == pytest.approx(
        long_s * GPU_W[long] + both_s * CPU_W / 2 + (long_s - both_s) * CPU_W, rel=0.01
    )
    assert any("divided equally" in gap for gap in result.energy.gaps)
    shared_j = short_s * CPU_W / 2
    assert found[short].energy.uncertainty_j >= shared_j, "all of the shared part may be the other trial's"
    own_j = found[short].energy.uncertainty_j - found[short].energy.edge_j
    assert shared_j <= own_j <= shared_j + 0.06 * found[short].energy_j, "beside the counters' gains"
    assert found[short].evaluation_j == pytest.approx(0.2 * found[short].energy_j / 4, rel=0.02)
    assert result.energy.by_domain["gpu:0"].energy_j == pytest.approx(rig.gpus[0].true_j, rel=0.01)
    assert result.energy.by_domain["gpu:1"].energy_j == pytest.approx(rig.gpus[1].true_j, rel=0.01)


def test_what_was_spent_sums_to_the_hosts_at_every_commit(rig, run_folder):
    seen = []
    show = watching(lambda _: seen.append(sums(run_folder)))
    result = search(rig, run_folder, strategy="mo-asha", max_trials=6, show=show).run()
    assert len(seen) > 20
    for spent_j, host_j in [*seen, sums(run_folder)]:
        assert spent_j == pytest.approx(host_j, rel=1e-9, abs=1e-6)
    by_purpose = purposes(result)
    assert sum(by_purpose.values()) == pytest.approx(result.energy.total_j, rel=1e-9)
    assert sum(trial.energy_j for trial in result.trials) == pytest.approx(
        by_purpose["training"] + by_purpose["evaluation"], rel=1e-9
    )


@pytest.mark.parametrize("strategy", ["random", "mo-asha", "bayes"])
def test_two_trials_run_at_once_and_none_is_proposed_twice(rig, run_folder, strategy):
    most, reserved = [0], []

    def check_budget(found):
        running = [trial for trial in found.trials if trial.state is TrialState.RUNNING and trial.number in found.runs]
        most[0] = max(most[0], len(running))
        reserved.append(found.ledger.budget.steps.total_j())

    result = search(rig, run_folder, strategy=strategy, max_trials=12, show=watching(check_budget)).run()
    configs = [tuple(sorted(trial.config.items())) for trial in result.trials]
    assert len(set(configs)) == len(configs) > 2
    assert most[0] == 2, "never more than one on a device, and both in use"
    assert max(reserved) > 0
    assert all(trial.state.ended for trial in result.trials)


def test_a_trial_that_was_left_goes_on_wherever_there_is_room(rig, run_folder):
    result = search(rig, run_folder, strategy="mo-asha", max_trials=9).run()
    assert any(before != after for _, before, after in rig.taken_over), "some trial changed its GPU"
    assert all([point.step for point in trial.curve] == list(range(1, trial.step + 1)) for trial in result.trials)


def test_the_budget_is_hard_and_reservations_are_kept(rig, run_folder):
    budget_j = 60_000.0
    result = search(rig, run_folder, budget_j=budget_j).run()
    assert result.energy.total_j <= budget_j + result.energy.overshoot_bound_j
    batch_j = 0.8 * 6.4 / 4 * (sum(GPU_W) + CPU_W)
    evaluation_j = 0.2 * 6.4 * (sum(GPU_W) + CPU_W)
    assert result.energy.overshoot_bound_j <= batch_j + evaluation_j
    assert result.energy.total_j > 0.5 * budget_j
    assert all(trial.state.ended for trial in result.trials)


def test_a_target_ends_all_that_is_under_way(rig, run_folder):
    def outcome(trial, step):
        return 0.9 if trial.number == 3 and step == 2 else 0.1 * step

    result = search(rig, run_folder, executor=OnAll(rig, outcome), target=0.9).run()
    assert why(result).reason is StopReason.TARGET_REACHED
    stopped = [trial for trial in result.trials if trial.state is TrialState.STOPPED]
    assert {why(trial).reason for trial in stopped} == {EndReason.TARGET}
    assert len(stopped) == 2
    spent_j, host_j = sums(run_folder)
    assert spent_j == pytest.approx(host_j, rel=1e-9)


def test_a_trial_that_fails_takes_no_other_with_it(rig, run_folder):
    def outcome(trial, step):
        if trial.number == 1 and step == 2:
            raise RuntimeError("out of memory")
        return 0.1 * step

    result = search(rig, run_folder, executor=OnAll(rig, outcome), max_trials=4).run()
    assert [trial.state for trial in result.trials] == [
        TrialState.FINISHED, TrialState.FAILED, TrialState.FINISHED, TrialState.FINISHED,
    ]  # fmt: skip
    assert result.trials[1].tail.energy_j > 0


def test_an_interruption_charges_all_that_is_under_way_and_the_search_can_go_on(rig, run_folder):
    rig.interrupt_at = rig.host.now_s + 10.0
    with pytest.raises(KeyboardInterrupt):
        search(rig, run_folder, max_trials=6).run()
    before = ecoml.Result.load(run_folder)
    assert before.ended == SearchEnd(StopReason.INTERRUPTED)
    stopped = [trial for trial in before.trials if why(trial).reason is EndReason.INTERRUPTED]
    assert len(stopped) == 2
    spent_j, host_j = sums(run_folder)
    assert spent_j == pytest.approx(host_j, rel=1e-9)
    result = ecoml.Searcher.resume(run_folder, OnAll(rig), meter=rig.meter).run()
    assert len(result.trials) == 6
    assert result.energy.total_j > before.energy.total_j


def test_one_gpu_is_searched_as_ever(tmp_path, run_folder, monkeypatch):
    rig, threads = Alone(tmp_path / "host", monkeypatch, counted=1), set()

    def outcome(trial, step):
        threads.add(threading.current_thread())
        return 0.1 * step

    with rig.meter:
        result = search(rig, run_folder, executor=OnAll(rig, outcome, gpus=1), max_trials=2).run()
    assert threads == {threading.main_thread()}
    width = result.trials[0].config["width"]
    assert result.trials[0].curve[-1].energy_j == pytest.approx(0.4 * width * (GPU_W[0] + CPU_W), rel=0.01)


def test_gpus_that_are_not_metered_apart_are_refused(tmp_path, monkeypatch, run_folder):
    rig = Rig(tmp_path / "host", monkeypatch, counted=1)
    with rig.meter, pytest.raises(MeterError, match="cuda:1 has no readable energy counter of its own"):
        search(rig, run_folder, max_trials=2).run()
    assert not run_folder.exists()
