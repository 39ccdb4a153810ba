"""What people see of a running search: the same from inside and from its folder, at any width."""

from __future__ import annotations

import io
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report.statuses import status, trial
from rich.console import Console
from rigs.run_folders import SPENT, failed

import ecoml
from ecoml.endings import SearchEnd, StopReason
from ecoml.report.terminal.status import FolderStatus, LiveStatus, Power
from ecoml.report.terminal.view import view
from ecoml.trial import TrialState


def drawn(of, width=100):
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(view(of))
    return out.getvalue()


RUNNING = TrialState.RUNNING


def doing(trial, order):
    return status([trial], order).doing(trial)


def test_new_resumed_and_stopped_are_told_apart_by_steps_and_states():
    assert doing(trial(3, [], RUNNING), [0, 1]) == "new"
    assert doing(trial(1, [0.1, 0.2], RUNNING), [0, 1, 1]) == "new"
    assert doing(trial(0, [0.1], RUNNING), [0, 1, 2]) == "resumed"  # taken up again, its first step under way
    assert doing(trial(0, [0.1, 0.2, 0.3], RUNNING), [0, 1, 0, 0]) == "resumed"
    assert doing(trial(0, [0.1], TrialState.STOPPED), [0]) == "stopped by the strategy"
    assert doing(trial(0, [0.1], TrialState.SUSPENDED), [0, 1]) == "suspended"


def test_a_long_front_says_how_many_it_leaves_out():
    shown = drawn(status([trial(0, [step / 100 for step in range(1, 11)])]))
    assert "\nand 2 cheaper ones\n" in shown
    assert "cheaper" not in drawn(status([trial(0, [step / 100 for step in range(1, 9)])]))


def test_the_view_tells_it_all_at_a_glance():
    trials = [
        trial(0, [0.5, 0.9]),
        trial(1, [0.6], TrialState.SUSPENDED),
        trial(2, [], TrialState.FAILED, failed("boom")),
        trial(3, [0.4], TrialState.STOPPED),
        trial(4, [0.5], RUNNING, epochs=12),
    ]
    shown = " ".join(drawn(status(trials), 140).split())
    for words in (
        "40 %",
        "spent 40.0 J, reserved 5.00 J, left 55.0 J of 100 J (estimated)",
        "4 W (estimated); at this power the rest lasts 14 s",
        "trial 4 new, 1 of 12 epochs 50.00 % 2.00 J (estimated)",
        "3 stopped by the strategy, 40.00 %, 1 epoch; 1 suspended, 60.00 %, 1 epoch; 0 finished, 90.00 %, 2 epochs",
        "1 running, 1 suspended, 1 finished, 1 stopped, 1 failed",
        "trial 0 after 2 epochs 90.00 % validation accuracy 4.00 J (estimated)",
        "about 4 more trials, at 13.3 J (estimated) each on average, everything included",
    ):
        assert words in shown
    over = " ".join(drawn(status(trials[:1], ended=SPENT), 140).split())
    assert "ended the energy budget is spent" in over
    assert "reserved" not in over


@settings(max_examples=30)
@given(
    st.integers(20, 200),
    st.lists(st.tuples(st.lists(st.floats(0.0, 1.0), max_size=30), st.sampled_from(list(TrialState))), max_size=12),
    st.floats(0.0, 300.0),
    st.one_of(st.none(), st.floats(0.0, 1e6)),
    st.sampled_from(
        [None, SearchEnd(StopReason.BUDGET_SPENT, {"next_j": 1.88, "left_j": 1.0, "provenance": "measured"})]
    ),
)
def test_no_line_is_wider_than_the_terminal(width, rows, spent_j, power_w, ended):
    trials = [
        trial(number, curve, state, failed("x" * 40) if state is TrialState.FAILED else None, words="y" * 50)
        for number, (curve, state) in enumerate(rows)
    ]
    shown = drawn(status(trials, spent_j=spent_j, power_w=power_w, ended=ended, reserved_j=80.0), width)
    assert max(map(len, shown.splitlines())) <= width
    assert "budget" in shown


def test_power_is_the_mean_of_the_last_seconds():
    now = 0.0
    power = Power(lambda: now)
    assert power.after(0.0) is None
    for second in range(1, 31):
        now = float(second)
        watts = power.after(10.0 * second if second <= 10 else 100.0 + 2.0 * (second - 10))
        if second == 2:
            assert watts is None
        if second == 10:
            assert watts == pytest.approx(10.0)
    assert watts == pytest.approx(2.0)


class Turns:
    """A strategy that starts three trials for a step each, and then goes on with them in turn."""

    def __init__(self):
        self.asked = 0

    def ask(self):
        self.asked += 1
        if self.asked <= 3:
            return ecoml.Start({"learning_rate": 0.01, "width": 8 * self.asked, "activation": "relu"}, steps=1)
        return ecoml.Continue((self.asked - 1) % 3, steps=1) if self.asked <= 8 else ecoml.End("enough")

    def tell(self, trial):
        pass


def test_from_inside_and_from_the_folder_it_looks_the_same(space, run_folder, monkeypatch):
    monkeypatch.setattr("ecoml.ledger.ledger.NOTED_EVERY_S", 0.0)  # else the folder may be a second behind
    seen: list[str] = []

    def train(config):
        for step in range(5):
            yield ecoml.Measurement(0.3 + config["width"] / 100 + step / 20, energy_j=float(config["width"]))

    @contextmanager
    def watching(search):
        inside, outside = LiveStatus(search), FolderStatus(run_folder)

        def look(trial):
            search.ledger.commit()  # else what ends in quick succession is 50 ms behind
            one, other = inside.status(), outside.status()
            assert (one.ended, one.metric, one.power_w) == (other.ended, other.metric, other.power_w)
            for name in ("budget_j", "spent_j", *(["reserved_j"] if trial.state is RUNNING and trial.curve else [])):
                assert getattr(one, name) == pytest.approx(getattr(other, name)), name
            for name in ("order", "trials"):
                assert list(getattr(one, name)) == list(getattr(other, name)), name
            assert [(t.number, t.curve) for t in one.front] == [(t.number, t.curve) for t in other.front]
            seen.append(f"{trial.number} {one.doing(trial)}")

        search.listeners.append(look)
        yield
        look(search.trials[0])

    ecoml.Searcher(
        space, train, budget_j=1000, strategy=Turns(), directory=run_folder, energy="reported", show=watching
    ).run()
    assert "0 new" in seen
    assert "0 resumed" in seen
    assert "1 suspended" in seen
