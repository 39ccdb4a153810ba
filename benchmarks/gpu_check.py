"""Check ecoml on a GPU with one command, in six minutes at most, on a bare host without a network.

    python benchmarks/gpu_check.py --data-dir DIR --out DIR
    python benchmarks/gpu_check.py --out DIR --device cpu --quick      # the same code on a host without a GPU

Each part is a process with a time limit, so a part that fails or hangs does not stop the others. A part writes each
finding to `DIR/PART.json` at once, and its output to `DIR/PART.log`. `DIR/table.md` is the table that is printed at the
end. `benchmarks/gpu_host.md` lists what the host needs. Parts that check correctness run before those that measure
speed:

    host      facts from NVML, the counter's period and step, the power of a context, the counter against integrated
              power
    steps     recorded against eager steps, suspended against uninterrupted trainings, bfloat16 against float32
    random    thirty random configurations: are all recorded, does memory stay taken, how long is a recording
    tests     `pytest -m gpu`
    mo-asha   a search of 0.002 kWh: is it within its budget, joules by purpose
    bayes     a search of 0.001 kWh, likewise
    loops     joules and accuracy against the plain and the tuned loop of `executor.py`
    widths    images per second and share of the peak at widths 16, 64, 128 and 256

With `--device cpu` a simulated NVML replaces the counters, and steps are computed again in place of CUDA's recordings.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gpu_finding import ROOT, Finding, Where

LIMITS_S = {
    "host": 25,
    "steps": 45,
    "random": 60,
    "tests": 100,
    "mo-asha": 60,
    "bayes": 35,
    "loops": 60,
    "widths": 45,
}
"""Time limit of each part in seconds; together the parts may take `ALL_S`."""

ALL_S = 350.0
"""Time limit of all parts in seconds; the rest of the six minutes is for the table."""

STRETCH_ON_A_CPU = 3.0
"""On a CPU the time limit of a part is longer by this factor, but the limit of all parts stays `ALL_S`."""

LAST_WORDS_S = 4.0
"""Seconds between asking a part to end and killing it. A search uses them to print its result so far."""


def main() -> int:
    """Run all parts or one of them, and print the table; returns 1 if a condition does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=None, help="by default fashion-mnist on a GPU, digits elsewhere")
    parser.add_argument("--data-dir", type=Path, help="folder with the files of a named data set")
    parser.add_argument("--out", type=Path, required=True, help="a folder for results")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--parts", default=",".join(LIMITS_S), help="some parts, separated by commas")
    parser.add_argument("--quick", action="store_true", help="do only as much as exercises the code")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    given = parser.parse_args()
    data = given.data or ("fashion-mnist" if given.device.startswith("cuda") else "digits")
    folder = None if given.data_dir is None else str(given.data_dir.resolve())
    where = Where(data, folder, given.out.resolve(), given.device, given.quick)
    if given.part:
        return _part(given.part, where)
    if unknown := [part for part in given.parts.split(",") if part not in LIMITS_S]:
        parser.error(f"there is no part {unknown[0]!r}; there are {', '.join(LIMITS_S)}")
    where.out.mkdir(parents=True, exist_ok=True)
    began_s = time.monotonic()
    rows: list[tuple[str, Finding]] = []
    for part in given.parts.split(","):
        left_s = began_s + ALL_S - time.monotonic()
        limit_s = LIMITS_S[part] * (1.0 if where.cuda else STRETCH_ON_A_CPU)
        rows += [(part, finding) for finding in _apart(part, where, min(limit_s, left_s))]
    took_s = time.monotonic() - began_s
    rows.append(("all", Finding("seconds that it took", f"{took_s:.0f} s", "≤ 360 s", took_s <= 360)))
    _print(rows)
    (where.out / "table.md").write_text(_markdown(rows), encoding="utf-8")
    return int(any(finding.holds is False for _, finding in rows))


def _apart(part: str, where: Where, limit_s: float) -> list[Finding]:
    """The findings of a part, which runs in a process of its own; if it failed or was ended, a line says so."""
    file = where.out / f"{part}.json"
    file.unlink(missing_ok=True)
    if limit_s < 1:
        return [Finding("the part", "left out: no time was left", "done", False)]
    print(f"{part} …", file=sys.stderr, flush=True)
    command = [sys.executable, str(Path(__file__).resolve()), "--part", part, "--out", str(where.out)]
    command += ["--data", where.data, "--device", where.device, *(["--quick"] if where.quick else [])]
    command += [] if where.data_dir is None else ["--data-dir", where.data_dir]
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8", **os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    began_s = time.monotonic()
    with (where.out / f"{part}.log").open("wb") as log:
        child = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            code = child.wait(limit_s)
            end = "" if code == 0 else f"failed ({_last_line(where.out / f'{part}.log')})"
        except subprocess.TimeoutExpired:
            end = f"ended after {limit_s:.0f} s"
            child.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(LAST_WORDS_S)
        finally:
            _end_group(child)
    found = [Finding(**each) for each in json.loads(file.read_text())] if file.exists() else []
    took = f"{time.monotonic() - began_s:.0f} s"
    return [*found, Finding("the part", f"{end or 'done'}, {took}", "done", not end)]


def _end_group(child: subprocess.Popen[bytes]) -> None:
    """End a part and all processes that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _part(part: str, where: Where) -> int:
    """Run one part in this process; each finding is on disk at once."""
    import gpu_counters
    import gpu_parts

    found: list[dict[str, Any]] = []
    file, temporary = where.out / f"{part}.json", where.out / f"{part}.tmp"
    for finding in {"host": gpu_counters.host, **gpu_parts.PARTS}[part](where):
        found.append(asdict(finding))
        temporary.write_text(json.dumps(found, indent=1, ensure_ascii=False), encoding="utf-8")
        temporary.replace(file)
        print(finding, flush=True)
    return 0


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip()[:90] for line in reversed(lines) if line.strip()), "no output")


def _print(rows: Sequence[tuple[str, Finding]]) -> None:
    import textwrap

    print(f"{'part':<9}{'what':<30}{'found':<22}wanted")
    for part, finding in rows:
        mark = {True: "ok", False: "NO", None: ""}[finding.holds]
        cells = [textwrap.wrap(text, width) or [""] for text, width in ((finding.what, 29), (finding.figure, 21))]
        for line in range(max(map(len, cells))):
            what, figure = (cell[line] if line < len(cell) else "" for cell in cells)
            first = (part, finding.wanted, mark) if line == 0 else ("", "", "")
            print(f"{first[0]:<9}{what:<30}{figure:<22}{first[1]:<15} {first[2]}".rstrip())


def _markdown(rows: Sequence[tuple[str, Finding]]) -> str:
    lines = ["| part | what | found | wanted | |", "|---|---|---|---|---|"]
    for part, finding in rows:
        mark = {True: "ok", False: "**no**", None: ""}[finding.holds]
        lines.append(f"| {part} | {finding.what} | {finding.figure} | {finding.wanted} | {mark} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
