"""What NVML says of a GPU, read without ecoml's own meter, for `gpu_check.py`."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from gpu_finding import Finding, Where

_POWER_INSTANT = 186
_WATCH_S = 1.5
_REST_S = 1.5
_LOAD_S = 4.0
_READ_EVERY_S = 0.02


@dataclass(frozen=True, slots=True)
class Board:
    """A GPU as NVML shows it, and its clock. The time of a simulated GPU advances when `sleep` is called.

    Attributes:
        nvml: The module, or its simulated replacement.
        handle: The GPU.
        clock: Returns the time in seconds.
        sleep: Waits for some seconds.
        tick_s: Shortest time between two readings.
    """

    nvml: Any
    handle: Any
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    tick_s: float

    def energy_j(self) -> float:
        """Joules since the driver was loaded."""
        return int(self.nvml.nvmlDeviceGetTotalEnergyConsumption(self.handle)) * 1e-3

    def power_w(self) -> float:
        """The current power in watts, as the board states it."""
        try:
            from ecoml.meter.counters.device import field_value

            shown = field_value(self.nvml.nvmlDeviceGetFieldValues(self.handle, [(_POWER_INSTANT, 0)])[0])
            if shown > 0:
                return shown * 1e-3
        except Exception as error:
            print(f"no instantaneous power: {error}")
        return int(self.nvml.nvmlDeviceGetPowerUsage(self.handle)) * 1e-3


def host(where: Where) -> Iterator[Finding]:
    """Facts of the host and NVML: names, limits, the counter's period, step and latency, a context's power, and the
    counter against power.
    """
    import platform

    import torch

    yield Finding("Python, torch, CUDA", f"{platform.python_version()}, {torch.__version__}, {torch.version.cuda}")
    with tempfile.TemporaryDirectory() as folder:
        board, load = _gpu() if where.cuda else _simulated(Path(folder))
        yield from _facts(board)
        yield from _ticks(board)
        rest_w = _mean_power_w(board, _REST_S)
        yield Finding("power at rest, without a context", f"{rest_w:.1f} W")
        load(0.0)  # creates the context
        board.sleep(0.5)
        context_w = _mean_power_w(board, _REST_S) - rest_w
        yield Finding("power of a context, above that", f"{context_w:+.1f} W", "26–50 W")
        yield _counter_against_power(board, load)
        if where.cuda:
            yield from _sources()


def _facts(board: Board) -> Iterator[Finding]:
    nvml, handle = board.nvml, board.handle

    def told(name: str, *arguments: Any) -> Any:
        try:
            value = getattr(nvml, name)(*arguments)
        except Exception:  # a driver may refuse any of these facts, each in its own way
            return "not told"
        return value.decode() if isinstance(value, bytes) else value

    yield Finding("GPU", str(told("nvmlDeviceGetName", handle)))
    yield Finding("driver", str(told("nvmlSystemGetDriverVersion")))
    limit_mw = told("nvmlDeviceGetEnforcedPowerLimit", handle)
    yield Finding("power limit", f"{limit_mw / 1000:.0f} W" if isinstance(limit_mw, int) else str(limit_mw))
    yield Finding("MIG", str(told("nvmlDeviceGetMigMode", handle)))


def _ticks(board: Board) -> Iterator[Finding]:
    """How often the energy counter is updated, its smallest step, and the time of a reading."""
    took_s, changes = [], []
    end_s, last_j = board.clock() + _WATCH_S, board.energy_j()
    while board.clock() < end_s:
        before_s = time.perf_counter()
        now_j = board.energy_j()
        took_s.append(time.perf_counter() - before_s)
        if now_j != last_j:
            changes.append((board.clock(), now_j - last_j))
            last_j = now_j
        board.sleep(board.tick_s)
    if len(changes) < 3:
        yield Finding("updates of the energy counter", f"{len(changes)} in {_WATCH_S:g} s", "≥ 3", False)
        return
    periods_s = [later[0] - one[0] for one, later in pairwise(changes)]
    reading_s = statistics.median(took_s)
    yield Finding("period of the energy counter", f"{1000 * statistics.median(periods_s):.0f} ms", "10–100 ms")
    yield Finding("smallest step of it", f"{1000 * min(step for _, step in changes):.0f} mJ")
    yield Finding("a reading of it", f"{1e6 * reading_s:.0f} µs")


def _mean_power_w(board: Board, seconds: float) -> float:
    """Mean power between two updates of the counter that are this far apart."""
    one_s, one_j = _at_an_update(board)
    board.sleep(seconds)
    other_s, other_j = _at_an_update(board)
    return (other_j - one_j) / (other_s - one_s)


def _at_an_update(board: Board) -> tuple[float, float]:
    """Time and joules right after an update of the counter; the current ones if there is no update for a second."""
    before_j, end_s = board.energy_j(), board.clock() + 1.0
    while board.clock() < end_s and board.energy_j() == before_j:
        board.sleep(board.tick_s)
    return board.clock(), board.energy_j()


def _counter_against_power(board: Board, load: Callable[[float], None]) -> Finding:
    """Joules of the counter against the power, integrated over the same time, under load."""
    load(0.5)  # until the clock rates have risen
    one_s, one_j = _at_an_update(board)
    sum_j, read_s = 0.0, one_s
    while board.clock() < one_s + _LOAD_S:
        load(_READ_EVERY_S)
        now_s = board.clock()
        sum_j += board.power_w() * (now_s - read_s)
        read_s = now_s
    other_s, other_j = _at_an_update(board)
    sum_j += board.power_w() * (other_s - read_s)
    apart = (other_j - one_j) / sum_j - 1
    power_w = (other_j - one_j) / (other_s - one_s)
    return Finding(f"counter against power, at {power_w:.0f} W", f"{apart:+.1%}", "within 5 %", abs(apart) <= 0.05)


def _sources() -> Iterator[Finding]:
    """What ecoml's own meter reads on this host."""
    from ecoml.meter import open_meter

    with open_meter() as meter:
        time.sleep(2.0)
        for source in meter.sources:
            if source.used:
                period = "" if source.period_s is None else f", every {1000 * source.period_s:.0f} ms"
                yield Finding(f"ecoml reads {source.domain}", f"{source.name}, {source.provenance}{period}")


def _gpu() -> tuple[Board, Callable[[float], None]]:
    """The first GPU that this process may use, and a load that lasts at least this many seconds."""
    import pynvml

    from ecoml.meter.counters.ordinals import nvml_indices

    pynvml.nvmlInit()
    handle = pynvml.nvmlDeviceGetHandleByIndex(next(iter(nvml_indices([0]))))
    factors: list[Any] = []

    def load(seconds: float) -> None:
        import torch

        if not factors:
            factors.append(torch.randn(8192, 8192, dtype=torch.bfloat16, device="cuda"))
        torch.cuda.synchronize()
        end_s = time.perf_counter() + seconds
        while time.perf_counter() < end_s:
            for _ in range(4):
                factors[0] @ factors[0]
            torch.cuda.synchronize()

    return Board(pynvml, handle, time.perf_counter, time.sleep, 2e-4), load


def _simulated(folder: Path) -> tuple[Board, Callable[[float], None]]:
    """A simulated GPU: it updates its counter every 100 ms, draws 70 W, 40 W more with a context, and 600 W at work."""
    from ecoml.testing.hosts import SimulatedHost

    simulated = SimulatedHost(folder)
    now_w = {"now": 70.0}
    simulated.add_gpu(power_w=lambda _: now_w["now"], name="simulated GPU")
    assert simulated.nvml is not None, "it has a GPU"

    def load(seconds: float) -> None:
        now_w["now"] = 600.0
        simulated.advance(seconds)
        now_w["now"] = 110.0

    handle = simulated.nvml.nvmlDeviceGetHandleByIndex(0)
    return Board(simulated.nvml, handle, simulated.clock, simulated.advance, 1e-3), load
