"""When a provider of a grid's intensity is asked, what is kept of its answers, and what of it is believed."""

import itertools
import json
from datetime import UTC, datetime

import pytest

from ecoml.carbon.grid import GridProvenance
from ecoml.carbon.providers import DAY_S, EVERY_S, Provider
from ecoml.errors import UsageError

HOUR_S = 3600.0


def iso(at_s):
    return datetime.fromtimestamp(at_s, UTC).isoformat()


def unix(text):
    return datetime.fromisoformat(text).timestamp()


class Server:
    """Both providers, and what they were asked."""

    def __init__(self):
        self.now_s = unix("2026-11-27T12:10:00+00:00")
        self.asked = []
        self.failure = None

    def clock(self):
        return self.now_s

    def __call__(self, address, headers):
        self.asked.append((address, dict(headers)))
        if self.failure is not None:
            raise self.failure
        hour_s = self.now_s // HOUR_S * HOUR_S
        if address.endswith("/login"):
            return {"token": "t"}
        if "watttime" in address:
            points = [hour_s + 300 * n for n in range(288)]
            return {"data": [{"point_time": iso(at_s), "value": 1000.0} for at_s in points], "meta": {}}
        hours = [hour_s - HOUR_S * n for n in range(24)]
        return {
            "zone": "DE",
            "history": [{"datetime": iso(at_s), "carbonIntensity": 100 + (at_s // HOUR_S) % 24} for at_s in hours],
        }


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def keys(monkeypatch):
    monkeypatch.setenv("ELECTRICITYMAPS_API_KEY", "secret")
    monkeypatch.setenv("WATTTIME_USER", "me")
    monkeypatch.setenv("WATTTIME_PASSWORD", "secret")


def provider_of(server, cache, spec="electricitymaps:DE"):
    return Provider(spec, fetch=server, clock=server.clock, cache=cache)


def test_electricity_maps_is_asked_with_ones_own_key_once_an_hour(server, keys, tmp_path):
    grid = provider_of(server, tmp_path)
    assert not server.asked, "nobody is asked before it is started"
    grid.start()
    for _ in range(100):
        server.now_s += 30.0
        grid.look()
    assert len(server.asked) == 1
    address, headers = server.asked[0]
    assert address == (
        "https://api.electricitymaps.com/v3/carbon-intensity/history?zone=DE&shouldUseFallbackCallerLookup=false"
    )
    assert headers == {"auth-token": "secret"}
    assert grid.at(server.now_s) == 112.0
    assert grid.provenance is GridProvenance.PROVIDER
    server.now_s += EVERY_S
    grid.look()
    assert len(server.asked) == 2
    grid.close()


def test_a_second_search_within_the_hour_asks_nobody(server, keys, tmp_path):
    for _ in range(2):
        other = provider_of(server, tmp_path)
        other.start()
        other.close()
    assert len(server.asked) == 1
    assert other.at(server.now_s) == 112.0
    assert "secret" not in (tmp_path / "electricitymaps-DE.json").read_text()


def test_watttime_is_in_grams_per_kwh(server, keys, tmp_path):
    grid = provider_of(server, tmp_path, "watttime:CAISO_NORTH")
    grid.start()
    grid.close()
    assert grid.at(server.now_s) == pytest.approx(453.592)
    assert "marginal" in grid.name
    assert [address for address, _ in server.asked] == [
        "https://api.watttime.org/login",
        "https://api.watttime.org/v3/forecast?region=CAISO_NORTH&signal_type=co2_moer&horizon_hours=24",
    ]
    assert server.asked[0][1]["Authorization"].startswith("Basic ")
    assert server.asked[1][1] == {"Authorization": "Bearer t"}


def test_a_provider_that_fails_keeps_its_last_intensity_and_says_so_once(server, keys, tmp_path):
    grid = provider_of(server, tmp_path)
    grid.start()
    server.failure = OSError("HTTP 429 (rate limit)")
    for _ in range(5):
        server.now_s += EVERY_S
        grid.look()
    grid.close()
    assert grid.at(server.now_s) == 112.0
    assert not grid.knows(server.now_s)
    told = grid.news()
    assert sum("429" in one for one in told) == 5
    assert sum("2.5 h old" in one for one in told) == 1
    assert not grid.news()


def test_a_clock_that_is_set_back_again_and_again_asks_nobody_more_often(server, keys, tmp_path):
    grid = provider_of(server, tmp_path)
    for _ in range(5):
        grid.look()
        server.now_s -= 10.0
    assert len(server.asked) == 1
    server.now_s -= 24 * HOUR_S
    grid.look()
    assert len(server.asked) == 2, "of another day nothing is known"


@pytest.mark.parametrize("told", [-5, 9000, "NaN"])
def test_a_provider_that_tells_nonsense_fails_like_any_other_and_counts_as_a_try(told, server, keys, tmp_path):
    nonsense = {"history": [{"datetime": iso(server.now_s), "carbonIntensity": told}]}
    asked = []

    def fetch(address, headers):
        asked.append(address)
        return nonsense

    for _ in range(2):
        with pytest.raises(UsageError, match="contains an impossible intensity"):
            Provider("electricitymaps:DE", fetch=fetch, clock=server.clock, cache=tmp_path).start()
    assert len(asked) == 1


def test_a_provider_that_never_answered_is_refused_and_the_failure_counts_as_a_try(server, keys, tmp_path):
    server.failure = OSError("HTTP 403 (Access denied)")
    for _ in range(2):
        with pytest.raises(UsageError, match=r"403.* at once if you remove .*electricitymaps-DE\.json"):
            provider_of(server, tmp_path).start()
    assert len(server.asked) == 1
    server.failure = None
    (tmp_path / "electricitymaps-DE.json").unlink()
    grid = provider_of(server, tmp_path)
    grid.start()
    grid.close()
    assert (grid.at(server.now_s), grid.news()) == (112.0, [])


@pytest.mark.parametrize(
    "answer", [{}, {"history": []}, {"history": [{"datetime": "x", "carbonIntensity": 1}]}, None, []]
)
def test_an_answer_that_makes_no_sense_is_no_intensity(keys, tmp_path, answer):
    grid = Provider("electricitymaps:DE", fetch=lambda *_: answer, cache=tmp_path)
    with pytest.raises(UsageError, match="the current intensity is not known"):
        grid.start()


def test_a_clock_that_was_set_back_does_not_keep_it_from_asking(server, keys, tmp_path):
    grid = provider_of(server, tmp_path)
    grid.start()
    server.now_s -= 10 * DAY_S
    grid.look()
    grid.close()
    assert len(server.asked) == 2


def test_without_a_forecast_tomorrow_is_as_the_last_day(server, keys, tmp_path):
    grid = provider_of(server, tmp_path)
    grid.start()
    grid.close()
    course = grid.course(server.now_s, server.now_s + 2 * DAY_S)
    assert course[0][0] == server.now_s
    assert course[-1][1] == pytest.approx(server.now_s + 2 * DAY_S)
    assert all(before[1] == after[0] for before, after in itertools.pairwise(course))
    by_hour = {(begin_s // HOUR_S) % 24: value for begin_s, _, value in course}
    assert by_hour == {hour: 100 + hour for hour in range(24)}


def test_a_broken_cache_is_no_cache(server, keys, tmp_path):
    file = tmp_path / "electricitymaps-DE.json"
    for content in ("", "{", "[]", json.dumps({"asked_s": 0, "points": [["a", 1]]})):
        file.write_text(content)
        grid = provider_of(server, tmp_path)
        grid.start()
        grid.close()
        assert grid.at(server.now_s) == 112.0
