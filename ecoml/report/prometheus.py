"""A running search for Prometheus: its state in the text format, served over HTTP by the standard library.

It reads the run folder when it is scraped, at most once a second, as `ecoml watch` does.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ecoml.carbon.footprint import Footprint
from ecoml.energy import Purpose
from ecoml.errors import EcomlError, UsageError
from ecoml.metric import Metric
from ecoml.run.folder import LEDGER
from ecoml.run.result import Result
from ecoml.run.storage.in_flight import is_written, read_in_flight
from ecoml.trial import Trial, TrialState

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

LOOK_S = 1.0
LINGER_S = 60.0
"""Seconds for which it continues after the search has ended, so that its last state is scraped."""


class Exposition:
    """The metrics of a run folder, in Prometheus' text format.

    Args:
        folder: The run folder; its search may be running.
        clock: Returns seconds.
        look_s: Shortest time between two readings of the folder.

    Attributes:
        over: Whether no process writes to the folder any more.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic, look_s: float = LOOK_S) -> None:
        self.over = False
        self._folder = folder
        self._clock = clock
        self._look_s = look_s
        self._lock = threading.Lock()
        self._read_s = -math.inf
        self._text = ""
        self._joules: dict[Purpose, float] = dict.fromkeys(Purpose, 0.0)
        self._grams: dict[Purpose, float] = {}

    def text(self) -> str:
        """The current state.

        Raises:
            RunFolderError: The folder is no run folder, or of a newer version.
        """
        with self._lock:
            if self._clock() - self._read_s >= self._look_s:
                self._text = "".join(f"{line}\n" for line in self._lines())
                self._read_s = self._clock()
            return self._text

    def _lines(self) -> Iterator[str]:
        result = Result.load(self._folder)
        energy = result.energy
        running = result.ended is None and is_written(self._folder)
        self.over = not running
        in_flight = read_in_flight(self._folder / LEDGER)
        for purpose in Purpose:
            flying_j, flying_g = in_flight.get(purpose, (0.0, 0.0))
            # Between the two readings a step may be settled; a counter must not fall for that.
            self._joules[purpose] = max(self._joules[purpose], energy.by_purpose[purpose].energy_j + flying_j)
            if energy.co2e.provenance is not None:
                grams = energy.co2e.by_purpose.get(purpose, 0.0) + flying_g
                self._grams[purpose] = max(self._grams.get(purpose, 0.0), grams)
        spent_j = math.fsum(self._joules.values())
        source = {"provenance": energy.provenance.value}
        yield from _metric(
            "ecoml_energy_joules_total",
            "Energy of the search by purpose.",
            {_labels(purpose=purpose.value, **source): joules for purpose, joules in self._joules.items()},
        )
        yield from _metric("ecoml_energy_uncertainty_joules", "Half-width of the total.", energy.total.uncertainty_j)
        yield from _metric("ecoml_budget_joules", "Energy budget of the search.", energy.budget_j)
        yield from _metric("ecoml_budget_left_joules", "What is left of it.", max(0.0, energy.budget_j - spent_j))
        yield from self._carbon(energy.co2e)
        states = Counter(trial.state for trial in result.trials)
        by_state = {_labels(state=state.value): states[state] for state in TrialState}
        yield from _metric("ecoml_trials", "Trials by state.", by_state)
        yield from _best(result.front, result.metric)
        yield from _metric("ecoml_search_running", "Whether the search is running.", running)

    def _carbon(self, co2e: Footprint) -> Iterator[str]:
        if co2e.provenance is None:
            return
        source = {"provenance": co2e.provenance.value}
        yield from _metric(
            "ecoml_co2e_grams_total",
            "CO2e by purpose, from the grid's intensity at the time of each joule.",
            {_labels(purpose=purpose.value, **source): grams for purpose, grams in self._grams.items()},
        )
        if co2e.budget_g is not None:
            left_g = max(0.0, co2e.budget_g - math.fsum(self._grams.values()))
            yield from _metric("ecoml_co2e_budget_grams", "CO2e budget of the search.", co2e.budget_g)
            yield from _metric("ecoml_co2e_budget_left_grams", "What is left of it.", left_g)


def serve(
    folder: Path, where: str, say: Callable[[str], None], *, look_s: float = LOOK_S, linger_s: float = LINGER_S
) -> None:
    """Serve a run's metrics until a minute after it has ended, or until Ctrl-C.

    Args:
        folder: The run folder.
        where: `PORT`, on this host only, or `ADDRESS:PORT`.
        say: Receives the address.
        look_s: Shortest time between two readings of the folder.
        linger_s: How long it continues after the search has ended.

    Raises:
        RunFolderError: The folder is no run folder, or of a newer version.
        UsageError: The address cannot be used.
    """
    exposition = Exposition(folder, look_s=look_s)
    exposition.text()
    host, _, port = where.rpartition(":")
    if not port.isdigit() or not 0 <= int(port) < 65536:
        raise UsageError(f"--prometheus {where}: give a port, such as 9200, or an address and a port: 0.0.0.0:9200")
    try:
        server = ThreadingHTTPServer((host or "127.0.0.1", int(port)), _handler(exposition))
    except OSError as error:
        raise UsageError(
            f"--prometheus {where}: cannot be served there ({error.strerror}); choose another port"
        ) from None
    say(f"serving {folder} at http://{host or '127.0.0.1'}:{server.server_port}/metrics; Ctrl-C ends it")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True)
    thread.start()
    try:
        _until_over(exposition, look_s, linger_s)
    except KeyboardInterrupt:  # ends the serving, not the search
        pass
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _until_over(exposition: Exposition, look_s: float, linger_s: float) -> None:
    over_s = 0.0
    while over_s < linger_s:
        time.sleep(look_s)
        exposition.text()
        over_s = over_s + look_s if exposition.over else 0.0


def _handler(exposition: Exposition) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer `/metrics`; there is no other address."""
            if self.path.split("?")[0] not in ("/", "/metrics"):
                self.send_error(404, "see /metrics")
                return
            try:
                content, status = exposition.text().encode(), 200
            except EcomlError as error:
                content, status = f"{error}\n".encode(), 503
            self.send_response(status)
            self.send_header("Content-Type", CONTENT_TYPE if status == 200 else "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: Any) -> None:
            """Do not log scrapes."""

    return Handler


def _best(front: Sequence[Trial], metric: Metric) -> Iterator[str]:
    """The best score so far; empty before the first."""
    points = [trial.curve[-1] for trial in front if trial.curve]
    if not points:
        return
    best = max(points, key=lambda point: point.utility)
    labels = _labels(metric=metric.name, direction="minimize" if metric.minimize else "maximize")
    yield from _metric("ecoml_best_score", "The best score of a trial so far.", {labels: best.score})
    yield from _metric("ecoml_best_energy_joules", "Energy of the trial with the best score.", best.energy_j)


def _metric(name: str, help_text: str, values: Mapping[str, float] | float) -> Iterator[str]:
    yield f"# HELP {name} {help_text}"
    yield f"# TYPE {name} {'counter' if name.endswith('_total') else 'gauge'}"
    for labels, value in (values if isinstance(values, Mapping) else {"": values}).items():
        yield f"{name}{labels} {float(value)!r}"


def _labels(**labels: str) -> str:
    escaped = {
        name: value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"") for name, value in labels.items()
    }
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped.items()) + "}"
