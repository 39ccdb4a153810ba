"""The whole machine: ACPI, IPMI, Grace, powercap trees at another place; and that it is never summed with its parts."""

import os
import stat

import pytest

from ecoml.energy import Provenance
from ecoml.errors import MeterError, UsageError
from ecoml.meter import open_meter
from ecoml.meter.counters.node import ipmi
from ecoml.meter.found import contains
from ecoml.testing.machines import UNAVAILABLE_MW, FakeIpmitool, add_power_meter
from ecoml.testing.meters import SimulatedHost


@pytest.fixture
def host(tmp_path):
    return SimulatedHost(tmp_path)


def meter_of(host, **options):
    return open_meter(root=host.root, nvml=host.nvml, clock=host.clock, **options)


def source_of(meter, name):
    (source,) = [source for source in meter.sources if source.name == name]
    return source


def spend(host, meter, seconds, step_s=0.5):
    with meter.window() as window:
        for _ in range(round(seconds / step_s)):
            host.advance(step_s)
            meter.read()
    return window.energy()


def test_a_machines_meter_stands_in_for_a_processor_that_cannot_be_read(host):
    node, gpu = add_power_meter(host, 420.0), host.add_gpu(300.0)
    with meter_of(host) as meter:
        energy = spend(host, meter, 60.0)
        assert list(energy.domains) == ["node"]
        assert energy.provenance is Provenance.SAMPLED
        assert energy.energy_j == pytest.approx(node.true_j, rel=0.05)
        assert gpu.true_j < energy.energy_j
        assert "node contains it" in source_of(meter, "NVML energy counter").remedy
        assert "node contains it" in source_of(meter, "estimate").remedy


def test_parts_that_can_all_be_read_are_preferred(host):
    add_power_meter(host, 420.0)
    host.add_package(100.0, dram_w=10.0)
    with meter_of(host) as meter:
        assert set(meter.read()) == {"cpu:0", "dram:0"}
        assert "--meter node" in source_of(meter, "ACPI power meter").remedy


def test_the_node_is_counted_where_it_is_asked_for_and_never_with_its_parts(host):
    node = add_power_meter(host, 420.0)
    host.add_package(100.0, dram_w=10.0)
    host.add_gpu(250.0)
    with meter_of(host, sources=["node"]) as meter:
        energy = spend(host, meter, 30.0)
    assert energy.by_domain == pytest.approx({"node": node.true_j}, rel=0.05)


def test_trials_on_several_gpus_keep_their_counters(host):
    add_power_meter(host, 420.0)
    host.add_gpu(250.0)
    host.add_gpu(250.0)
    with meter_of(host, gpus=[0, 1]) as meter:
        assert set(meter.read()) == {"gpu:0", "gpu:1", "cpu"}


def test_a_step_of_power_lies_within_what_holding_it_may_miss(host):
    node = add_power_meter(host, lambda t: 600.0 if int(t / 3.3) % 2 else 100.0)
    with meter_of(host, sources=["node"]) as meter:
        for _ in range(6):
            before_j = node.true_j
            energy = spend(host, meter, 7.0, 0.25)
            part = energy.domains["node"]
            assert abs(part.energy_j - (node.true_j - before_j)) <= part.uncertainty_j


@pytest.mark.parametrize("shown", [str(UNAVAILABLE_MW * 1000), "0", "", "N/A"])
def test_what_is_no_reading_is_missing_and_not_4_29_megawatts(host, shown):
    node = add_power_meter(host, 300.0)
    with meter_of(host, sources=["node"]) as meter:
        spend(host, meter, 5.0)
        node.failing, node.garbage = True, shown
        host.write()
        energy = spend(host, meter, 5.0)
        assert energy.provenance is Provenance.MISSING
        assert energy.energy_j == 0.0
        assert any("node" in gap for gap in energy.gaps)


def test_a_meter_that_shows_nothing_from_the_start_is_listed_and_refused_when_asked_for(host):
    node = add_power_meter(host, 300.0)
    node.failing, node.garbage = True, str(UNAVAILABLE_MW * 1000)
    host.write()
    with meter_of(host) as meter:
        assert list(meter.read()) == ["cpu"]
        assert "4294967" in source_of(meter, "ACPI power meter").remedy
    with pytest.raises(MeterError, match="cannot be read"):
        meter_of(host, sources=["node"])


def test_files_below_device_are_found_and_two_meters_are_not_guessed_between(host):
    add_power_meter(host, 300.0, beneath=True)
    with meter_of(host) as meter:
        assert list(meter.read()) == ["node"]
    add_power_meter(host, 200.0)
    with meter_of(host) as meter:
        assert list(meter.read()) == ["cpu"]


def test_ipmi_is_asked_for_the_whole_machine(host):
    truth = host.draw(350.0)
    tool = FakeIpmitool(truth)
    with meter_of(host, ipmitool=tool) as meter:
        energy = spend(host, meter, 60.0)
    assert energy.domains["node"].provenance is Provenance.SAMPLED
    assert energy.energy_j == pytest.approx(truth.true_j, rel=0.1)
    assert tool.calls < 40, "it is asked every 2 s, however often the meter is read"


@pytest.mark.parametrize(
    ("shown_w", "state", "why"),
    [(0xFFFFFFFF, "activated", "4294967295"), (0, "activated", "0 W"), (214, "deactivated", "deactivated")],
)
def test_what_a_controller_says_without_a_reading_is_no_power(host, shown_w, state, why):
    tool = FakeIpmitool(host.draw(350.0))
    with meter_of(host, ipmitool=tool, sources=["node"]) as meter:
        tool.shown_w, tool.state = shown_w, state
        host.advance(3.0)
        energy = spend(host, meter, 3.0)
    assert energy.provenance is Provenance.MISSING
    assert any(why in gap for gap in energy.gaps)


def test_a_controller_that_fails_and_returns_is_a_named_gap(host):
    truth = host.draw(350.0)
    with meter_of(host, ipmitool=FakeIpmitool(truth), sources=["node"]) as meter:
        with meter.window() as window:
            for second in range(60):
                truth.failing = 20 <= second < 40
                host.advance(1.0)
                meter.read()
        energy = window.energy()
    assert energy.energy_j == pytest.approx(truth.true_j, rel=0.1)
    assert abs(energy.energy_j - truth.true_j) <= energy.uncertainty_j
    assert any("only root" in gap for gap in energy.gaps)


def tool(folder, text):
    path = folder / "ipmitool"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IEXEC)


def test_the_tool_itself_is_run_with_a_time_out(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    tool(
        tmp_path,
        'echo "    Instantaneous power reading:                   214 Watts"; test "$*" = "dcmi power reading"',
    )
    assert ipmi.power_w(ipmi.run_ipmitool()) == 214.0
    tool(tmp_path, "echo 'Could not open device at /dev/ipmi0' >&2; exit 1")
    with pytest.raises(OSError, match="only root"):
        ipmi.run_ipmitool()
    tool(tmp_path, "exec sleep 5")
    with pytest.raises(OSError, match=r"within 0\.1 s"):
        ipmi.run_ipmitool(timeout_s=0.1)
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    with pytest.raises(OSError, match="not installed"):
        ipmi.run_ipmitool()


def test_a_grace_socket_is_the_processor_and_its_rails_are_parts_of_it(host):
    for label, power_w in (
        ("Module Power Socket 0", 600.0),
        ("Grace Power Socket 0", 250.0),
        ("CPU Power Socket 0", 180.0),
        ("SysIO Power Socket 0", 20.0),
    ):
        add_power_meter(host, power_w, label=label, interval_ms=50)
    with meter_of(host) as meter:
        energy = spend(host, meter, 30.0)
    assert energy.by_domain == pytest.approx({"cpu:0": 250.0 * 30}, rel=0.05)
    assert energy.provenance is Provenance.SAMPLED


def test_a_superchips_meter_is_counted_where_its_socket_shows_none(host):
    add_power_meter(host, 600.0, label="Module Power Socket 0")
    host.add_gpu(300.0)
    with meter_of(host) as meter:
        assert list(meter.read()) == ["module:0"]


def test_nvmls_counter_of_a_module_is_preferred_to_graces_socket(host):
    host.add_gpu(300.0, name="NVIDIA GH200 480GB")
    add_power_meter(host, 250.0, label="Grace Power Socket 0")
    with meter_of(host) as meter:
        assert list(meter.read()) == ["module:0"]
        assert "module:0 contains it" in source_of(meter, "hwmon Grace Power Socket 0").remedy


def test_a_guest_reads_what_its_host_exports(host, tmp_path):
    """Scaphandre's qemu exporter: no `name`, no range, rewritten every 5 s."""
    share = host.draw(30.0, period_s=5.0)
    zone = tmp_path / "scaphandre/intel-rapl:0"
    (tmp_path / "scaphandre/intel-rapl:0:0").mkdir(parents=True)
    zone.mkdir()
    (zone / "energy_uj").touch()
    host.follow(lambda: (zone / "energy_uj").write_text(str(round(share.raw_j * 1e6))))
    with meter_of(host, sources=[f"powercap:{tmp_path / 'scaphandre'}"]) as meter:
        energy = spend(host, meter, 120.0)
        part = energy.domains["cpu:0"]
        assert part.provenance is Provenance.SAMPLED
        assert part.energy_j == pytest.approx(share.true_j, rel=0.05)
        assert part.uncertainty_j > 0.25 * part.energy_j
        assert "guest's share" in source_of(meter, "powercap export").covers


def test_a_mounted_tree_of_real_zones_is_measured(host):
    package = host.add_package(100.0)
    zones = host.root / "sys/devices/virtual/powercap/intel-rapl"
    (host.root / "sys/class").rename(host.root / "sys/hidden")
    with meter_of(host, sources=[f"powercap:{zones}"]) as meter:
        with meter.window() as window:
            host.advance(10.0)
        assert window.by_domain == pytest.approx({"cpu:0": package.true_j}, rel=0.01)
        assert window.provenance is Provenance.MEASURED


@pytest.mark.parametrize("reads", [None, "", "abc", "-5"])
def test_a_folder_without_a_counter_is_refused_and_no_estimate_taken_instead(host, tmp_path, reads):
    folder = tmp_path / "elsewhere"
    (folder / "intel-rapl:0").mkdir(parents=True)
    if reads is not None:
        (folder / "intel-rapl:0/name").write_text("package-0\n")
        (folder / "intel-rapl:0/energy_uj").write_text(reads)
    with pytest.raises(UsageError, match="no counter in it can be read"):
        meter_of(host, sources=[f"powercap:{folder}"])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["nodes"], "unknown"),
        (["powercap:/nowhere"], "folder"),
        (["node", "prometheus:http://a:1?query=x_joules_total"], "two sources"),
        (["node", "prometheus:http://a:1?query=x_watts&domain=gpu:0"], "node contains gpu:0"),
        ([f"prometheus:http://a:1?query=x_watts&domain={domain}" for domain in ("cpu:1", "psys")], "psys contains"),
        ([f"prometheus:http://a:1?query=x_watts&domain={domain}" for domain in ("cpu", "cpu:0")], "cpu contains"),
        (["prometheus:http://a:1?query=x_watts&domain=gpu:0"] * 2, "two sources"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(host, given, told):
    with pytest.raises(UsageError, match=told) as refused:
        meter_of(host, sources=given)
    assert "\n" not in str(refused.value)


def test_what_contains_what():
    assert contains("node", "gpu:0")
    assert contains("node", "module:0")
    assert contains("module:0", "cpu:0")
    assert contains("psys", "dram:1")
    assert not contains("psys", "gpu:0")
    assert not contains("module:0", "module:1")
    assert not contains("cpu:0", "dram:0")
    assert not contains("node", "node")
    assert contains("cpu", "cpu:1")
    assert contains("psys", "cpu")
    assert not contains("cpu", "cpu")
    assert not contains("cpu:0", "cpu")
