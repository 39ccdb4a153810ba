"""Workers that are other processes: the same search, each joule charged once, whatever happens to them."""

from __future__ import annotations

import signal
from dataclasses import replace
from typing import Any

import pytest
from rigs.hosts import SPACE, Unsteady, charged_j, replay, spooled_j, work

import ecoml
from ecoml.endings import EndReason, StopReason
from ecoml.errors import UsageError
from ecoml.searcher.hosts.choosing import RemoteWorkers
from ecoml.searcher.hosts.transport import LocalAgents
from ecoml.strategies import End, create_strategy
from ecoml.trial import TrialState


@pytest.fixture
def short_leases(monkeypatch):
    """Leases that a busy machine may let run out by itself: an agent is then started anew, however often."""
    monkeypatch.setattr(RemoteWorkers.__init__, "__defaults__", (1.5,))
    monkeypatch.setattr("ecoml.searcher.hosts.stepper.MOST_RESTARTS", 1000)


class Until:
    """Random search until something has happened, and for ten more trials."""

    def __init__(self, happened):
        self._search = create_strategy("random", SPACE, 0)
        self._happened = happened
        self._left = 10

    def ask(self):
        self._left -= self._happened()
        return self._search.ask() if self._left > 0 else End(StopReason.EXHAUSTED)

    def tell(self, trial):
        self._search.tell(trial)


def points(result):
    return [
        (dict(trial.config), [(point.score, point.energy_j) for point in trial.curve], trial.state, trial.end)
        for trial in result.trials
    ]


@pytest.mark.parametrize("strategy", ["bayes", "mo-asha"])
def test_one_worker_elsewhere_searches_as_one_here(tmp_path, strategy):
    same: dict[str, Any] = {"budget_j": 1500.0, "strategy": strategy, "energy": "reported", "seed": 3}
    here = ecoml.Searcher(SPACE, replay, directory=tmp_path / "here", **same).run()
    there = ecoml.Searcher(SPACE, replay, directory=tmp_path / "there", workers="local:1", **same).run()
    assert points(there) == points(here)
    assert there.energy.total_j == pytest.approx(here.energy.total_j, rel=1e-12)
    assert there.ended is not None
    assert here.ended is not None
    assert there.ended.reason is here.ended.reason


def test_lost_repeated_and_late_messages_change_no_joule(run_folder):
    agents = Unsteady(2, lost=0.15, seed=1)
    result = ecoml.Searcher(
        SPACE, replay, budget_j=1e6, strategy="random", energy="reported", directory=run_folder, workers=agents,
        max_trials=6,
    ).run()  # fmt: skip
    assert agents.faults > 10
    assert all(trial.state is TrialState.FINISHED for trial in result.trials)
    for trial in result.trials:
        assert [point.step for point in trial.curve] == [1, 2, 3, 4]
        assert trial.energy_j == pytest.approx(trial.config["width"] * 5.0)
    assert result.energy.total_j == pytest.approx(sum(trial.energy_j for trial in result.trials))
    assert charged_j(run_folder) == pytest.approx(spooled_j(run_folder))


def test_a_host_that_has_not_reported_when_the_search_ends_is_still_counted(run_folder):
    class Late(LocalAgents):
        """The second host's messages arrive only once the first has closed its account."""

        def __init__(self):
            super().__init__(2)
            self.expected, self.held_back, self.closed = 1, [], False

        def open(self, setup, spools):
            super().open(setup, spools)
            self._start("local-2")

        def wait(self, timeout_s):
            events = super().wait(timeout_s)
            self.closed |= any(host == "local-1" and report is not None and report.closed for host, report in events)
            self.held_back += [event for event in events if event[0] == "local-2"]
            told = [event for event in events if event[0] == "local-1"]
            return told + (self.held_back if self.closed else [])

    ecoml.Searcher(
        SPACE, work, budget_j=1e6, strategy="random", directory=run_folder, workers=Late(), max_trials=2
    ).run()
    counted_j = spooled_j(run_folder)
    assert set(counted_j) == {"local-1", "local-2"}
    charged = {"local-2": 0.0, **charged_j(run_folder)}  # on a busy machine it may be released before it spends
    assert charged == pytest.approx(counted_j, rel=1e-9)


def test_killed_and_stopped_agents_cost_a_trial_and_no_joule(run_folder, short_leases):
    agents = Unsteady(2, blows=[signal.SIGKILL, signal.SIGSTOP, signal.SIGKILL])
    strategy = Until(lambda: not agents.blows and agents.down is None)
    result = ecoml.Searcher(SPACE, work, budget_j=1e6, strategy=strategy, directory=run_folder, workers=agents).run()
    assert len(agents.restarted) >= 3
    assert result.ended is not None
    assert result.ended.reason is StopReason.EXHAUSTED
    lost = [trial for trial in result.trials if trial.end is not None and trial.end.reason is EndReason.HOST_LOST]
    assert 1 <= len(lost) <= len(agents.restarted)
    assert all(len(trial.curve) == 4 for trial in result.trials if trial not in lost)
    assert charged_j(run_folder) == pytest.approx(spooled_j(run_folder), rel=1e-9)
    by_purpose_j = sum(part.energy_j for part in result.energy.by_purpose.values())
    assert by_purpose_j == pytest.approx(result.energy.total_j)


def test_the_budget_holds_on_all_hosts_together(run_folder, short_leases):
    searcher = ecoml.Searcher(
        SPACE, work, budget_j=45.0, strategy="random", directory=run_folder, workers="local:2", max_trials=10_000
    )
    result = searcher.run()
    assert result.ended is not None
    assert result.ended.reason is StopReason.BUDGET_SPENT
    assert result.energy.total_j <= 45.0 + result.energy.overshoot_bound_j
    assert searcher._session.search is not None
    assert searcher._session.search.ledger.budget.overpromised_j <= result.energy.overshoot_bound_j


def test_another_version_is_refused_by_name(run_folder):
    class Older(LocalAgents):
        def open(self, setup, spools):
            super().open(replace(setup, versions={"python": "2.7"}), spools)

    with pytest.raises(UsageError, match=r"host local-1: python is 3\.\d+ there and 2\.7 here"):
        ecoml.Searcher(SPACE, work, budget_j=1e6, directory=run_folder, workers=Older(1)).run()


@pytest.mark.parametrize("given", ["local:0", "local", "slurm://here", "ray://"])
def test_workers_that_are_none_are_refused_in_one_line(run_folder, given):
    with pytest.raises(UsageError, match="workers") as error:
        ecoml.Searcher(SPACE, work, budget_j=1e6, directory=run_folder, workers=given)
    assert "\n" not in str(error.value)
    assert not run_folder.exists()


def test_the_ceiling_on_co2e_holds_for_what_workers_spend(run_folder):
    result = ecoml.Searcher(
        SPACE, replay, budget_j=1e6, budget_gco2e=0.15, grid_intensity=360.0, strategy="random", energy="reported",
        directory=run_folder, workers="local:1",
    ).run()  # fmt: skip
    assert result.ended is not None
    assert "co2e_g" in result.ended.details
    assert result.energy.co2e.unknown_j == 0.0
    assert result.energy.co2e.co2e_g == pytest.approx(1e-4 * result.energy.total_j)
    assert 750.0 < result.energy.total_j <= 1500.0 + result.energy.overshoot_bound_j


@pytest.mark.parametrize(
    ("told", "given"),
    [("--when-clean", {"when_clean_g_per_kwh": 50.0, "until": "+1h"}), ("--meter", {"meter": "node"})],
)
def test_what_holds_for_the_driver_alone_is_refused_with_workers(run_folder, tmp_path, told, given):
    table = tmp_path / "grid.csv"
    table.write_text("time,g_per_kwh\n2026-01-01T00:00Z,100\n2030-01-01T00:00Z,40\n", encoding="utf-8")
    with pytest.raises(UsageError, match=told):
        ecoml.Searcher(
            SPACE, work, budget_j=1e6, directory=run_folder, workers="local:1", grid_intensity=table, **given
        )
    assert not run_folder.exists()
