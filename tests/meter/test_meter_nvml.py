"""NVIDIA GPUs by a fake NVML."""

import sys
import threading
import time
import tomllib
import types

import pytest
import tomli_w

from ecoml.energy import Provenance
from ecoml.meter import describe_sources, open_meter
from ecoml.meter.counters.ordinals import domains_of, nvml_indices
from ecoml.testing.gpus import DRIVER
from ecoml.testing.meters import SimulatedHost


@pytest.fixture(autouse=True)
def no_setting(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)


@pytest.fixture
def host(tmp_path):
    return SimulatedHost(tmp_path)


def meter_of(host):
    return open_meter(root=host.root, nvml=host.nvml, clock=host.clock)


def source_of(meter, domain):
    (source,) = [source for source in meter.sources if source.domain == domain]
    return source


def test_the_energy_counter_is_measured_and_the_processor_estimated_beside_it(host):
    gpu = host.add_gpu(300.0)
    with meter_of(host) as meter:
        window = meter.window()
        host.advance(10.0)
        energy = window.lap()
    assert energy.domains["gpu:0"].provenance is Provenance.MEASURED
    assert energy.domains["gpu:0"].energy_j == pytest.approx(gpu.true_j, abs=30.0)
    assert abs(energy.domains["gpu:0"].energy_j - gpu.true_j) <= energy.domains["gpu:0"].uncertainty_j
    assert energy.domains["cpu"].provenance is energy.provenance is Provenance.ESTIMATED


def test_a_short_window_is_uncertain_by_what_the_counter_lags(host):
    gpu = host.add_gpu(300.0, phase_s=0.05)
    with meter_of(host) as meter:
        host.advance(2.0)
        with meter.window() as window:
            host.advance(0.06)
    part = window.energy().domains["gpu:0"]
    assert abs(part.energy_j - 0.06 * 300.0) <= part.uncertainty_j
    assert part.uncertainty_j >= 2 * 0.1 * 290.0
    assert gpu.true_j == pytest.approx(618.0)


def test_power_is_sampled_by_a_thread_where_there_is_no_energy_counter(host):
    gpu = host.add_gpu(200.0, counts=False)
    with meter_of(host) as meter:
        window = meter.window()
        for _ in range(20):
            host.advance(0.5)
            meter.read()
        part = window.energy().domains["gpu:0"]
        assert part.provenance is Provenance.SAMPLED
        assert part.energy_j == pytest.approx(gpu.true_j, rel=1e-3)
        assert "sampled" in source_of(meter, "gpu:0").covers


def test_the_thread_samples_power_while_nobody_reads(host):
    host.add_gpu(200.0, counts=False)
    sampled = threading.Event()
    calls = iter(range(6))

    def power_mw(_gpu):
        if next(calls, None) is None:
            sampled.set()
        return 200_000

    host.nvml.nvmlDeviceGetPowerUsage = power_mw
    with open_meter(root=host.root, nvml=host.nvml):
        assert sampled.wait(10.0)


def test_threads_never_read_one_gpu_at_once(host):
    gpu = host.add_gpu(200.0)
    inside = threading.Lock()
    clashes = []

    def energy_mj(handle):
        if not inside.acquire(blocking=False):
            clashes.append(handle)
            return 0
        time.sleep(1e-3)
        inside.release()
        return int(gpu.raw_j * 1e3)

    host.nvml.nvmlDeviceGetTotalEnergyConsumption = energy_mj
    with meter_of(host) as meter:
        threads = [threading.Thread(target=meter.read) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert clashes == []


def test_an_unreadable_gpu_is_missing_and_named(host):
    host.add_gpu(300.0, counts=False, shows_power=False)
    host.add_package(100.0)
    with meter_of(host) as meter:
        host.advance(1.0)
        window = meter.window()
        assert set(meter.read()) == {"cpu:0"}
        assert window.provenance is meter.provenance is Provenance.MISSING
        assert any("gpu:0" in gap and "Not Supported" in gap for gap in window.gaps)
        assert not source_of(meter, "gpu:0").readable


def test_a_gpu_that_is_lost_midway_is_a_gap(host):
    gpu = host.add_gpu(300.0)
    with meter_of(host) as meter:
        window = meter.window()
        host.advance(5.0)
        window.lap()
        gpu.failing = True
        host.advance(1.0)
        lap = window.lap()
        assert lap.domains["gpu:0"].provenance is Provenance.MISSING
        assert lap.gaps == ("gpu:0 cannot be read: GPU is lost",)


def test_a_driver_that_was_loaded_anew_is_a_gap(host):
    gpu = host.add_gpu(300.0)
    with meter_of(host) as meter:
        window = meter.window()
        host.advance(5.0)
        window.lap()
        gpu.reset()
        host.advance(2.0)
        assert "reset" in window.lap().gaps[0]
        host.advance(2.0)
        assert window.lap().by_domain["gpu:0"] == pytest.approx(600.0, abs=31.0)


@pytest.mark.parametrize(
    ("setting", "domains"),
    [
        ("1", {"gpu:1"}),
        ("2,0", {"gpu:0", "gpu:2"}),
        ("0,0", {"gpu:0"}),
        ("", set()),
        ("-1", set()),
        ("1,-1,0", {"gpu:1"}),
        ("0, 7, 1", {"gpu:0"}),
        ("NoDevFiles", set()),
        ("GPU-22222222", {"gpu:2"}),
        ("GPU-1111,GPU-0", {"gpu:0", "gpu:1"}),
        ("MIG-GPU-11111111/2/0", {"gpu:1"}),
    ],
)
def test_only_the_visible_gpus_are_counted(setting, domains, host, monkeypatch):
    for _ in range(3):
        host.add_gpu(100.0)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", setting)
    with meter_of(host) as meter:
        assert set(meter.read()) - {"cpu"} == domains
        assert meter.window().gaps == ()
        assert {source.domain for source in meter.sources} >= {"gpu:0", "gpu:1", "gpu:2"}


def test_a_uuid_that_nvml_does_not_know_is_missing_and_named(host, monkeypatch):
    host.add_gpu(100.0)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-feed")
    with meter_of(host) as meter:
        assert set(meter.read()) == {"cpu"}
        assert meter.provenance is Provenance.MISSING
        assert "GPU-feed" in meter.window().gaps[0]


def test_gpus_of_several_kinds_ask_for_one_order(host, monkeypatch):
    host.add_gpu(100.0)
    host.add_gpu(100.0, name="NVIDIA T4")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    with meter_of(host) as meter:
        assert "CUDA_DEVICE_ORDER=PCI_BUS_ID" in source_of(meter, "gpu:1").remedy
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    with meter_of(host) as meter:
        assert "CUDA_DEVICE_ORDER" not in source_of(meter, "gpu:1").remedy


@pytest.mark.parametrize("shown", ["dev/nvidia0", "proc/driver/nvidia/gpus/0000:01:00.0"])
def test_a_gpu_that_the_driver_shows_but_nvml_does_not_is_missing(shown, tmp_path, monkeypatch):
    (tmp_path / shown).mkdir(parents=True)
    with open_meter(root=tmp_path) as meter:
        assert meter.provenance is Provenance.MISSING
        assert "gpu:0" in meter.window().gaps[0]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with open_meter(root=tmp_path) as meter:
        assert meter.provenance is Provenance.ESTIMATED


def failing_nvml(name):
    def fail():
        raise type(name, (Exception,), {})("no")

    return types.SimpleNamespace(nvmlInit=fail)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        ("NVMLError_LibraryNotFound", "NVIDIA_DRIVER_CAPABILITIES"),
        ("NVMLError_DriverNotLoaded", "modprobe nvidia"),
        ("NVMLError_LibRmVersionMismatch", "reboot"),
        ("NVMLError_Unknown", "nvidia-smi"),
    ],
)
def test_why_nvml_does_not_start_is_told_with_its_remedy(error, says, tmp_path):
    with open_meter(root=tmp_path, nvml=failing_nvml(error)) as meter:
        assert says in source_of(meter, "gpu").remedy
        assert meter.provenance is Provenance.ESTIMATED


def test_a_host_without_the_module_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with open_meter() as meter:
        assert any("pip install nvidia-ml-py" in source.remedy for source in meter.sources)


def test_the_old_module_of_the_same_name_is_recognised(host, monkeypatch):
    host.add_gpu(100.0)
    monkeypatch.setitem(sys.modules, "pynvml", host.nvml)
    with open_meter() as meter:
        assert "pip uninstall pynvml" in source_of(meter, "gpu:0").remedy
    host.nvml._nvmlGetFunctionPointer = None
    with open_meter() as meter:
        assert "pip uninstall pynvml" not in source_of(meter, "gpu:0").remedy


def test_closing_shuts_nvml_down_once(host):
    host.add_gpu(100.0)
    calls = []
    host.nvml.nvmlShutdown = lambda: calls.append(1)
    meter = meter_of(host)
    meter.close()
    meter.close()
    assert calls == [1]


def counting(nvml, *names):
    """The same NVML, and a list of the calls of these functions."""
    calls = []

    def counted(name):
        def call(*given):
            calls.append(name)
            return getattr(nvml, name)(*given)

        return call

    return types.SimpleNamespace(**vars(nvml) | {name: counted(name) for name in names}), calls


def test_energy_and_power_are_read_in_one_call_where_the_driver_has_it(host):
    host.add_gpu(300.0)
    nvml = types.SimpleNamespace(**vars(host.nvml))
    nvml.nvmlDeviceGetTotalEnergyConsumption = nvml.nvmlDeviceGetPowerUsage = lambda _gpu: pytest.fail("asked alone")
    with open_meter(root=host.root, nvml=nvml, clock=host.clock) as meter:
        window = meter.window()
        host.advance(1.0)
        assert window.by_domain["gpu:0"] == pytest.approx(300.0, abs=31.0)


def test_a_driver_that_does_not_is_asked_twice(host):
    host.add_gpu(300.0, shows_fields=False)
    nvml, asked = counting(host.nvml, "nvmlDeviceGetTotalEnergyConsumption", "nvmlDeviceGetPowerUsage")
    with open_meter(root=host.root, nvml=nvml, clock=host.clock) as meter:
        asked.clear()
        window = meter.window()
        host.advance(1.0)
        assert window.by_domain["gpu:0"] == pytest.approx(300.0, abs=31.0)
    assert asked
    assert asked == ["nvmlDeviceGetTotalEnergyConsumption", "nvmlDeviceGetPowerUsage"] * (len(asked) // 2)


def test_what_is_metered_is_named_for_a_run_folder(host):
    host.add_gpu(300.0, name="NVIDIA H100 80GB HBM3", limit_w=500.0)
    host.add_gpu(300.0, counts=False)
    with meter_of(host) as meter:
        host.advance(1.0)
        described = describe_sources(meter.sources)
    assert described["gpu:0"] == {
        "source": "NVML energy counter",
        "provenance": "measured",
        "covers": "NVIDIA H100 80GB HBM3, the whole board",
        "name": "NVIDIA H100 80GB HBM3",
        "driver": DRIVER,
        "limit_w": 500.0,
        "default_limit_w": 700.0,
    }
    assert described["gpu:1"]["provenance"] == "sampled"
    assert "limit_w" not in described["gpu:1"], "it does not tell"
    assert described["cpu"]["source"] == "estimate"
    assert tomllib.loads(tomli_w.dumps({"energy": described}))["energy"] == described


def test_this_hosts_nvml_is_started_once_and_its_boards_are_mapped_once(host, monkeypatch):
    for _ in range(2):
        host.add_gpu(100.0)
    own, calls = counting(host.nvml, "nvmlInit", "nvmlShutdown", "nvmlDeviceGetUUID")
    own._nvmlGetFunctionPointer = None
    monkeypatch.setitem(sys.modules, "pynvml", own)
    monkeypatch.setattr("ecoml.meter.counters.ordinals._known", {})
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-11111111,GPU-00000000")
    for _ in range(3):
        assert nvml_indices((0,)) == (1,)
        with open_meter() as meter:
            assert domains_of((0, 1), meter) == ["gpu:1", "gpu:0"]
    assert calls.count("nvmlInit") == 1
    assert calls.count("nvmlShutdown") == 0
    assert calls.count("nvmlDeviceGetUUID") == 3, "one board is found at the second look, the other at the first"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert nvml_indices((0,)) == (0,)


def test_a_slice_counts_for_the_board_it_lies_on(host, monkeypatch):
    for _ in range(2):
        host.add_gpu(100.0)
    host.nvml.nvmlDeviceGetHandleByUUID = lambda uuid: "slice" if uuid == b"MIG-5c89852c" else None
    host.nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle = lambda slice_: host._gpus[1]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-5c89852c")
    assert nvml_indices((0,), host.nvml) == (1,)
    with meter_of(host) as meter:
        assert set(meter.read()) == {"gpu:1", "cpu"}
