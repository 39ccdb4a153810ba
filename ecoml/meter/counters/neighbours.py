"""Other processes that meter this host with ecoml, found through a file that each of them keeps locked.

The counter of a processor or board contains the energy of all of them. While n processes meter a domain, each counts an
n-th of it, and its uncertainty covers the rest. A killed process loses its lock and is no longer counted.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from ecoml.meter.repair.gauge import Gauge, Reading

_CHECK_S = 1.0
_FOLDERS = [Path("/run/lock/ecoml"), Path(tempfile.gettempdir()) / "ecoml-meters"]


class _Registration:
    """This process's own file: the domains of all its meters."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._meters: list[frozenset[str]] = []
        self._file: tuple[int, Path] | None = None  # its descriptor and its path
        self._pid = os.getpid()

    def add(self, domains: frozenset[str]) -> None:
        if self._pid != os.getpid():  # this process was forked: what there is belongs to the parent
            self._lock, self._meters, self._file, self._pid = threading.Lock(), [], None, os.getpid()
        with self._lock:
            self._meters.append(domains)
            self._write()

    def count(self, domains: frozenset[str]) -> int:
        """Number of meters of this process that count any of these domains."""
        return sum(not domains.isdisjoint(of) for of in self._meters) if self._pid == os.getpid() else 0

    def remove(self, domains: frozenset[str]) -> None:
        with self._lock, contextlib.suppress(ValueError):
            self._meters.remove(domains)
            self._write()

    def _write(self) -> None:
        if not self._meters:
            if self._file is not None:
                descriptor, path = self._file
                path.unlink(missing_ok=True)
                os.close(descriptor)
                self._file = None
            return
        with contextlib.suppress(OSError):
            self._file = self._file or _locked_file()
            text = json.dumps(sorted(frozenset().union(*self._meters))).encode()
            os.pwrite(self._file[0], text, 0)
            os.ftruncate(self._file[0], len(text))


_registration = _Registration()


class Neighbours:
    """The other processes that meter any of these domains.

    Args:
        domains: The host-wide domains that this meter counts.
        claims: Whether other processes may find this process.
    """

    def __init__(self, domains: Iterable[str], *, claims: bool = True) -> None:
        self._domains = frozenset(domains)
        self._claims = claims
        self._checked_s = -float("inf")
        self._present: dict[int, frozenset[str]] = {}  # process → which of our domains
        if claims:
            _registration.add(self._domains)

    @property
    def pids(self) -> tuple[int, ...]:
        """Their process numbers; this process's own is among them if it has a second meter, since each meter counts
        everything.
        """
        own = {os.getpid()} if _registration.count(self._domains) > self._claims else set()
        return tuple(sorted({*self._present, *own}))

    def sharers(self, domain: str) -> int:
        """Number of processes that meter a domain, this one included."""
        return 1 + sum(domain in shared for shared in self._present.values())

    def check(self) -> None:
        """Look for other processes, at most once a second."""
        now_s = time.monotonic()
        if now_s - self._checked_s < _CHECK_S:
            return
        self._checked_s = now_s
        self._present = {pid: shared for pid, domains in _others() if (shared := domains & self._domains)}

    def close(self) -> None:
        """Withdraw this process. May be called twice."""
        if self._claims:
            self._claims = False
            _registration.remove(self._domains)


class SharedGauge:
    """A gauge of the entire host; each process that meters it counts its part. Implements `Gauge`: all but the readings
    is as in the gauge.
    """

    def __init__(self, gauge: Gauge, neighbours: Neighbours) -> None:
        self.domain = gauge.domain
        self.provenance = gauge.provenance
        self.gain = gauge.gain
        self.poll_s = gauge.poll_s
        self.wait_s, self.align, self.interrupt = gauge.wait_s, gauge.align, gauge.interrupt
        self.describe, self.news, self.close = gauge.describe, gauge.news, gauge.close
        self._gauge = gauge
        self._neighbours = neighbours
        self._sharers = 1
        self._whole_j: float | None = None
        self._others_j = 0.0
        self._shared_s, self._read_s = 0.0, math.inf

    @property
    def failure(self) -> str | None:
        """As in the gauge."""
        return self._gauge.failure

    def read(self, now_s: float) -> Reading:
        """This process's part of the energy now."""
        reading = self._gauge.read(now_s)
        before, self._sharers = self._sharers, self._neighbours.sharers(self.domain)
        others = 1 - 1 / max(before, self._sharers)
        rise_j = reading.energy_j - (reading.energy_j if self._whole_j is None else self._whole_j)
        self._whole_j = reading.energy_j
        self._others_j += rise_j * others
        self._shared_s += others * max(0.0, now_s - self._read_s)
        self._read_s = now_s
        return reading._replace(
            energy_j=reading.energy_j - self._others_j,
            doubt_j=reading.doubt_j + self._others_j,
            shared_s=self._shared_s,
        )


def _folder() -> Path | None:
    for folder in _FOLDERS:
        with contextlib.suppress(OSError):
            if not folder.exists():
                folder.mkdir()
                folder.chmod(0o1777)  # any user's process may be a neighbour
            if os.access(folder, os.W_OK | os.X_OK) and not folder.is_symlink():
                return folder
    return None


def _locked_file() -> tuple[int, Path]:
    folder = _folder()
    if folder is None:
        raise OSError("no folder for locks")
    path = folder / str(os.getpid())
    fresh = path.with_name(f".{path.name}")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fresh.rename(path)  # it is never seen without its lock
    return descriptor, path


def _others() -> Iterator[tuple[int, frozenset[str]]]:
    """The living processes that meter this host, with their domains."""
    for folder in _FOLDERS:
        try:
            names = os.listdir(folder)  # noqa: PTH208 - a tenth of Path.iterdir's time
        except OSError:
            continue
        for name in names:
            if name.isdigit() and int(name) != os.getpid():
                domains = _domains_of(folder / name)
                if domains is not None:
                    yield int(name), domains


def _domains_of(path: Path) -> frozenset[str] | None:
    """The domains of the process that keeps a file locked; None if there is no such process."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        try:
            return frozenset(str(domain) for domain in json.loads(os.read(descriptor, 65536)))
        except (ValueError, TypeError, OSError):
            return None
    except OSError:
        return None
    else:
        with contextlib.suppress(OSError):
            path.unlink()  # its process was killed
        return None
    finally:
        os.close(descriptor)
