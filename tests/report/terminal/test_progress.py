"""A search in a log: few lines, none that is missing, and only for those who listen."""

from __future__ import annotations

import logging
import threading

import pytest
from report.statuses import status, trial
from rigs.run_folders import Course, failed, write_run

import ecoml
from ecoml.report.terminal.progress import PlainLines, in_lines, show
from ecoml.report.terminal.status import FolderStatus, LiveStatus
from ecoml.trial import Trial, TrialState


class Fixed:
    """A source whose states a test sets."""

    def __init__(self, first):
        self.now = first

    def status(self):
        return self.now


def lines_of(said, source, clock):
    return PlainLines(source, say=said.append, clock=clock)


def test_a_log_of_a_long_search_stays_short_and_leaves_no_trial_out():
    now = 0.0
    said: list[str] = []
    trials: list[Trial] = []
    source = Fixed(status([]))
    lines = lines_of(said, source, lambda: now)
    for number in range(300):
        now += 1.0
        trials.append(trial(number, [0.9 if number < 150 else 0.95]))
        source.now = status(list(trials), spent_j=0.3 * number)
        lines.look()
    lines.look(last=True)
    told = sum(1 + (int(line.split("and ")[1].split()[0]) if "and " in line else 0) for line in said)
    assert told == 300
    assert len(said) < 20  # a minute has passed 5 times, a tenth of the budget 9 times, and one was better
    assert "95.00 %" in next(line for line in said if line.startswith("trial 150"))


def test_a_failure_is_worth_a_line_but_not_two_within_half_a_second():
    now = 0.0
    said: list[str] = []
    first = trial(0, [0.9])
    source = Fixed(status([first]))
    lines = lines_of(said, source, lambda: now)
    lines.look()
    failures = [trial(n, [], TrialState.FAILED, failed(f"boom {n}")) for n in (1, 2)]
    now = 1.0
    source.now = status([first, failures[0]])
    lines.look()
    now = 1.1
    source.now = status([first, *failures])
    lines.look()
    assert [line.split("  |")[0].split()[1] for line in said] == ["0", "1"]
    assert "failed: boom 1" in said[1]
    lines.look(last=True)
    assert "boom 2" in said[-1]


def test_what_an_earlier_sitting_did_is_no_news(tmp_path):
    folder = write_run(tmp_path / "run", [Course([(0.5, 1.0)])] * 5)
    said: list[str] = []
    PlainLines(FolderStatus(folder), say=said.append).look()
    assert said == []


def test_a_training_that_takes_long_has_a_line_a_minute():
    now = 0.0
    said: list[str] = []
    source = Fixed(status([trial(0, [0.5], TrialState.RUNNING)]))
    lines = lines_of(said, source, lambda: now)
    for second in range(181):
        now = float(second)
        lines.look()
    assert len(said) == 3
    assert "trial   0   50.00 %    2.00 J  1 epoch, new" in said[0]
    source.now = status([])
    now = 300.0
    lines.look()
    assert said[-1] == "spent 40.0 J of 100 J (estimated)"


LOG = logging.getLogger("ecoml")


@pytest.fixture
def unheard(monkeypatch):
    """Takes the handlers away with which pytest listens; while a test is called, since it looks for loggers then."""
    return lambda: monkeypatch.setattr(LOG, "propagate", False)


def searched(space, folder, train=None, **options):
    def reports(config):
        yield ecoml.Measurement(0.9, energy_j=1.0)

    return ecoml.Searcher(
        space, train or reports, budget_j=4, strategy="random", energy="reported", directory=folder, **options
    ).run()


def test_a_library_user_hears_nothing(space, run_folder, unheard, capfd):
    unheard()
    searched(space, run_folder)
    assert capfd.readouterr() == ("", "")


def test_who_asks_for_it_is_shown_lines_on_standard_error(space, run_folder, unheard, capfd):
    unheard()
    searched(space, run_folder, show=show)
    out, err = capfd.readouterr()
    assert out == ""
    assert "90.00 %" in err
    assert err.splitlines()[-1].endswith("spent 4.00 J of 4.00 J (reported)")
    assert (LOG.handlers, LOG.level) == ([], logging.NOTSET)


def test_who_has_a_handler_gets_the_lines_there(space, run_folder, unheard, capfd, tmp_path):
    unheard()
    handler = logging.FileHandler(tmp_path / "log.txt")
    LOG.addHandler(handler)
    try:
        searched(space, run_folder, show=show)
    finally:
        LOG.removeHandler(handler)
        handler.close()
    assert capfd.readouterr() == ("", "")
    assert "spent 4.00 J of 4.00 J (reported)" in (tmp_path / "log.txt").read_text(encoding="utf-8")


def test_a_line_comes_while_a_step_is_under_way(space, run_folder):
    said: list[str] = []
    heard = threading.Event()

    def say(line):
        said.append(line)
        heard.set()

    def slow(config):
        assert heard.wait(30.0)
        yield ecoml.Measurement(0.9, energy_j=4.0)

    def soon(search):
        return in_lines(search, PlainLines(LiveStatus(search), say=say, silence_s=(0.05, 0.1)))

    searched(space, run_folder, slow, show=soon)
    assert said[0] == "trial   0         –    0.00 J  0 steps, new  | spent 0.00 J of 4.00 J (reported)"


def test_it_can_be_silenced(space, run_folder, unheard, capfd):
    unheard()
    LOG.setLevel(logging.ERROR)
    try:
        searched(space, run_folder, show=show)
    finally:
        LOG.setLevel(logging.NOTSET)
    assert capfd.readouterr() == ("", "")
