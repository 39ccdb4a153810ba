"""The check of a GPU host, here without one: parts that fail or hang stop no other, and all that was found is kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_a_part_that_fails_stops_no_other_and_everything_is_on_disk(tmp_path):
    done = subprocess.run(
        [
            *(sys.executable, ROOT / "benchmarks/gpu_check.py", "--out", tmp_path, "--device", "cpu", "--quick"),
            *("--data", "no-such-data", "--parts", "random,host"),
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("random") and "failed" in line and line.endswith("NO") for line in lines)
    assert "no-such-data" in (tmp_path / "table.md").read_text()
    found = {each["what"]: each for each in json.loads((tmp_path / "host.json").read_text())}
    assert found["GPU"]["figure"] == "simulated GPU"
    assert found["period of the energy counter"]["figure"] == "100 ms"
    assert found["power of a context, above that"]["figure"] == "+40.0 W"
    assert found["counter against power, at 590 W"]["holds"]
    rows = (tmp_path / "table.md").read_text().splitlines()
    assert len(rows) == 2 + len(found) + 3, "what was found, an end of each part, and the time of all"


def test_a_part_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path):
    from gpu_check import _apart
    from gpu_finding import Where

    where = Where("digits", None, tmp_path, "cpu", quick=True)
    (finding,) = _apart("widths", where, 1.0)
    assert finding.figure.startswith("ended after 1 s")
    assert finding.holds is False
    (finding,) = _apart("widths", where, 0.0)
    assert "no time was left" in finding.figure
