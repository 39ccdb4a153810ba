"""The processes of a command."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from ecoml.budget.tree import ProcessTree
from ecoml.meter.counters.processes import descendants

DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    open(sys.argv[1] + f"/{os.getpid()}", "w").close()
    time.sleep(60)
"""


def test_a_daemon_is_not_missed_while_the_command_ends(tmp_path):
    looks = 0

    def find(process):
        nonlocal looks
        looks += 1
        return {tree.pid} if looks == 2 else descendants(process)  # its child is no longer its own, nor yet ours

    tree = ProcessTree([sys.executable, "-c", DAEMON, str(tmp_path)], find=find)
    try:
        while not any(tmp_path.iterdir()) or " Z " not in Path(f"/proc/{tree.pid}/stat").read_text():
            time.sleep(0.01)
        (daemon,) = (int(file.name) for file in tmp_path.iterdir())
        assert tree.living() == {daemon}
        assert tree.status == 0
        os.kill(daemon, signal.SIGKILL)
        while tree.living():
            time.sleep(0.01)
    finally:
        tree.close()
