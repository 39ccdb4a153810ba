"""Electricity Maps and WattTime, with the user's own key: at most one request per hour for all processes together.

    electricitymaps:ZONE   ELECTRICITYMAPS_API_KEY           /v3/carbon-intensity/history   the last 24 hours: emissions
                                                                                            of the mix, life cycle
    watttime:REGION        WATTTIME_USER, WATTTIME_PASSWORD  /v3/forecast, after /login     the next 24 hours: marginal
                                                                                            emissions (`co2_moer`)

Nothing is asked unless the command line names a provider. The answer is stored in `$XDG_CACHE_HOME/ecoml/grid` with the
time of the last request, failed ones too, so that a second search within the hour sends no request; a search that
starts at the same moment waits for the answer to the first one. For a provider without a forecast, tomorrow is assumed
to be like the last day. An answer for another zone or in another unit than requested counts as a failed request.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ecoml.carbon.grid import GridProvenance, Series, Stretch, check_intensity
from ecoml.errors import UsageError
from ecoml.outside.fetch import Fetch, fetch_json
from ecoml.outside.folders import cache_folder, write_whole

EVERY_S = 3600.0
"""Shortest time between two requests."""

STALE_S = 2.5 * EVERY_S
"""An older intensity says nothing about the present."""

DAY_S = 86400.0
JOIN_S = 1.0
"""Longest wait at the end for an answer that has not arrived."""

_POUNDS = "lbs_co2_per_mwh"
_G_PER_KWH = 453.59237 / 1000  # in one lb/MWh
_WATCH_S = 10.0  # so often it is seen whether an hour is over: the clock may have been set

_KEYS = {"electricitymaps": ("ELECTRICITYMAPS_API_KEY",), "watttime": ("WATTTIME_USER", "WATTTIME_PASSWORD")}
_NAMES = {"electricitymaps": "Electricity Maps", "watttime": "WattTime"}

PROVIDERS = tuple(_KEYS)


class Provider:
    """A grid as a provider reports it.

    Args:
        spec: `electricitymaps:ZONE` or `watttime:REGION`.
        fetch: Sends a request over HTTP.
        clock: Returns Unix seconds.
        cache: Folder of earlier answers; None: the user's.

    Raises:
        UsageError: There is no such provider, no zone, or no key.
    """

    provenance = GridProvenance.PROVIDER
    varies = True

    def __init__(
        self,
        spec: str,
        *,
        fetch: Fetch = fetch_json,
        clock: Callable[[], float] = time.time,
        cache: Path | None = None,
    ) -> None:
        self._provider, _, self._zone = spec.partition(":")
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", self._zone):
            such = "electricitymaps:DE" if self._provider == "electricitymaps" else "watttime:CAISO_NORTH"
            raise UsageError(f"--grid-intensity {spec}: name the zone too, such as {such}")
        missing = [key for key in _KEYS[self._provider] if not os.environ.get(key)]
        if missing:
            raise UsageError(
                f"--grid-intensity {spec}: {_NAMES[self._provider]} needs your own key; set it in the"
                f" environment as {' and '.join(missing)}"
            )
        self.spec = spec
        marginal = ", marginal" if self._provider == "watttime" else ""
        self.name = f"{_NAMES[self._provider]}, {self._zone}{marginal}"
        self._fetch = fetch
        self._clock = clock
        self._file = (cache or cache_folder() / "grid") / f"{self._provider}-{self._zone}.json"
        self._failure = ""
        self._asked_s, self._series = self._remembered()
        self._news: list[str] = []
        self._told_stale = self._follows = False
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._follow, name="ecoml-grid", daemon=True)

    def at(self, at_s: float) -> float:
        """The last reported value for a time, or for the nearest time."""
        assert self._series is not None, "it was started"
        return self._series.at(at_s)

    def knows(self, at_s: float) -> bool:
        """Whether the last report is at most 2.5 h old at this time."""
        series = self._series
        if series is None:
            return False
        begins_s = max((begin_s for begin_s in series.times_s if begin_s <= at_s), default=-float("inf"))
        return at_s - begins_s <= STALE_S

    def course(self, from_s: float, until_s: float) -> list[Stretch]:
        """The forecast; without one, each day is assumed to be like the last known day."""
        series = self._series
        if series is None:
            return []
        known = series.course(from_s, until_s)
        begin_s = known[-1][1] if known else from_s
        last = series.course(series.end_s - DAY_S, series.end_s)
        if not last or last[-1][1] - last[0][0] < 0.9 * DAY_S:
            return known
        foreseen: list[Stretch] = []
        for day in range(1, 2 + int((until_s - series.end_s) // DAY_S)):
            shifted = ((a + day * DAY_S, b + day * DAY_S, value) for a, b, value in last)
            foreseen += [(max(a, begin_s), min(b, until_s), v) for a, b, v in shifted if b > begin_s and a < until_s]
        return known + foreseen

    def start(self) -> None:
        """Send a request, unless one was sent within the hour; from then on a thread sends one every hour.

        Raises:
            UsageError: The current intensity is not known.
        """
        self.look()
        if not self.knows(self._clock()):
            why = self._failure or f"{_NAMES[self._provider]} has no value for this hour"
            raise UsageError(
                f"--grid-intensity {self.spec}: the current intensity is not known: {why}; the next request follows"
                f" an hour after the last one, or at once if you remove {self._file}"
            )
        if not self._follows:
            self._follows = True
            self._thread.start()

    def look(self) -> None:
        """Send a request if one is due."""
        with self._lock, self._alone():
            now_s = self._clock()
            asked_s, series = self._remembered()  # another process may have asked
            if series is not None and asked_s > self._asked_s:
                self._asked_s, self._series = asked_s, series
            # A clock that was set back by a little has asked just now; by more than an hour, nobody knows when.
            if abs(now_s - max(asked_s, self._asked_s)) < EVERY_S:
                return
            self._asked_s, self._failure = now_s, ""
            try:
                self._series = self._ask()
            except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
                why = error if isinstance(error, OSError | ValueError) else "its answer has an unknown form"
                self._failure = f"{_NAMES[self._provider]} gives no intensity: {why}"
                self._news.append(self._failure)
            self._remember()

    def news(self) -> list[str]:
        """The errors since the last call."""
        now_s = self._clock()
        if not self.knows(now_s) and not self._told_stale:
            self._told_stale = True
            self._news.append(f"{self.name}: its last intensity is more than 2.5 h old, and is used as the current one")
        news, self._news = self._news, []
        return news

    def close(self) -> None:
        """Send no more requests."""
        self._over.set()
        if self._follows:
            self._thread.join(JOIN_S)

    def _follow(self) -> None:
        while not self._over.wait(_WATCH_S):
            self.look()

    def _ask(self) -> Series:
        if self._provider == "electricitymaps":
            # Asked for a zone it has not, it would answer for the one of the caller's address.
            zone = f"zone={quote(self._zone)}&shouldUseFallbackCallerLookup=false"
            address = f"https://api.electricitymaps.com/v3/carbon-intensity/history?{zone}"
            answer = self._fetch(address, {"auth-token": os.environ[_KEYS["electricitymaps"][0]]})
            _expect(answer.get("zone", self._zone), self._zone)
            points = {_unix(one["datetime"]): one["carbonIntensity"] for one in answer["history"]}
            return _series({at_s: float(g) for at_s, g in points.items() if g is not None})
        user, password = (os.environ[key] for key in _KEYS["watttime"])
        basic = base64.b64encode(f"{user}:{password}".encode()).decode()
        token = self._fetch("https://api.watttime.org/login", {"Authorization": f"Basic {basic}"})["token"]
        address = (
            f"https://api.watttime.org/v3/forecast?region={quote(self._zone)}&signal_type=co2_moer&horizon_hours=24"
        )
        answer = self._fetch(address, {"Authorization": f"Bearer {token}"})
        told = answer.get("meta", {})
        _expect(told.get("region", self._zone), self._zone)
        _expect(told.get("units", _POUNDS), _POUNDS)
        return _series({_unix(one["point_time"]): _G_PER_KWH * float(one["value"]) for one in answer["data"]})

    def _remembered(self) -> tuple[float, Series | None]:
        """The time of the last request, and its answer."""
        try:
            kept: Mapping[str, Any] = json.loads(self._file.read_text(encoding="utf-8"))
            points = {float(at_s): float(value) for at_s, value in kept["points"]}
            self._failure = str(kept.get("failure", ""))
            return float(kept["asked_s"]), _series(points) if points else None
        except (OSError, ValueError, KeyError, TypeError):
            return -float("inf"), None

    def _remember(self) -> None:
        points = [] if self._series is None else list(zip(self._series.times_s, self._series.values, strict=True))
        with suppress(OSError):  # then the next process asks anew
            kept = {"asked_s": self._asked_s, "points": points, "failure": self._failure}
            write_whole(self._file, json.dumps(kept))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the lock that only one process can hold; if the folder supports no locks, each process sends its own
        request.
        """
        with ExitStack() as stack:
            with suppress(OSError):
                self._file.parent.mkdir(parents=True, exist_ok=True)
                lock = stack.enter_context(self._file.with_suffix(".lock").open("w"))
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _expect(told: object, asked: str) -> None:
    if told != asked:
        raise ValueError(f"it answers with {told!r} instead of {asked!r}")


def _series(points: Mapping[float, float]) -> Series:
    if not points:
        raise ValueError("the answer contains no intensity")
    times_s = sorted(points)
    try:
        return Series(times_s, [check_intensity(points[at_s], least=0.0) for at_s in times_s])
    except UsageError:
        raise ValueError("the answer contains an impossible intensity") from None


def _unix(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
