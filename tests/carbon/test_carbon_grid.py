"""Where a grid's intensity is known from: a number, a CSV, a provider; and what is refused."""

import socket
import time
from datetime import UTC, datetime

import pytest

from ecoml.carbon.grid import GridProvenance, Stated
from ecoml.carbon.spec import grid_of
from ecoml.carbon.table import IntensityTable
from ecoml.errors import UsageError

HOUR_S = 3600.0


def iso(at_s):
    return datetime.fromtimestamp(at_s, UTC).isoformat()


def unix(text):
    return datetime.fromisoformat(text).timestamp()


def test_a_number_is_stated_and_holds_at_every_time():
    for given in (250, "250", 250.0):
        grid = grid_of(given)
        assert grid is not None
        assert grid.provenance is GridProvenance.STATED
        assert grid.at(0.0) == grid.at(time.time()) == 250.0
        assert not grid.varies
    assert grid_of(None) is None


@pytest.mark.parametrize(
    "given", ["0", -3, "nan", "inf", "5000", True, "no-such-file.csv", "electricitymaps:", "watttime"]
)
def test_what_is_no_grid_is_refused_in_one_line(given, monkeypatch):
    monkeypatch.delenv("ELECTRICITYMAPS_API_KEY", raising=False)
    with pytest.raises(UsageError) as refused:
        grid_of(given)
    assert "\n" not in str(refused.value)


def test_each_row_of_a_table_holds_until_the_next():
    table = IntensityTable(
        "time,g/kWh\n2026-11-27T10:00,300\n2026-11-27T11:00,200.5\n2026-11-27T13:00Z,100\n", "grid.csv"
    )
    at = [
        unix(f"2026-11-27T{clock}:00+00:00")
        for clock in ("09:00", "10:00", "10:59", "11:00", "12:59", "13:59", "14:00")
    ]
    assert [table.at(at_s) for at_s in at] == [300, 300, 300, 200.5, 200.5, 100, 100]
    assert [table.knows(at_s) for at_s in at] == [False, True, True, True, True, True, False]
    assert [value for _, _, value in table.course(at[2], at[4])] == [300, 200.5]
    assert table.course(at[2], at[4])[0][:2] == (at[2], at[3])


@pytest.mark.parametrize(
    ("rows", "lasts_h"),
    [
        (["10:00"], 1.0),
        (["10:00", "10:30"], 0.5),
        (["10:00", "11:00", "12:00", "18:00"], 1.0),  # not as long as the hole before it
        (["10:00", "11:00", "12:00", "12:05"], 1.0),
        (["06:00", "06:15", "06:30", "06:45"], 0.25),
    ],
)
def test_the_last_row_holds_as_long_as_most_do(rows, lasts_h):
    table = IntensityTable("".join(f"2026-11-27T{at},200\n" for at in rows), "grid.csv")
    assert table.series.end_s - unix(f"2026-11-27T{rows[-1]}Z") == lasts_h * HOUR_S


def test_a_table_of_days_or_months_holds_a_day_or_a_month():
    days = IntensityTable("2026-11-26,200\n2026-11-27,300\n", "grid.csv")
    months = IntensityTable("".join(f"2026-{month:02}-01,{month}\n" for month in range(1, 13)), "grid.csv")
    assert days.knows(unix("2026-11-27T23:59Z"))
    assert not days.knows(unix("2026-11-28T00:00Z"))
    assert months.knows(unix("2026-12-31T23:59Z"))


def test_a_table_that_has_ended_says_so_once():
    now = [unix("2026-11-27T11:59Z")]
    table = IntensityTable("2026-11-27T10:00,300\n2026-11-27T11:00,200\n", "data/grid.csv", lambda: now[0])
    table.start()
    assert table.news() == []
    now[0] += 60.0
    told = "grid.csv ends at 2026-11-27 12:00 UTC: its last intensity, 200 g/kWh, is used from then on"
    assert table.news() == [told]
    assert table.news() == []
    assert (table.knows(now[0]), table.at(now[0])) == (False, 200.0)


def test_a_table_as_electricity_maps_offers_it():
    header = "Datetime (UTC),Zone id,Carbon intensity gCO₂eq/kWh (direct),Carbon intensity gCO₂eq/kWh (Life cycle)"
    table = IntensityTable(
        f"{header}\n2024-01-01 00:00:00,DE,300,350\n2024-01-01 01:00:00,DE,,\n2024-01-01 02:00:00,DE,200,260", "x"
    )
    assert table.at(unix("2024-01-01T01:30:00+00:00")) == 350, "an hour nobody measured is as the one before"
    assert table.at(unix("2024-01-01T02:30:00+00:00")) == 260


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "empty"),
        ("time,g/kWh\n", "no intensity"),
        ("time,g/kWh\n2026-11-27T10:00\n", "line 2 has 1 column"),
        ("time,g/kWh\nyesterday,200\n", "line 2: 'yesterday' is no time"),
        ("time,g/kWh\n2026-11-27T10:00,clean\n", "line 2: 'clean' is no number"),
        ("time,g/kWh\n2026-11-27T10:00,9000\n", "line 2: .*9000 g/kWh"),
        ("time,g/kWh\n2026-11-27T10:00,200\n\nnoon,200\n\n\n", "line 4: 'noon' is no time"),
        ("time,g/kWh\n2026-11-27T10:00,200,5\n", "line 2 has 3 columns"),
        ("2026-11-27T10:00;200\n2026-11-27T11:00;100\n", "comma between"),
        ("27/11/2026 10:00,300\n2026-11-27T11:00,100\n", "line 1: '27/11/2026 10:00' is no time"),
        ("2026-11-27T10:00,300\n2026-11-27T10:00Z,100\n", "line 2: .* has two intensities, 300 and 100"),
        ("date,time,intensity\n2026-11-27,10:00,300\n2026-11-27,11:00,100\n", "line 3: .* two intensities"),
        ("time,kg/kWh\n2026-11-27T10:00,0.3\n", "line 1: 'kg/kWh' is in another unit"),
        ("time,Carbon intensity (kgCO2e/kWh)\n2026-11-27T10:00,0.3\n", "in another unit"),
        ("time,intensity in lbs/MWh\n2026-11-27T10:00,800\n", "in another unit"),
        ("x" * 200_000 + ",1\n", "line 1 is none of a CSV"),
    ],
)
def test_a_table_that_cannot_be_read_says_where(text, told):
    with pytest.raises(UsageError, match=told):
        IntensityTable(text, "grid.csv")


@pytest.mark.parametrize("unit", ["gCO2/kWh", "kgCO2e/MWh", "g_per_kwh", "tCO2/GWh intensity", "intensity"])
def test_headings_that_are_grams_per_kwh_are_taken(unit):
    assert IntensityTable(f"time,{unit}\n2026-11-27T10:00,300\n2026-11-27T10:00,300\n", "grid.csv").at(0.0) == 300


def test_a_table_at_the_end_of_time_is_refused_in_words():
    with pytest.raises(UsageError, match="now is"):
        IntensityTable("9999-12-31T23:00-14:00,300\n", "grid.csv").start()


def test_a_table_of_another_year_is_refused_when_a_search_begins():
    table = IntensityTable("2022-01-01T00:00,300\n2022-01-01T01:00,200\n", "grid.csv")
    with pytest.raises(UsageError, match="reaches from 2022-01-01"):
        table.start()


def test_keys_are_asked_for_by_name(monkeypatch):
    for key in ("ELECTRICITYMAPS_API_KEY", "WATTTIME_USER", "WATTTIME_PASSWORD"):
        monkeypatch.delenv(key, raising=False)
    with pytest.raises(UsageError, match="ELECTRICITYMAPS_API_KEY"):
        grid_of("electricitymaps:DE")
    with pytest.raises(UsageError, match="WATTTIME_USER and WATTTIME_PASSWORD"):
        grid_of("watttime:CAISO_NORTH")
    with pytest.raises(UsageError, match="zone"):
        grid_of("electricitymaps")


def test_no_request_is_made_without_being_asked_for(monkeypatch, tmp_path):
    def refuse(*args, **kwargs):
        raise AssertionError("somebody was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    now_s = time.time()
    path = tmp_path / "grid.csv"
    path.write_text(f"{iso(now_s - 60)},300\n{iso(now_s + 3600)},200\n")
    for given in (None, 250, path):
        grid = grid_of(given)
        if grid is not None:
            grid.start()
            assert grid.at(now_s) in (250, 300)
            grid.close()


def test_stated_has_nothing_to_end():
    grid = Stated(100)
    grid.start()
    grid.close()
    assert grid.news() == []
    assert grid.course(0, 10) == [(0, 10, 100.0)]
