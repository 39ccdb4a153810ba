"""`ecoml watch`: from another terminal, without a lock, until the search ends."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl

import pytest
from rigs.run_folders import Course, write_run

from ecoml.endings import SearchEnd, StopReason
from ecoml.errors import RunFolderError, SearchFailed
from ecoml.report.terminal.watch import follow
from ecoml.run.folder import RunFolder
from ecoml.run.storage.store import Store

COURSES = [Course([(0.6, 10.0), (0.8, 10.0)]), Course([(0.7, 5.0)])]


def ended(folder, reason):
    store = Store(folder / "ledger.sqlite", create=False)
    store.set("ended", SearchEnd(reason).to_dict())
    store.close()


def test_a_search_that_is_over_is_shown_and_not_waited_for(tmp_path, capsys):
    follow(write_run(tmp_path / "run", COURSES, optimiser_j=5.0), sleep=lambda _s: pytest.fail("nothing to wait for"))
    shown = capsys.readouterr().out
    assert "spent 30.0 J" in shown
    assert "the energy budget is spent" in shown
    assert "2 finished" in shown


def test_it_follows_a_search_that_another_writes_until_it_ends(tmp_path, capsys):
    path = write_run(tmp_path / "run", COURSES, ended=None)
    folder = RunFolder.open(path)  # held as by a search; the process that holds it is this one, and lives
    looks = []

    def sleep(seconds):
        looks.append(seconds)
        if len(looks) == 3:
            ended(path, StopReason.EXHAUSTED)

    follow(path, sleep=sleep)
    folder.close()
    assert len(looks) == 3
    assert min(looks) >= 1.0
    assert "every configuration has been tried" in capsys.readouterr().out


def test_once_is_one_look_at_a_running_search(tmp_path, capsys):
    path = write_run(tmp_path / "run", COURSES, ended=None)
    folder = RunFolder.open(path)
    waited: list[float] = []
    follow(path, once=True, sleep=waited.append)
    folder.close()
    assert sum(waited) < 5
    assert "spent 25.0 J" in capsys.readouterr().out


def test_a_search_that_was_cut_off_is_called_so(tmp_path, capsys):
    path = write_run(tmp_path / "run", COURSES, ended=None)
    process = subprocess.Popen(["true"])
    process.wait()
    (path / "lock").write_text(str(process.pid), encoding="utf-8")
    with pytest.raises(SearchFailed, match=r"was interrupted, .* ecoml resume"):
        follow(path)
    assert "spent 25.0 J" in capsys.readouterr().out


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunFolderError, match="no such folder"):
        follow(tmp_path / "nowhere")


def test_in_a_terminal_that_is_resized_it_goes_on_and_ctrl_c_ends_only_the_watching(tmp_path):
    path = write_run(tmp_path / "run", COURSES, ended=None)
    folder = RunFolder.open(path)
    child, screen = pty.fork()
    if child == 0:
        # Without COLUMNS, which would never change: readline, which pytest loads, puts it into the environment of C,
        # and the worker processes of pytest find it in theirs.
        environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
        environment["TERM"] = "xterm-256color"
        os.execve(sys.executable, [sys.executable, "-m", "ecoml", "watch", str(path)], environment)  # noqa: S606
    seen = ""

    def resize(columns):
        ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        os.kill(child, signal.SIGWINCH)

    def read_until(pattern, seconds=60.0):
        nonlocal seen
        deadline = time.monotonic() + seconds
        while not re.search(pattern, seen, re.DOTALL):
            assert time.monotonic() < deadline, seen[-2000:]
            if select.select([screen], [], [], 0.2)[0]:
                seen += os.read(screen, 65536).decode(errors="replace")

    try:
        ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        read_until("before.*trials")
        seen = ""
        resize(40)
        read_until("budget.*\r\n.*trials.*budget.*trials")
        last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen[seen.rindex("budget") :])
        assert max(map(len, last.split("\r\n"))) <= 40
        resize(130)
        seen = ""
        read_until("budget.*trials")
    finally:
        os.kill(child, signal.SIGINT)
        _, status = os.waitpid(child, 0)
        os.close(screen)
        folder.close()
    assert status == 0
