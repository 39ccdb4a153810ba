"""How energy meters handle counters that wrap, fail, repeat and reset, and how much metering costs a training.

    python benchmarks/meter.py [--tools ecoml,zeus] [--scenarios wrap,…] [--no-overhead] [--json]
    python benchmarks/meter.py slow-counter [--seconds S] [--seeds N] [--json]       see slow_counter.py

Errors: every tool reads the same simulated RAPL counters at the same simulated time, in a process of its own, with its
defaults and unchanged (see `simulated_system/sitecustomize.py`). The true value is that of counters without a maximum.
Overhead: the CPU time of a real training (digits, one thread), of each tool's windows, one per epoch, and of the tool's
threads and processes. Tools that are not installed are named; to install them: `pip install -e .[bench]`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import slow_counter  # noqa: E402 - the folder is on the path from here on
from meter_scenarios import SCENARIOS, Scenario, World  # noqa: E402 - as above
from meter_tools import OVERHEAD, TOOLS  # noqa: E402 - as above

FASTEST, SHORTEST_S = 60.0, 6.0
"""The least real seconds of a window, and the largest factor by which it may pass faster than reality."""
SETTLE_S = 3.0
"""Real seconds in which the processes that a tool starts become ready."""
TIMEOUT_S = 120.0


@dataclass
class Child:
    """A tool's process."""

    tool: str
    process: subprocess.Popen[str]
    answer: dict[str, Any] = field(default_factory=dict)

    def hear(self) -> dict[str, Any]:
        """Its next answer; a process that does not answer within `TIMEOUT_S` is ended."""
        timer = threading.Timer(TIMEOUT_S, self.end)
        timer.start()
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not timer.is_alive():
            return {"raises": f"silence: no answer within {TIMEOUT_S:g} s"}
        timer.cancel()
        return dict(json.loads(line)) if line else {"raises": "ended: the tool ended the process it was to measure"}

    def say(self) -> None:
        """Let it continue."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended; `hear` says so
            self.process.stdin.write("\n")
            self.process.stdin.flush()

    def end(self) -> None:
        """End it, with all processes that it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


def start(tool: str, what: str, root: Path, *, clock: bool, log: IO[str]) -> Child:
    """A tool in a process of its own, within a simulated system."""
    folder = root / "home" / tool
    folder.mkdir(parents=True)
    paths = [str(HERE / "simulated_system"), str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "ECOML_SIMULATED_ROOT": str(root),
        "ECOML_SIMULATED_STATE": str(root / "state"),
        "TMPDIR": str(folder),
        "HOME": str(folder),
        "OMP_NUM_THREADS": "1",
    }
    if clock:
        environment["ECOML_SIMULATED_CLOCK"] = "1"
    process = subprocess.Popen(
        [sys.executable, str(HERE / "meter_tools.py"), tool, what],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        cwd=folder,
        env=environment,
        start_new_session=True,
    )
    return Child(tool, process)


def measure(scenario: Scenario, tools: list[str], folder: Path) -> dict[str, dict[str, Any]]:
    """The result of each tool for one window of a scenario."""
    world = World(folder, scenario)
    with (folder / "log").open("w") as log, ThreadPoolExecutor(len(tools)) as together:
        children = [start(tool, "error", folder, clock=True, log=log) for tool in tools]
        try:

            def hear(which: list[Child]) -> list[Child]:
                for child, answer in zip(which, together.map(Child.hear, which), strict=True):
                    child.answer = answer
                return [child for child in which if "state" in child.answer]

            ready = hear(children)
            for child in ready:
                child.say()
            begun = hear(ready)
            time.sleep(SETTLE_S)
            _let_pass(world, scenario)
            for child in begun:
                child.say()
            hear(begun)
        finally:
            for child in children:
                child.end()
            world.close()
    return {child.tool: child.answer for child in children}


def _let_pass(world: World, scenario: Scenario) -> None:
    window_s = scenario.window_s(world) if callable(scenario.window_s) else scenario.window_s
    speed = min(FASTEST, max(1.0, window_s / SHORTEST_S))
    past_s = 0.0
    for at_s, event in scenario.events:
        world.go_by(at_s - past_s, speed)
        event(world)
        past_s = at_s
    world.go_by(max(0.0, window_s - 1.0 - past_s), speed)
    world.go_by(min(1.0, window_s - past_s), 1.0)  # slowly, so that every tool can follow until the end


def overhead(tools: list[str]) -> dict[str, dict[str, Any]]:
    """The cost of a training, alone and with each tool, one after the other."""
    told: dict[str, dict[str, Any]] = {}
    for tool in ["none", *(tool for tool in tools if tool in OVERHEAD)]:
        with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("w") as log:
            world = World(Path(folder), SCENARIOS["plain"])
            child = start(tool, "overhead", Path(folder), clock=False, log=log)
            try:
                told[tool] = child.hear()
            finally:
                child.end()
                world.close()
    return told


def error_of(answer: dict[str, Any]) -> float:
    """The error of a tool; energy drawn while it opened and closed its window may be included or not."""
    over_j = answer["energy_j"] - answer["true_j"]
    return float(over_j if over_j < 0 else max(0.0, over_j - answer["edges_j"]))


def error_cell(answer: dict[str, Any]) -> str:
    """A tool's error for the table."""
    if "absent" in answer:
        return "not installed"
    if "raises" in answer:
        kind = answer["raises"].split(":")[0]
        return "ends the process" if kind == "ended" else f"raises {kind}"
    if answer["energy_j"] is None:
        return "None"
    error_j = error_of(answer)
    cell = f"{_joules(error_j)}\n{100 * error_j / answer['true_j']:+.2f} %"
    if "uncertainty_j" in answer:
        cell += f"\n± {_joules(answer['uncertainty_j']).lstrip('+')}, {answer['provenance']}"
    return cell


def overhead_row(tool: str, answer: dict[str, Any]) -> tuple[str, ...]:
    """A tool's overhead for the table."""
    if "training_cpu_s" not in answer:
        return (tool, answer.get("absent") or answer["raises"], "", "", "", "")
    added_s = answer["window_cpu_s"] * answer["windows"] + answer["beside_cpu_s"]
    return (
        tool,
        f"{answer['startup_cpu_s']:.2f} s",
        f"{1e6 * answer['window_cpu_s']:,.0f} µs",
        f"{1e3 * answer['beside_cpu_s'] / answer['wall_s']:.3f} ms/s",
        str(answer["windows"]),
        f"{100 * added_s / (answer['training_cpu_s'] - added_s):.3f} %",
    )


def _joules(energy_j: float) -> str:
    return f"{energy_j / 1e3:+,.1f} kJ" if abs(energy_j) >= 1e4 else f"{energy_j:+,.1f} J"


def _version(tool: str) -> str:
    try:
        return f"{tool} {version(tool)}"
    except PackageNotFoundError:
        return f"{tool} (not installed)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("tools", "slow-counter"), default="tools")
    parser.add_argument("--seconds", type=float, default=240.0, help="slow-counter: simulated, for each row")
    parser.add_argument("--seeds", type=int, default=4, help="slow-counter: for each row")
    parser.add_argument("--tools", default=",".join(TOOLS), help="comma-separated, of: %(default)s")
    parser.add_argument("--scenarios", default=",".join(SCENARIOS), help="comma-separated, of: %(default)s")
    parser.add_argument("--no-overhead", action="store_true", help="measure no overhead")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    options = parser.parse_args()
    if options.what == "slow-counter":
        slow_counter.run(options.seconds, options.seeds, as_json=options.json)
        return
    tools, scenarios = options.tools.split(","), list(filter(None, options.scenarios.split(",")))
    for given, known in ((tools, TOOLS), (scenarios, SCENARIOS)):
        if wrong := [name for name in given if name not in known]:
            parser.error(f"{', '.join(wrong)}: known are {', '.join(known)}")

    errors: dict[str, dict[str, dict[str, Any]]] = {}
    for name in scenarios:
        print(f"{name}: {SCENARIOS[name].what}", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            errors[name] = measure(SCENARIOS[name], tools, Path(folder))
    costs = {} if options.no_overhead else overhead(tools)
    if options.json:
        print(json.dumps({"errors": errors, "overhead": costs}, indent=2))
        return

    from rich.console import Console
    from rich.table import Table

    out = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    out.print(f"{platform.machine()}, {os.cpu_count()} CPUs; {', '.join(map(_version, tools))}")
    if errors:
        table = Table("error in one window", *tools, title="Against the true energy of the packages", show_lines=True)
        for name, answers in errors.items():
            table.add_row(SCENARIOS[name].what, *(error_cell(answers[tool]) for tool in tools))
        out.print(table)
    if costs:
        title = f"CPU time beside a training of {costs['none'].get('training_cpu_s', 0):.1f} CPU seconds"
        table = Table("tool", "once", "a window", "running beside", "windows", "share of training", title=title)
        for tool, answer in costs.items():
            if tool != "none":
                table.add_row(*overhead_row(tool, answer))
        out.print(table)
    for name, answers in errors.items():
        for tool, answer in answers.items():
            if reason := answer.get("raises") or answer.get("absent"):
                out.print(f"{name}, {tool}: {reason}", markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
