"""pyRAPL as one way to read a RAPL counter.

Only pyRAPL's `Sensor` is used, one per counter: it keeps its file open and gives raw µJ. Wraps, resets and failed reads
are therefore handled by ecoml, and one counter's failure does not affect another's.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ecoml.meter.counters.cpu.powercap import Zone


class PyRapl:
    """One counter, read through its own pyRAPL `Sensor`."""

    def __init__(self, sensor: Any, position: int) -> None:
        self._sensor = sensor
        self._position = position

    @classmethod
    def open(cls, zone: Zone) -> PyRapl | None:
        """A reader for a zone of this host; None if pyRAPL cannot read it."""
        if zone.kind == "psys":
            return None
        try:
            with _hushed():
                import pyRAPL

                device = pyRAPL.Device.PKG if zone.kind == "package" else pyRAPL.Device.DRAM
                sensor = pyRAPL.Sensor(devices=[device], socket_ids=[zone.package])
        except Exception:  # a bare PermissionError, its own exceptions, and what sysfs may do to it
            return None
        return cls(sensor, 2 * zone.package + int(device))

    def __call__(self) -> float:
        """The raw counter in joules. Raises the errors of reading a file."""
        return float(self._sensor.energy()[self._position]) * 1e-6

    def close(self) -> None:
        """Close its file, which pyRAPL itself never closes."""
        for api in self._sensor._device_api.values():
            for file in api._sys_files:
                file.close()


@contextmanager
def _hushed() -> Iterator[None]:
    # pyRAPL warns on the root logger when it is imported, which also gives that logger a handler for good; it leaves
    # files for the garbage collector, and its sources hold escapes that Python warns of.
    root = logging.getLogger()
    handlers = list(root.handlers)

    def not_pyrapl(record: logging.LogRecord) -> bool:
        return "pyRAPL" not in Path(record.pathname).parts

    root.addFilter(not_pyrapl)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.removeFilter(not_pyrapl)
        if not handlers:
            for handler in list(root.handlers):
                root.removeHandler(handler)
