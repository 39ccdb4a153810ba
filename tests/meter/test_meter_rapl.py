"""RAPL zones of every shape, read from a simulated file tree."""

import logging
import os
import shutil
import sys
import tempfile
import time
import types
from pathlib import Path

import pytest

from ecoml.energy import Provenance
from ecoml.meter import open_meter
from ecoml.meter.counters.cpu.powercap import find_zones
from ecoml.meter.counters.cpu.pyrapl import PyRapl
from ecoml.testing.meters import SimulatedHost


def meter_of(host):
    return open_meter(root=host.root, nvml=host.nvml, clock=host.clock)


def sources_of(meter, name):
    return [source for source in meter.sources if source.name == name]


@pytest.mark.parametrize("links", [True, False])
def test_packages_and_memory_add_and_cores_do_not(links, tmp_path):
    host = SimulatedHost(tmp_path, links=links)
    packages = [host.add_package(100.0, dram_w=20.0), host.add_package(50.0, package=1, dram_w=10.0)]
    with meter_of(host) as meter:
        host.advance(100.0)
        reading = meter.read()
    assert reading == pytest.approx({"cpu:0": 1e4, "dram:0": 2e3, "cpu:1": 5e3, "dram:1": 1e3}, rel=1e-4)
    assert reading["cpu:1"] == pytest.approx(packages[1].true_j, rel=1e-4)
    assert meter.provenance is Provenance.MEASURED


def test_ten_zones_keep_their_order(tmp_path):
    host = SimulatedHost(tmp_path)
    for package in range(11):
        host.add_package(10.0 * (package + 1), package=package)
    with meter_of(host) as meter:
        host.advance(10.0)
        assert meter.read() == pytest.approx({f"cpu:{n}": 100.0 * (n + 1) for n in range(11)}, rel=1e-3)


def test_psys_is_not_added_to_what_it_covers(tmp_path):
    host = SimulatedHost(tmp_path)
    host.add_package(100.0)
    host.add_psys(180.0)
    with meter_of(host) as meter:
        assert set(meter.read()) == {"cpu:0"}
        (psys,) = sources_of(meter, "RAPL psys")
        assert (psys.readable, psys.used) == (True, False)
        assert "not counted" in psys.remedy


def test_psys_alone_is_counted_and_then_nothing_is_estimated(tmp_path):
    host = SimulatedHost(tmp_path)
    host.add_psys(180.0)
    with meter_of(host) as meter:
        host.advance(10.0)
        assert meter.read() == pytest.approx({"psys": 1800.0}, rel=1e-3)


def test_the_second_way_to_a_counter_is_not_counted_again(tmp_path):
    host = SimulatedHost(tmp_path)
    package = host.add_package(100.0)
    host.add_package(0.0, repeats=package, mmio=True)
    with meter_of(host) as meter:
        host.advance(10.0)
        assert meter.read() == pytest.approx({"cpu:0": 1000.0}, rel=1e-3)
        (again,) = sources_of(meter, "RAPL package (mmio)")
        assert not again.used


def test_a_counter_with_only_the_second_way_in_is_counted(tmp_path):
    host = SimulatedHost(tmp_path)
    host.add_package(100.0, mmio=True)
    with meter_of(host) as meter:
        host.advance(10.0)
        assert meter.read() == pytest.approx({"cpu:0": 1000.0}, rel=1e-3)


@pytest.mark.parametrize("repeated", [True, False])
def test_dies_are_told_apart_by_their_deltas(repeated, tmp_path):
    host = SimulatedHost(tmp_path)
    first = host.add_package(100.0, die=0)
    host.add_package(115.0, die=1, repeats=first if repeated else None)
    with meter_of(host) as meter:
        for _ in range(20):
            host.advance(5.0)
            meter.read()
        expected_j = 100 * 100.0 if repeated else 100 * 215.0
        assert meter.read() == pytest.approx({"cpu:0": expected_j}, rel=1e-3)


def test_a_window_outlives_several_wraps_because_a_thread_reads_meanwhile(tmp_path):
    host = SimulatedHost(tmp_path)
    package = host.add_package(900.0, modulus_j=400.0)
    with meter_of(host) as meter:
        window = meter.window()
        start_s = time.monotonic()
        began_s = host.now_s
        while (elapsed_s := time.monotonic() - start_s) < 1.3:
            host.advance(began_s + elapsed_s - host.now_s)
            time.sleep(0.005)
        energy = window.energy()
    assert package.true_j > 1000.0
    assert energy.energy_j == pytest.approx(package.true_j, abs=energy.uncertainty_j)
    assert energy.gaps == ()


def test_the_range_is_read_and_not_assumed(tmp_path):
    host = SimulatedHost(tmp_path)
    package = host.add_package(100.0, start_j=990.0, modulus_j=1000.0)
    with meter_of(host) as meter:
        host.advance(0.5)
        assert meter.read()["cpu:0"] == pytest.approx(package.true_j, abs=0.2)


def test_a_reset_is_named_in_the_windows_it_falls_into(tmp_path):
    host = SimulatedHost(tmp_path)
    package = host.add_package(100.0)
    with meter_of(host) as meter:
        whole, window = meter.window(), meter.window()
        host.advance(5.0)
        assert window.lap().gaps == ()
        package.reset()
        host.advance(5.0)
        assert "cpu:0" in window.lap().gaps[0]
        host.advance(5.0)
        clean = window.lap()
        assert clean.gaps == ()
        assert clean.energy_j == pytest.approx(500.0, abs=1.0)
        assert len(whole.gaps) == 1
        assert whole.energy_j == pytest.approx(1000.0, abs=1.0)
        assert whole.uncertainty_j > 500.0


def test_a_counter_that_fails_midway_is_missing_until_it_returns(tmp_path):
    host = SimulatedHost(tmp_path)
    package = host.add_package(100.0, dram_w=10.0)
    with meter_of(host) as meter:
        window = meter.window()
        host.advance(5.0)
        window.lap()
        package.failing = True
        host.advance(5.0)
        blind = window.lap()
        assert blind.by_domain == pytest.approx({"cpu:0": 0.0, "dram:0": 50.0}, abs=0.1)
        assert {blind.domains["cpu:0"].provenance, blind.provenance, meter.provenance} == {Provenance.MISSING}
        assert blind.domains["cpu:0"].uncertainty_j >= 500.0
        assert any("cpu:0" in gap for gap in blind.gaps)
        assert meter.read()["cpu:0"] == pytest.approx(500.0, abs=0.2)
        package.failing = False
        host.advance(5.0)
        back = window.lap()
        assert back.energy_j == pytest.approx(1000.0 + 50.0, abs=0.5)
        assert {back.provenance, meter.provenance} == {Provenance.MEASURED}
        assert any("cpu:0" in gap for gap in back.gaps)


def test_a_zone_that_vanishes_while_open_does_not_end_the_training(tmp_path):
    host = SimulatedHost(tmp_path)
    host.add_package(100.0)
    with meter_of(host) as meter:
        host.advance(1.0)
        meter.read()
        shutil.rmtree(tmp_path / "sys")
        assert meter.read()["cpu:0"] == pytest.approx(100.0, abs=0.2)


@pytest.fixture
def as_user():
    """A folder in which this process is not root."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def meter_as_user(host):
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        return meter_of(host)
    finally:
        if root:
            os.seteuid(0)


def forbid(host, pattern):
    paths = list((host.root / "sys/devices").rglob(f"{pattern}/energy_uj"))
    assert paths
    for path in paths:
        path.chmod(0o400 if os.geteuid() == 0 else 0)


def test_a_forbidden_counter_is_estimated_and_the_remedy_is_given(as_user):
    host = SimulatedHost(as_user)
    host.add_package(100.0, dram_w=10.0)
    forbid(host, "intel-rapl:*")
    with meter_as_user(host) as meter:
        assert meter.provenance is Provenance.ESTIMATED
        assert set(meter.read()) == {"cpu"}
        for name in ("RAPL package", "RAPL DRAM"):
            (source,) = sources_of(meter, name)
            assert not source.readable
            assert "sudo chmod o+r /sys/class/powercap/intel-rapl:*/energy_uj" in source.remedy
            assert "/etc/udev/rules.d/" in source.remedy


def test_one_forbidden_counter_of_two_is_missing_and_not_zero(as_user):
    host = SimulatedHost(as_user)
    host.add_package(100.0)
    host.add_package(100.0, package=1)
    forbid(host, "intel-rapl:1")
    with meter_as_user(host) as meter:
        host.advance(1.0)
        window = meter.window()
        assert set(meter.read()) == {"cpu:0"}
        assert window.provenance is meter.provenance is Provenance.MISSING
        assert any("cpu:1" in gap for gap in window.gaps)


@pytest.mark.parametrize(
    ("mark", "text", "says"),
    [
        ("proc/cpuinfo", "processor: 0\nflags\t\t: fpu hypervisor sse\n", "virtual machine"),
        (".dockerenv", "", "container"),
        ("run/.containerenv", "", "container"),
        ("proc/cpuinfo", "processor: 0\nflags\t\t: fpu sse\n", "modprobe intel_rapl_msr"),
    ],
)
def test_where_there_is_no_counter_the_reason_and_the_remedy_are_given(mark, text, says, tmp_path):
    (tmp_path / mark).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / mark).write_text(text)
    with open_meter(root=tmp_path) as meter:
        assert says in sources_of(meter, "RAPL package")[0].remedy
        (estimate,) = sources_of(meter, "estimate")
        assert estimate.used


def test_a_processor_without_memory_counter_says_so(tmp_path):
    host = SimulatedHost(tmp_path)
    host.add_package(100.0)
    with meter_of(host) as meter:
        assert "has none" in sources_of(meter, "RAPL DRAM")[0].remedy


def test_closing_frees_every_descriptor_and_so_does_forgetting(tmp_path):
    host = SimulatedHost(tmp_path)
    host.add_package(100.0, dram_w=10.0)
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("descriptors are counted in /proc/self/fd")
    before = len(list(descriptors.iterdir()))
    meter = meter_of(host)
    assert len(list(descriptors.iterdir())) == before + 2
    meter.close()
    assert len(list(descriptors.iterdir())) == before
    forgotten = meter_of(host)
    del forgotten
    assert len(list(descriptors.iterdir())) == before


def test_a_read_opens_no_file(tmp_path, monkeypatch):
    host = SimulatedHost(tmp_path)
    for package in range(2):
        host.add_package(100.0, package=package, dram_w=10.0)
    with meter_of(host) as meter:
        meter.read()
        for opening in ("builtins.open", "os.open", "pathlib.Path.open"):
            monkeypatch.setattr(opening, None)
        energy_j = meter.read()
        monkeypatch.undo()
    assert len(energy_j) == 4


def test_one_counter_is_one_pyrapl_sensor(tmp_path, monkeypatch):
    host = SimulatedHost(tmp_path)
    host.add_package(100.0, package=1, dram_w=10.0)
    asked, files = [], []

    class Sensor:
        def __init__(self, devices, socket_ids):
            asked.append((devices, socket_ids))
            files.append((tmp_path / "file").open("w"))
            self._device_api = {devices[0]: types.SimpleNamespace(_sys_files=[files[-1]])}

        def energy(self):
            return [-1, -1, 5e6, 2e6]

    device = types.SimpleNamespace(PKG=0, DRAM=1)
    monkeypatch.setitem(sys.modules, "pyRAPL", types.SimpleNamespace(Device=device, Sensor=Sensor))
    readers = [PyRapl.open(zone) for zone in find_zones(tmp_path).zones]
    assert [reader and reader() for reader in readers] == [5.0, 2.0]
    assert asked == [([0], [1]), ([1], [1])]
    for reader in readers:
        assert reader is not None
        reader.close()
    assert all(file.closed for file in files)


def test_pyrapl_is_hushed_and_leaves_logging_as_it_was(capfd, tmp_path, monkeypatch):
    host = SimulatedHost(tmp_path)
    host.add_package(100.0)
    for name in [name for name in sys.modules if name.split(".")[0] == "pyRAPL"]:
        monkeypatch.delitem(sys.modules, name)
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    filters = list(root.filters)
    reader = PyRapl.open(find_zones(tmp_path).zones[0])
    if reader is not None:
        reader.close()
    assert "pyRAPL" in sys.modules
    assert root.handlers == []
    assert root.filters == filters
    assert capfd.readouterr().err == ""
