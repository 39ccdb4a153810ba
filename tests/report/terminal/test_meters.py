"""What a terminal, a pipe and a script are shown of the host's meters."""

import json
import sys

import pytest
from rigs.meter import FakeMeter

from ecoml.energy import Energy, EnergyByDomain, Provenance
from ecoml.meter import DeviceState, Process, Source, open_meter
from ecoml.meter.counters.constants import Constants
from ecoml.meter.probe.calibrate import Calibration, LoadPoint
from ecoml.meter.probe.finding import Check, CrossCheck, Finding
from ecoml.report.terminal.meters import print_calibration, print_check, print_sources, sources_as_rows
from ecoml.report.terminal.power import show
from ecoml.testing.meters import SimulatedHost

UDEV = (
    "only root may read it: `sudo chmod o+r /sys/class/powercap/intel-rapl:*/energy_uj`; for good, put "
    'SUBSYSTEM=="powercap", KERNEL=="intel-rapl:*", ACTION=="add", RUN+="/bin/chmod o+r /sys%p/energy_uj" into '
    "/etc/udev/rules.d/70-rapl.rules"
)
SOURCES = (
    Source("NVML energy counter", "gpu:0", Provenance.MEASURED, True, True, "the whole board", "", 0.1, True, 1e-3),
    Source("RAPL package", "cpu:0", Provenance.MEASURED, False, False, "one processor [1]", UDEV, 1e-3, False, 6.1e-5),
    Source("estimate", "cpu", Provenance.ESTIMATED, True, True, "CPU seconds × 3.5 W"),
)


def words(text):
    return " ".join(text.split())


def test_the_table_says_of_each_source_what_is_known(capsys):
    print_sources(SOURCES, Provenance.ESTIMATED)
    out = capsys.readouterr().out
    header, gpu, package, estimate = out.splitlines()[:4]
    assert header.split() == ["source", "domain", "provenance", "updates", "step", "readable", "used"]
    assert gpu.split()[-7:] == ["100", "ms", "measured", "1.00", "mJ", "yes", "yes"]
    assert package.split()[-7:] == ["1", "ms", "assumed", "61.0", "µJ", "no", "no"]
    assert estimate.split()[-4:] == ["–", "–", "yes", "yes"]
    assert "estimated: CPU seconds × stated constants where no counter was readable" in words(out)


def test_in_a_pipe_remedies_are_whole_and_nothing_is_wide_or_coloured(capsys):
    print_sources(SOURCES, Provenance.ESTIMATED)
    out = capsys.readouterr().out
    assert UDEV in words(out)
    assert "one processor [1]" in words(out)
    assert max(map(len, out.splitlines())) <= 80
    assert "\x1b" not in out


def test_sources_of_a_host_as_rows_for_a_script(tmp_path):
    host = SimulatedHost(tmp_path)
    host.add_package(100.0)
    with open_meter(root=host.root, clock=host.clock) as meter:
        rows = json.loads(json.dumps(sources_as_rows(meter.sources)))
    (package,) = [row for row in rows if row["name"] == "RAPL package"]
    assert package["provenance"] == "measured"
    assert package["used"] is True
    assert package["period_s"] > 0
    assert package["resolution_j"] > 0


class Watched(FakeMeter):
    """A GPU that is shared, on a host that is shared."""

    def power_w(self):
        return {"cpu:0": 312.4}

    def observe(self):
        others = (Process(4242, "python", 3 << 30), Process(7), Process(8), Process(9))
        return {"cpu:0": DeviceState(0.98, 71.0, 1980.0, 5 << 30, others)}

    @property
    def neighbours(self):
        return (77,)


class Clock:
    """A clock that moves when somebody sleeps, or is interrupted."""

    def __init__(self, meter, interrupted_after_s=float("inf")):
        self.now_s, self.meter, self.interrupted_after_s = 0.0, meter, interrupted_after_s

    def __call__(self):
        return self.now_s

    def sleep(self, seconds):
        self.now_s += seconds
        self.meter.spend(312.4 * seconds)
        if self.now_s > self.interrupted_after_s:
            raise KeyboardInterrupt


def watched(seconds, **options):
    meter = Watched()
    clock = Clock(meter, options.pop("interrupted_after_s", float("inf")))
    show(meter, seconds, clock=clock, sleep=clock.sleep, **options)


def test_a_line_each_second_in_a_pipe(capsys):
    watched(3)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    for second, line in enumerate(lines, start=1):
        assert line.lstrip().startswith(f"{second:.1f} s  cpu:0 312 W (measured) 98 % 71 °C 1980 MHz")
        assert "others: python 4242 (3.0 GiB), process 7, process 8, and 1 more" in line
        assert "also metered by process 77" in line


def test_an_object_each_second_for_a_script(capsys):
    watched(2, as_json=True)
    first, _ = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["domains"]["cpu:0"] == {
        "power_w": 312.4,
        "energy_j": pytest.approx(312.4),
        "uncertainty_j": 0.0,
        "provenance": "measured",
    }
    assert first["devices"]["cpu:0"]["processes"][0]["pid"] == 4242
    assert first["neighbours"] == [77]


def test_ctrl_c_ends_it_quietly(capsys):
    watched(None, interrupted_after_s=2.5)
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 2
    assert captured.err == ""


def test_a_view_that_stays_in_place_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "110")
    monkeypatch.setenv("TERM", "xterm")
    watched(2)
    out = capsys.readouterr().out
    for told in ("312 W", "625 J", "measured", "98 %", "python 4242", "also metered by process 77"):
        assert told in out


def finding(comparison, faults=()):
    return Finding(
        "cpu:0",
        "RAPL package",
        Provenance.MEASURED,
        1.02e-3,
        False,
        61e-6,
        52.0,
        0.3,
        180.0,
        (comparison,),
        faults,
        "its energy cannot be checked: there is no second source to compare with",
    )


SPENT = EnergyByDomain({"cpu:0": Energy(1600.0, 40.0, Provenance.MEASURED)}, ("cpu:0 was not read for a while",))


def test_a_probe_that_agrees(capsys):
    print_check(Check((finding(CrossCheck("6 s of load with 3 s, scaled", 1080.0, 1081.0, 60.0)),), SPENT, 19.4))
    out = capsys.readouterr().out
    assert "updates every 1.02 ms, in steps of 61.0 µJ" in words(out)
    assert "at rest 52 W (scatter 0.3 W between half seconds), under load 180 W" in words(out)
    assert "agrees: 6 s of load with 3 s, scaled: 1080 J and 1081 J, at most 60 J apart" in words(out)
    assert "no second source" in words(out)
    assert "gap: cpu:0 was not read for a while" in words(out)
    assert "The probe took 19 s and 1.60 kJ ± 40.0 J (measured)." in words(out)
    assert "Everything that could be checked agrees." in out
    assert max(map(len, out.splitlines())) <= 80


def test_a_probe_that_does_not_agree(capsys):
    comparison = CrossCheck("its energy counter with its power, integrated", 6000.0, 3000.0, 300.0)
    print_check(Check((finding(comparison, ("0 J in 3 s of full load",)),), SPENT, 19.4))
    out = words(capsys.readouterr().out)
    assert "does NOT agree: its energy counter with its power, integrated: 6000 J and 3000 J" in out
    assert "wrong: 0 J in 3 s of full load" in out
    assert "Not all sources agree: see cpu:0 above." in out


def test_a_calibration_says_where_it_is_kept_and_how_to_undo_it(capsys, tmp_path):
    points = (LoadPoint(0, 0.0, 44.0, 0.9), LoadPoint(4, 4.0, 104.0, 2.1))
    constants = Constants(11.0, 26.0, calibrated="on 2026-11-23")
    print_calibration(Calibration(constants, 0.4, 0.9, 0.012, points, ("cpu:0",)), tmp_path / "estimate.toml")
    out = words(capsys.readouterr().out)
    assert "idle_w_per_cpu = 11 ± 0.4 W, busy_w_per_cpu = 26 ± 0.9 W, from cpu:0 (measured)" in out
    assert "within 1.2 % of the line" in out
    assert f"Written to {tmp_path / 'estimate.toml'}:" in out
    assert "remove that file" in out
