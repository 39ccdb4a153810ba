"""The simulated hosts of `benchmarks/meter.py`: how their counters wrap, fail, repeat and reset while time passes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulated_system.sitecustomize import State

from ecoml.testing.hosts import SimulatedHost

RANGE_J = 262_143.328_85
"""Joules at which the counters of most processors wrap: after 15.6 min at 280 W."""
SMALL_RANGE_J = 65_712.999_613
"""Joules at which those of other processors wrap: after 4.2 min at 260 W."""
STEP_S = 0.002
HELD_S = 0.2
"""Real seconds that the simulated clock waits for a thread that is about to wake."""


@dataclass(frozen=True)
class Scenario:
    """A host and the events during one window.

    Attributes:
        what: Its description for people.
        build: Adds packages to a host, and returns the counters whose sum is the true energy.
        window_s: Simulated seconds of the window, or a function that returns them when the window has opened.
        events: Simulated second of the window → the event.
        denied: Whether the counters cannot be opened.
    """

    what: str
    build: Callable[[SimulatedHost], list[Any]]
    window_s: float | Callable[[World], float]
    events: tuple[tuple[float, Callable[[World], None]], ...] = ()
    denied: bool = False


class World:
    """A simulated host. Its time passes, faster or slower, while the tools run on it."""

    def __init__(self, folder: Path, scenario: Scenario) -> None:
        self.host = SimulatedHost(folder)
        _furnish(folder)
        self.counters = scenario.build(self.host)
        _subsystem(folder)
        self._state = State.create(folder / "state")
        self.failing, self.denied = False, scenario.denied
        self._speed = 1.0
        self._end_s = float("inf")
        self._over, self._stopped = threading.Event(), False
        self._moved_s = time.monotonic()
        self._write()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def go_by(self, seconds: float, speed: float) -> None:
        """Let simulated seconds pass; afterwards time passes as in reality."""
        self._over.clear()
        self._end_s, self._speed = self.host.now_s + seconds, speed
        self._over.wait()

    def close(self) -> None:
        """Stop the time."""
        self._stopped = True
        self._thread.join()

    def _run(self) -> None:
        last_s = time.monotonic()
        while not self._stopped:
            time.sleep(STEP_S)
            now_s = time.monotonic()
            goal_s = min(self.host.now_s + (now_s - last_s) * self._speed, self._end_s, self._state.next_s)
            last_s = now_s
            if goal_s > self.host.now_s:
                self.host.advance(goal_s - self.host.now_s)
                self._moved_s = now_s
                self._write()
            elif now_s - self._moved_s > HELD_S:
                self._state.forget()
            if self.host.now_s >= self._end_s - 1e-9:
                self._end_s, self._speed = float("inf"), 1.0
                self._over.set()

    def _write(self) -> None:
        true_j = sum(counter.true_j for counter in self.counters)
        self._state.write(self.host.now_s, true_j, self.failing, self.denied)


def _furnish(root: Path) -> None:
    """Other files that tools look for: two processors with the same number of cores, a folder for locks."""
    cpus = root / "sys/devices/system/cpu"
    for cpu in range(4):
        (cpus / f"cpu{cpu}/topology").mkdir(parents=True)
        (cpus / f"cpu{cpu}/topology/physical_package_id").write_text("0\n")
    (cpus / "present").write_text("0-3\n")
    (root / "proc").mkdir(exist_ok=True)
    (root / "proc/cpuinfo").write_text(
        "".join(
            f"processor\t: {cpu}\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R) Gold 6230 CPU @ 2.10GHz\n"
            f"physical id\t: 0\nflags\t\t: fpu sse2 avx512f\n\n"
            for cpu in range(4)
        )
    )
    (root / "run/lock").mkdir(parents=True)


def _subsystem(root: Path) -> None:
    for control in (root / "sys/devices/virtual/powercap").iterdir():
        link = control / "subsystem"
        if not link.is_symlink():
            link.symlink_to("../../../../class/powercap")


def _one(power_w: float = 280.0, start_j: float = 5000.0, modulus_j: float = RANGE_J) -> Any:
    return lambda host: [host.add_package(power_w, start_j=start_j, modulus_j=modulus_j)]


def _repeated_dies(host: SimulatedHost) -> list[Any]:
    first = host.add_package(150.0, die=0)
    host.add_package(150.0, die=1, repeats=first)
    return [first]


def _distinct_dies(host: SimulatedHost) -> list[Any]:
    return [host.add_package(150.0, die=0), host.add_package(110.0, die=1, start_j=9000.0)]


def _with_psys(host: SimulatedHost) -> list[Any]:
    package = host.add_package(120.0)
    host.add_psys(180.0)
    return [package]


def _fail(world: World) -> None:
    world.failing = True


def _recover(world: World) -> None:
    world.failing = False


def _reset(world: World) -> None:
    world.counters[0].reset()


def _just_after_the_wrap(world: World) -> float:
    counter = world.counters[0]
    return float((counter.modulus_j - counter.raw_j) / counter.power_w) + 0.01


SCENARIOS = {
    "plain": Scenario("nothing goes wrong", _one(), 120.0),
    "wrap": Scenario("one wrap in 20 min", _one(), 1200.0),
    "late-wrap": Scenario("one wrap, 10 ms before the end", _one(start_j=RANGE_J - 6e4), _just_after_the_wrap),
    "wraps": Scenario("six wraps in 26 min", _one(260.0, modulus_j=SMALL_RANGE_J), 1560.0),
    "failed-reads": Scenario("reads fail (EIO) for 20 s of 120 s", _one(), 120.0, ((50.0, _fail), (70.0, _recover))),
    "fails-at-end": Scenario("reads fail (EIO) from 100 s of 120 s on", _one(), 120.0, ((100.0, _fail),)),
    "reset": Scenario("the counter is reset after 60 s of 120 s", _one(), 120.0, ((60.0, _reset),)),
    "repeated-dies": Scenario("two dies show one counter (Zen 1, 2)", _repeated_dies, 120.0),
    "distinct-dies": Scenario("two dies with a counter each", _distinct_dies, 120.0),
    "psys": Scenario("psys beside its package", _with_psys, 120.0),
    "denied": Scenario("only root may read (Linux since 5.10)", _one(), 60.0, denied=True),
}
