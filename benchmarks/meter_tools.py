"""One energy meter in a process of its own, for `benchmarks/meter.py`: ecoml, or another tool with its defaults.

    python meter_tools.py TOOL error       one window; lines on standard input open and close it
    python meter_tools.py TOOL overhead    a training of about `TRAINING_S` seconds, one window per epoch

Each answer is a line of JSON on the original standard output; everything that a tool prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from typing import IO, Any

from meter_overhead import Tool, training


class Ecoml:
    """`ecoml.meter`."""

    def __init__(self) -> None:
        from ecoml.meter import open_meter

        self._meter = open_meter()
        self._window = self._meter.window()

    def begin(self) -> None:
        self._window.__enter__()

    def end(self) -> dict[str, Any]:
        self._window.__exit__(None, None, None)
        energy = self._window.energy()
        return {
            "energy_j": energy.energy_j,
            "uncertainty_j": energy.uncertainty_j,
            "provenance": str(energy.provenance),
            "gaps": list(energy.gaps),
        }

    def close(self) -> None:
        self._meter.close()


class PyRapl:
    """pyRAPL's `Measurement` on all packages."""

    def __init__(self) -> None:
        import pyRAPL

        pyRAPL.setup(devices=[pyRAPL.Device.PKG])
        self._measurement = pyRAPL.Measurement("window")

    def begin(self) -> None:
        self._measurement.begin()

    def end(self) -> dict[str, Any]:
        self._measurement.end()
        packages = self._measurement.result.pkg
        return {"energy_j": None if packages is None else sum(packages) * 1e-6}

    def close(self) -> None:
        pass


class PyJoules:
    """pyJoules' `EnergyMeter` on all packages it finds."""

    def __init__(self) -> None:
        from pyJoules.device import DeviceFactory
        from pyJoules.device.rapl_device import RaplDevice
        from pyJoules.energy_meter import EnergyMeter

        domains = RaplDevice.available_package_domains()
        if not domains:
            raise LookupError("it finds no package")
        self._meter = EnergyMeter(DeviceFactory.create_devices(domains))

    def begin(self) -> None:
        self._meter.start(tag="window")

    def end(self) -> dict[str, Any]:
        self._meter.stop()
        return {"energy_j": sum(sum(sample.energy.values()) for sample in self._meter.get_trace()) * 1e-6}

    def close(self) -> None:
        pass


class CodeCarbon:
    """codecarbon's offline tracker: its figure for the CPU."""

    def __init__(self) -> None:
        from codecarbon import OfflineEmissionsTracker

        self._tracker = OfflineEmissionsTracker(
            country_iso_code="FRA", log_level="warning", save_to_file=False, allow_multiple_runs=True
        )
        self._task = 0

    def begin(self) -> None:
        self._tracker.start()

    def end(self) -> dict[str, Any]:
        self._tracker.stop()
        return {"energy_j": self._tracker.final_emissions_data.cpu_energy * 3.6e6}

    def close(self) -> None:
        pass


class CodeCarbonTasks(CodeCarbon):
    """codecarbon with one tracker for the entire training, and a task for each window."""

    def __init__(self) -> None:
        super().__init__()
        self._tracker.start()

    def begin(self) -> None:
        self._task += 1
        self._tracker.start_task(f"epoch {self._task}")

    def end(self) -> dict[str, Any]:
        return {"energy_j": self._tracker.stop_task(f"epoch {self._task}").cpu_energy * 3.6e6}

    def close(self) -> None:
        self._tracker.stop()


class Zeus:
    """zeus' `ZeusMonitor` on all packages."""

    def __init__(self) -> None:
        from zeus.monitor import ZeusMonitor

        self._monitor = ZeusMonitor(gpu_indices=[])
        if not self._monitor.cpu_indices:
            raise LookupError("it finds no processor it can read")

    def begin(self) -> None:
        self._monitor.begin_window("window")

    def end(self) -> dict[str, Any]:
        energy_j = self._monitor.end_window("window").cpu_energy
        return {"energy_j": None if energy_j is None else sum(energy_j.values())}

    def close(self) -> None:
        for cpu in self._monitor.cpus.cpus:
            cpu.rapl_file.wraparound_tracker._stop()


class Perun:
    """perun's decorator around a function that lasts as long as the window."""

    def __init__(self) -> None:
        from perun import perun, register_callback

        self._began, self._over = threading.Event(), threading.Event()
        self._energy_j: float | None = None

        def take(node: Any) -> None:
            from perun.data_model.data import MetricType

            metric = node.metrics.get(MetricType.CPU_ENERGY)
            self._energy_j = None if metric is None else float(metric.value)

        @perun(data_out="perun_results", sampling_period=1)
        def window() -> None:
            register_callback(take)
            self._began.set()
            self._over.wait()

        self._thread = threading.Thread(target=window)

    def begin(self) -> None:
        self._thread.start()
        self._began.wait()

    def end(self) -> dict[str, Any]:
        self._over.set()
        self._thread.join()
        return {"energy_j": self._energy_j}

    def close(self) -> None:
        pass


class CarbonTracker:
    """carbontracker's measuring thread on the CPU, without its request for the grid of the host."""

    def __init__(self) -> None:
        from carbontracker.components import component
        from carbontracker.loggerutil import Logger
        from carbontracker.tracker import CarbonTrackerThread

        logger = Logger()
        components = component.create_components("cpu", pids=[os.getpid()], devices_by_pid=False, logger=logger)
        self._thread = CarbonTrackerThread(
            components=components, logger=logger, ignore_errors=False, delete=lambda: None, update_interval=1
        )

    def begin(self) -> None:
        self._thread.epoch_start()

    def end(self) -> dict[str, Any]:
        self._thread.epoch_end()
        thread = self._thread
        kwh = sum(part.energy_usage(thread.epoch_times)[-1] for part in thread.components)
        return {"energy_j": float(kwh) * 3.6e6}

    def close(self) -> None:
        self._thread.stop()


TOOLS: dict[str, Callable[[], Tool]] = {
    "ecoml": Ecoml,
    "pyRAPL": PyRapl,
    "pyJoules": PyJoules,
    "codecarbon": CodeCarbon,
    "zeus": Zeus,
    "perun": Perun,
    "carbontracker": CarbonTracker,
}
OVERHEAD: dict[str, Callable[[], Tool]] = {"ecoml": Ecoml, "codecarbon": CodeCarbonTasks, "zeus": Zeus}


def one_window(tool: Tool, say: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """A window between two lines of standard input. The true energy is read just inside and just outside of it."""
    from sitecustomize import State  # the simulated system's

    state = State(os.environ["ECOML_SIMULATED_STATE"])
    sys.stdin.readline()
    before_j = state.true_j
    tool.begin()
    began_j = state.true_j
    say({"state": "began"})
    sys.stdin.readline()
    ending_j = state.true_j
    result = tool.end()
    after_j = state.true_j
    tool.close()
    return {**result, "true_j": ending_j - began_j, "edges_j": (after_j - ending_j) + (began_j - before_j)}


def main() -> None:
    name, what = sys.argv[1:3]
    answers: IO[str] = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(answer: dict[str, Any]) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    try:
        if what == "overhead":
            say(training(OVERHEAD.get(name)))
        else:
            tool = TOOLS[name]()
            say({"state": "ready"})
            say(one_window(tool, say))
    except ImportError as error:
        say({"absent": str(error)})
    except Exception as error:
        say({"raises": " ".join(f"{type(error).__name__}: {error}".split())})
    os._exit(0)  # a tool's own threads and processes may not end by themselves


if __name__ == "__main__":
    main()
