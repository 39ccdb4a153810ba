"""The host's meter: it reads all gauges together, and runs one thread if hardware counters need one.

A meter belongs to the process that opened it. A forked child has no polling thread, and another thread may have held a
lock at the fork. In the child the meter therefore keeps its last reading and says so in `gaps`; the child opens its own
meter.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

from ecoml.energy import Energy, EnergyByDomain, Provenance, weakest
from ecoml.meter.base import REAL_TIME, DeviceState, Source, Timing
from ecoml.meter.counters.estimate import Estimate
from ecoml.meter.counters.neighbours import Neighbours
from ecoml.meter.repair.clock import MeterClock
from ecoml.meter.repair.gauge import Gauge, Reading, between
from ecoml.meter.window import HostWindow, Instant

_GAPS_KEPT = 1000
_POWER_S = 1.0  # power is a mean over about this
_HISTORY_S = 0.1  # snapshots closer together are not kept for it
_WATCH_S = 0.5  # so often a counter is read although nobody asks, to see whether it goes on


class HostMeter:
    """Cumulative joules of this host; implements `ecoml.meter.base.Meter`. Thread-safe.

    Args:
        gauges: The gauges that are counted; no two cover each other.
        sources: All sources that were looked for.
        unseen: Domain → why it cannot be read, one sentence; this domain is `missing` in every window.
        clock: The meter's clock.
        devices: Domain → function that returns the current state of its device.
        neighbours: Other processes that meter this host; None: not looked for.
        watch: Whether a thread also reads counters that are far from wrapping, to learn their update periods and to
            notice when they stop.
        beside: A second meter for readable sources that are not counted here; None: there is none. It is closed
            together with this one.
        on_close: Called once, after the gauges are closed.
        pace: How time passes for it.
        nvml: The NVML of its GPUs; None: the module `pynvml`.

    Attributes:
        pace, nvml: As given.
    """

    def __init__(
        self,
        gauges: Sequence[Gauge],
        sources: Iterable[Source],
        unseen: Mapping[str, str],
        clock: MeterClock,
        *,
        devices: Mapping[str, Callable[[], DeviceState]] | None = None,
        neighbours: Neighbours | None = None,
        watch: bool = False,
        beside: HostMeter | None = None,
        on_close: Callable[[], None] = lambda: None,
        pace: Timing = REAL_TIME,
        nvml: Any | None = None,
    ) -> None:
        self._gauges = tuple(gauges)
        self._sources = tuple(sources)
        self._unseen = dict(unseen)
        self._clock = clock
        self._devices = dict(devices or {})
        self._neighbours = neighbours
        self.beside = beside
        self.pace = pace
        self.nvml = nvml
        # Runs when the meter is closed, or has been forgotten; not at exit, where the system frees all.
        self._free = weakref.finalize(self, _free, self._gauges, neighbours, on_close)
        self._free.atexit = False
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._closed = False
        self._gaps: deque[str] = deque(maxlen=_GAPS_KEPT)
        self._gap_count = 0
        self._history: deque[Instant] = deque()
        self._last = Instant(0.0, (), 0, ())
        self.snapshot()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._learns = watch
        waits_s = [gauge.poll_s for gauge in self._gauges if gauge.poll_s is not None] + [_WATCH_S] * watch
        self._poll_s = min(waits_s, default=None)
        if self._poll_s is not None:
            arguments = (weakref.ref(self), self._stop, self._poll_s)
            self._thread = threading.Thread(target=_poll, args=arguments, name="ecoml-meter", daemon=True)
            self._thread.start()

    @property
    def sources(self) -> tuple[Source, ...]:
        """All sources that were looked for, with what is known of each so far."""
        gauges = {gauge.domain: gauge for gauge in self._gauges}
        with self._lock:
            return tuple(gauges[source.domain].describe(source) if source.used else source for source in self._sources)

    @property
    def provenance(self) -> Provenance:
        """The provenance that a window opened now would have: that of the weakest domain."""
        kinds = [Provenance.MISSING if gauge.failure else gauge.provenance for gauge in self._gauges]
        return weakest(kinds + [Provenance.MISSING] * len(self._unseen))

    @property
    def neighbours(self) -> tuple[int, ...]:
        """Processes that currently meter this host with ecoml; this one only if it has further meters."""
        if self._neighbours is None:
            return ()
        self.snapshot()
        return self._neighbours.pids

    def read(self) -> dict[str, float]:
        """Joules by domain since the meter was opened.

        A domain that currently cannot be read keeps its last value; a domain that never could be read is absent.
        """
        readings = self.snapshot().readings
        return {gauge.domain: reading.energy_j for gauge, reading in zip(self._gauges, readings, strict=True)}

    def counted(self) -> dict[str, float]:
        """As `read`, but without interpolation: the values change only when the sources update."""
        readings = self.snapshot().readings
        pairs = zip(self._gauges, readings, strict=True)
        return {gauge.domain: reading.energy_j - reading.ahead_j for gauge, reading in pairs}

    def power_w(self) -> dict[str, float]:
        """Mean power by domain over about the last second, of the domains for which it is known."""
        last = self.snapshot()
        with self._lock:
            first = self._history[0]
        seconds = last.at_s - first.at_s
        triples = zip(self._gauges, first.readings, last.readings, strict=True)
        return {
            gauge.domain: (now.energy_j - then.energy_j) / seconds
            for gauge, then, now in triples
            if seconds > 0 and not now.failing and now.seen > then.seen
        }

    def observe(self) -> dict[str, DeviceState]:
        """The current state of each metered device, by domain. Raises nothing."""
        return {domain: state() for domain, state in self._devices.items()} if not self._closed else {}

    @property
    def idle(self) -> dict[str, Energy]:
        """Joules of one idle second of the host by domain, for domains that are estimated; counters must be observed
        instead.
        """
        return {gauge.domain: gauge.idle for gauge in self._gauges if isinstance(gauge, Estimate)}

    def window(self) -> HostWindow:
        """A window that opens now. Any number may be open at once, and an open one costs nothing."""
        return HostWindow(self)

    def close(self) -> None:
        """Stop the polling thread and free the sources. The meter then keeps its last reading. May be called twice."""
        if os.getpid() != self._pid:
            return
        if self.beside is not None:
            self.beside.close()
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        self.snapshot()
        with self._lock:
            self._closed = True
            self._free()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def snapshot(self, *, aligned: bool = False) -> Instant:
        """The readings of all gauges now, for windows. With `aligned`, each gauge waits up to 2 ms for its next
        update.
        """
        if os.getpid() != self._pid:
            return replace(self._last, failures=("a meter does not count in a forked process: open a new one there",))
        with self._lock:
            if not self._closed:
                now_s = self._now_s()
                if self._neighbours is not None:
                    self._neighbours.check()
                if aligned and self._learns:
                    readings = tuple([self._read_when_new(gauge) for gauge in self._gauges])
                else:
                    readings = tuple([gauge.read(now_s) for gauge in self._gauges])
                present = tuple(self._take_news())
                self._last = Instant(now_s, readings, self._gap_count, present)
                self._remember(self._last)
            return self._last

    def between(self, first: Instant, last: Instant) -> EnergyByDomain:
        """The energy between two snapshots, for windows."""
        domains = {
            gauge.domain: between(gauge, *pair)
            for gauge, *pair in zip(self._gauges, first.readings, last.readings, strict=True)
        }
        domains |= {domain: Energy(0.0, 0.0, Provenance.MISSING) for domain in self._unseen}
        gaps: list[str] = []
        if last.gaps > first.gaps:
            with self._lock:
                forgotten = self._gap_count - len(self._gaps)
                recorded = list(self._gaps)
            gaps = recorded[max(0, first.gaps - forgotten) : max(0, last.gaps - forgotten)]
        return EnergyByDomain(domains, tuple(dict.fromkeys([*self._unseen.values(), *gaps, *last.failures])))

    def claimed_s(self, first: Instant, last: Instant) -> dict[str, float]:
        """Seconds between two snapshots by domain, weighted by the share that this process counts; for windows."""
        triples = zip(self._gauges, first.readings, last.readings, strict=True)
        lasted_s = last.at_s - first.at_s
        return {gauge.domain: lasted_s - (now.shared_s - then.shared_s) for gauge, then, now in triples}

    def tend(self) -> float:
        """Read the gauges that are due, for the polling thread; returns the seconds until the next call."""
        assert self._poll_s is not None
        with self._lock:
            due_s = self._last.at_s + self._poll_s - self._now_s()
        if due_s <= 0 or not self._learns:
            self.snapshot()
            due_s = self._poll_s
        waits_s = [due_s]
        if self._learns:
            with self._lock:
                if not self._closed:
                    for gauge in self._gauges:
                        now_s = self._now_s()
                        wait_s = gauge.wait_s(now_s)
                        if wait_s is not None:
                            gauge.read(now_s)
                            waits_s.append(wait_s)
        return min(waits_s)

    def _read_when_new(self, gauge: Gauge) -> Reading:
        gauge.align(self._now_s)
        return gauge.read(self._now_s())

    def _now_s(self) -> float:
        now_s, interruption = self._clock()
        if interruption is not None:
            self._gaps.append(interruption.sentence)
            self._gap_count += 1
            for gauge in self._gauges:
                gauge.interrupt(clock=interruption.clock)
        return now_s

    def _take_news(self) -> list[str]:
        """Record the faults that have ended as gaps; returns the faults that continue."""
        present: list[str] = []
        for gauge in self._gauges:
            news = gauge.news()
            self._gaps.extend(news)
            self._gap_count += len(news)
            if gauge.failure is not None:
                present.append(gauge.failure)
        return present

    def _remember(self, snapshot: Instant) -> None:
        history = self._history
        if not history or snapshot.at_s >= history[-1].at_s + _HISTORY_S:
            history.append(snapshot)
        while len(history) > 1 and history[1].at_s <= snapshot.at_s - _POWER_S:
            history.popleft()


def _free(gauges: Sequence[Gauge], neighbours: Neighbours | None, on_close: Callable[[], None]) -> None:
    for gauge in gauges:
        gauge.close()
    if neighbours is not None:
        neighbours.close()
    on_close()


def _poll(meter: weakref.ref[HostMeter], stop: threading.Event, wait_s: float) -> None:
    while not stop.wait(wait_s):
        alive = meter()
        if alive is None:
            return
        wait_s = alive.tend()
        del alive
