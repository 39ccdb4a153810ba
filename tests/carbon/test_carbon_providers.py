"""Both providers over HTTP on loopback: their documented answers, and the ways in which servers fail.

The forms are those of https://portal.electricitymaps.com/developer-hub/api/reference (v3) and of
https://docs.watttime.org/openapi.json (V3), read on 2026-11-27. Neither service itself was asked.
"""

import json
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from ecoml.carbon.providers import EVERY_S, Provider
from ecoml.errors import UsageError
from ecoml.outside.fetch import fetch_json

HOUR_S = 3600.0
NOW_S = datetime(2026, 11, 27, 12, 10, tzinfo=UTC).timestamp()
TIMEOUT_S = 0.4


def iso(at_s):
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Service(ThreadingHTTPServer):
    """Both services in one.

    Attributes:
        asked: The path of each request.
        fault: What it does instead of answering; None: it answers.
        zone: What it answers for; None: what it was asked for.
        units: Of WattTime's forecast.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.fault: str | None = None
        self.zone: str | None = None
        self.units = "lbs_co2_per_mwh"
        self.slow_s = 0.0
        self.now_s = NOW_S

    def fetch(self, address, headers):
        """As `fetch_json`, with this server in the place of the other."""
        parts = urlsplit(address)
        assert parts.netloc in ("api.electricitymaps.com", "api.watttime.org")
        here = parts._replace(scheme="http", netloc=f"127.0.0.1:{self.server_port}")
        return fetch_json(here.geturl(), headers, timeout_s=TIMEOUT_S)

    def grid(self, cache, spec="electricitymaps:DE"):
        return Provider(spec, fetch=self.fetch, clock=lambda: self.now_s, cache=cache)


class Handler(BaseHTTPRequestHandler):
    server: Service

    def log_message(self, *args):
        pass

    def do_GET(self):
        parts = urlsplit(self.path)
        self.server.asked.append(parts.path)
        given = {name: values[0] for name, values in parse_qs(parts.query).items()}
        time.sleep(self.server.slow_s)
        with suppress(OSError):
            if self.server.fault is not None:
                getattr(self, self.server.fault)()
            elif parts.path == "/v3/carbon-intensity/history":
                self.history(given)
            elif parts.path == "/login":
                known = self.headers["Authorization"] == "Basic bWU6c2VjcmV0"
                self.answer(200 if known else 401, {"token": "jwt"} if known else {"detail": "Invalid"})
            else:
                self.forecast(given)

    def answer(self, code, body, **headers):
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

    def history(self, given):
        if self.headers["auth-token"] != "secret":
            return self.unauthorized()
        assert given["shouldUseFallbackCallerLookup"] == "false"
        zone, hour_s = self.server.zone or given["zone"], self.server.now_s // HOUR_S * HOUR_S
        told = {"emissionFactorType": "lifecycle", "isEstimated": True, "estimationMethod": "TIME_SLICER_AVERAGE"}
        hours = [
            {"zone": zone, "carbonIntensity": 300 + n, "datetime": iso(hour_s - n * HOUR_S), **told} for n in range(24)
        ]
        return self.answer(200, {"zone": zone, "history": hours, "temporalGranularity": "hourly"})

    def forecast(self, given):
        assert self.headers["Authorization"] == "Bearer jwt"
        assert (given["signal_type"], given["horizon_hours"]) == ("co2_moer", "24")
        begin_s = self.server.now_s // 300 * 300
        data = [{"point_time": iso(begin_s + 300 * n), "value": 1000.0 + n} for n in range(288)]
        meta = {
            "data_point_period_seconds": 300,
            "region": self.server.zone or given["region"],
            "signal_type": "co2_moer",
            "units": self.server.units,
            "warnings": [],
            "model": {"date": "2026-03-01"},
            "generated_at": iso(begin_s),
        }
        self.answer(200, {"data": data, "meta": meta})

    def unauthorized(self):
        self.answer(401, {"error": "Invalid auth-token"})

    def limited(self):
        self.answer(429, {"message": "rate limit exceeded"}, Retry_After="120")

    def broken(self):
        self.answer(502, b"<html>Bad Gateway</html>")

    def truncated(self):
        self.answer(200, b'{"zone": "DE", "history": [', Content_Length="4000")

    def page(self):
        self.answer(200, b"<html>Please log in</html>")

    def another_form(self):
        self.answer(200, [{"carbonIntensity": 1}])

    def silent(self):
        time.sleep(2 * TIMEOUT_S)


@pytest.fixture
def service(monkeypatch):
    monkeypatch.setenv("ELECTRICITYMAPS_API_KEY", "secret")
    monkeypatch.setenv("WATTTIME_USER", "me")
    monkeypatch.setenv("WATTTIME_PASSWORD", "secret")
    found = Service()
    threading.Thread(target=found.serve_forever, args=(0.02,), daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()


@pytest.mark.parametrize(
    ("spec", "asked", "g_per_kwh"),
    [
        ("electricitymaps:DE", ["/v3/carbon-intensity/history"], 300.0),
        ("watttime:CAISO_NORTH", ["/login", "/v3/forecast"], 1002 * 0.45359237),
    ],
)
def test_documented_answers_are_understood_and_asked_for_once_an_hour(service, tmp_path, spec, asked, g_per_kwh):
    grid = service.grid(tmp_path, spec)
    grid.start()
    service.now_s += 600.0
    grid.look()
    other = service.grid(tmp_path, spec)
    other.start()
    assert service.asked == asked
    assert other.at(service.now_s) == pytest.approx(g_per_kwh)
    assert not other.news()
    service.now_s += EVERY_S
    grid.look()
    assert service.asked == 2 * asked
    for one in (grid, other):
        one.close()


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("unauthorized", "HTTP 401 (Invalid auth-token)"),
        ("limited", "HTTP 429 (rate limit exceeded)"),
        ("broken", "HTTP 502"),
        ("truncated", "the answer broke off"),
        ("page", "the answer is no JSON"),
        ("another_form", "its answer has an unknown form"),
        ("silent", "no answer within 0.4 s"),
    ],
)
@pytest.mark.parametrize("spec", ["electricitymaps:DE", "watttime:CAISO_NORTH"])
def test_a_server_that_fails_is_one_line_and_one_try_an_hour(service, tmp_path, spec, fault, told):
    service.fault = fault
    for _ in range(2):
        with pytest.raises(UsageError) as refused:
            service.grid(tmp_path, spec).start()
        assert told in str(refused.value)
        assert "\n" not in str(refused.value)
        assert "secret" not in str(refused.value)
    assert len(service.asked) == 1, "what the server says of a later try is later than an hour, or kept"
    assert "secret" not in "".join(file.read_text() for file in tmp_path.iterdir())


def test_a_server_that_fails_later_is_news_and_its_last_answer_stays(service, tmp_path):
    grid = service.grid(tmp_path)
    grid.start()
    service.fault = "limited"
    service.now_s += EVERY_S
    for _ in range(3):
        grid.look()
    grid.close()
    assert len(service.asked) == 2
    assert grid.news() == ["Electricity Maps gives no intensity: HTTP 429 (rate limit exceeded)"]
    assert (grid.at(service.now_s), grid.knows(service.now_s)) == (300.0, True)
    service.fault = None
    service.now_s += EVERY_S
    grid.look()
    assert not grid.news()


def test_a_wrong_key_is_told_apart_from_a_wrong_zone(service, tmp_path, monkeypatch):
    service.zone = "FR"  # as for a zone that does not exist, by the caller's address
    with pytest.raises(UsageError, match="answers with 'FR' instead of 'DEE'"):
        service.grid(tmp_path, "electricitymaps:DEE").start()
    monkeypatch.setenv("ELECTRICITYMAPS_API_KEY", "other")
    with pytest.raises(UsageError, match="Invalid auth-token"):
        service.grid(tmp_path).start()
    monkeypatch.setenv("WATTTIME_PASSWORD", "other")
    with pytest.raises(UsageError, match="HTTP 401"):
        service.grid(tmp_path, "watttime:CAISO_NORTH").start()


def test_an_answer_in_another_unit_is_none(service, tmp_path):
    service.units = "kg_co2_per_mwh"
    with pytest.raises(UsageError, match="answers with 'kg_co2_per_mwh'"):
        service.grid(tmp_path, "watttime:CAISO_NORTH").start()


def test_searches_that_begin_at_once_ask_once(service, tmp_path):
    service.slow_s = 0.1
    grids = [service.grid(tmp_path) for _ in range(5)]
    threads = [threading.Thread(target=grid.start) for grid in grids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(service.asked) == 1
    assert [grid.at(NOW_S) for grid in grids] == [300.0] * 5
    for grid in grids:
        grid.close()
