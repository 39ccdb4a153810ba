"""A command under a budget: trees that fork, ignore SIGTERM, or end early; signals; exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rigs.meter import FakeMeter

from ecoml.budget.command import CommandError, run_command
from ecoml.cli import app

BURN = "import time\nwhile True: time.sleep(0.01)\n"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
SAYS_ITS_NUMBER = "import os, sys; print(os.getpid(), file=open(sys.argv[1] + f'/{os.getpid()}', 'w'))\n"


def under_budget(code, folder, *, budget_j=30.0, grace_s=0.3, power_w=100.0, **options):
    """Python code under a budget, on a meter that shows a steady power."""
    command = [sys.executable, "-c", SAYS_ITS_NUMBER + code, str(folder)]
    return run_command(command, budget_j, grace_s=grace_s, meter=FakeMeter(power_w=power_w), **options)


def alive(folder):
    """Of the processes that said their number, those that still run."""
    return [path.name for path in Path(folder).iterdir() if Path(f"/proc/{path.name}").exists()]


def test_a_command_that_ends_within_its_budget(tmp_path):
    done = under_budget("sys.exit(3)", tmp_path, budget_j=1e6)
    assert (done.exit_code, done.status, done.stopped, done.killed) == (3, 3, False, 0)
    assert 0 < done.energy.energy_j < 1e3
    assert done.to_dict()["left_j"] == pytest.approx(1e6 - done.energy.energy_j)


def test_sigterm_at_the_budget_and_time_to_save(tmp_path):
    saves = f"import signal\ndef save(*_):\n open({str(tmp_path / 'saved')!r}, 'w').close(); sys.exit(0)\n"
    (folder := tmp_path / "pids").mkdir()
    told: list[str] = []
    done = under_budget(saves + "signal.signal(signal.SIGTERM, save)\n" + BURN, folder, say=told.append)
    assert (tmp_path / "saved").exists()
    assert (done.exit_code, done.status, done.stopped, done.killed) == (124, 0, True, 0)
    assert 30 <= done.energy.energy_j <= 30 + done.grace_j + 2
    assert "sent SIGTERM to 1 process; SIGKILL follows in 0.3 s" in told[0]


FORKS = """
for _ in range(3):
    if os.fork() == 0:
        print(os.getpid(), file=open(sys.argv[1] + f'/{os.getpid()}', 'w'))
        break
"""
DAEMON = """
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    print(os.getpid(), file=open(sys.argv[1] + f'/{os.getpid()}', 'w'))
"""
TREES = {
    "one that ignores SIGTERM": (STUBBORN + BURN, 1, 124),
    "one that forks": (STUBBORN + FORKS + BURN, 4, 124),
    "a daemon that has left its session": (STUBBORN + DAEMON + BURN, 2, 124),
    "a daemon whose command ended early": (STUBBORN + DAEMON + "else:\n    sys.exit(0)\n" + BURN, 2, 124),
    "one that has been stopped": ("import signal\nos.kill(os.getpid(), signal.SIGSTOP)\n" + BURN, 1, 124),
}


@pytest.mark.parametrize("tree", TREES)
def test_nothing_of_a_tree_outlives_the_grace_period(tmp_path, tree):
    code, processes, exit_code = TREES[tree]
    began_s = time.monotonic()
    done = under_budget(code, tmp_path)
    assert done.exit_code == exit_code
    assert len(list(tmp_path.iterdir())) == processes
    assert alive(tmp_path) == []
    assert 0.3 <= time.monotonic() - began_s < 5
    assert done.left == ()
    if STUBBORN in code:
        assert done.killed >= 1
        assert done.grace_j == pytest.approx(100 * 0.3, abs=15), "the grace period is metered too"


def test_what_a_command_leaves_behind_is_waited_for(tmp_path):
    """It has the command's own exit code, as nothing had to be stopped."""
    done = under_budget(DAEMON + "else:\n    sys.exit(5)\nimport time; time.sleep(0.4)", tmp_path, budget_j=1e6)
    assert (done.exit_code, done.stopped) == (5, False)
    assert done.seconds > 0.4
    assert alive(tmp_path) == []


def test_the_cpu_time_of_a_daemon_counts(tmp_path):
    """On this host's own meter, whatever it is: a second of work far from the command shows."""
    burn = "import time\nwhile time.process_time() < 1: pass\n"
    quiet = "import time\ntime.sleep(1)\n"
    spent_j = [
        run_command(
            [sys.executable, "-c", SAYS_ITS_NUMBER + DAEMON + "else:\n    sys.exit(0)\n" + work, str(tmp_path)], 1e6
        ).energy.energy_j
        for work in (quiet, burn)
    ]
    assert spent_j[1] > spent_j[0] + 1


@pytest.mark.parametrize(("command", "exit_code"), [("no-such-command", 127), (os.sep, 126)])
def test_a_command_that_cannot_be_started(command, exit_code):
    with pytest.raises(CommandError) as caught:
        run_command([command], 1.0, meter=FakeMeter())
    assert caught.value.exit_code == exit_code
    assert command in str(caught.value)
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def start(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "ecoml", "budget", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


SAYS = "import signal, sys, time\nsignal.signal(signal.SIGINT, lambda *_: sys.exit(9))\nprint('ready', flush=True)\n"


def test_ctrl_c_is_passed_on_and_the_exit_code_too():
    with start("--kwh", "1", "--", sys.executable, "-c", SAYS + "time.sleep(60)") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
    assert process.returncode == 9
    assert "exit code 9" in told


def test_a_signal_ends_it_as_in_a_shell():
    with start("--kwh", "1", sys.executable, "-c", SAYS + "time.sleep(60)") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert "ended by SIGTERM" in told


def test_json_is_all_of_standard_output_and_options_are_the_commands_own():
    with start("--json", "-j", "1e6", sys.executable, "-c", "import sys; print(sys.argv)", "--lr", "3") as process:
        out, told = process.communicate(timeout=30)
    account = json.loads(out)
    assert "['-c', '--lr', '3']" in told
    assert (process.returncode, account["exit_code"], account["stopped_by_budget"]) == (0, 0, False)
    assert account["energy_j"] > 0
    assert account["provenance"] in ("measured", "sampled", "attributed", "estimated", "missing")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["true"], "Give --kwh 0.1"),
        (["--kwh", "1", "-j", "1", "true"], "once"),
        (["--kwh", "-1", "true"], "positive"),
        (["--kwh", "1"], "COMMAND"),
    ],
)
def test_mistakes_are_one_line(arguments, says):
    from typer.testing import CliRunner

    done = CliRunner().invoke(app, ["budget", *arguments])
    assert done.exit_code != 0
    assert says in f"{done.output}{done.exception}"


def states(pids):
    """The letter of each process' state: T where it is stopped."""
    return [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] for pid in pids]


def wait_until(condition):
    end_s = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.02)


def test_ctrl_z_stops_all_of_it_and_it_goes_on_together():
    code = SAYS + "import os; print(os.getpid(), flush=True); time.sleep(60)"
    with start("--kwh", "1", sys.executable, "-c", code) as process:
        assert process.stdout is not None
        process.stdout.readline()
        both = [process.pid, int(process.stdout.readline())]
        process.send_signal(signal.SIGTSTP)
        wait_until(lambda: states(both) == ["T", "T"])
        process.send_signal(signal.SIGCONT)
        wait_until(lambda: "T" not in states(both))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 9
