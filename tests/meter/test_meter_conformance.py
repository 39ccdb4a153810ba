"""Every kind of meter passes the conformance suite: real, estimated, simulated."""

import subprocess
import sys
import time

import pytest

from ecoml.meter import Meter, open_meter
from ecoml.testing.meters import METER_CHECKS, WORK_S, SimulatedHost

checks = pytest.mark.parametrize("check", METER_CHECKS)


def burn(seconds):
    end_s = time.perf_counter() + 0.02 * seconds / WORK_S
    while time.perf_counter() < end_s:
        pass


@checks
def test_this_host(check):
    def open_here() -> Meter:
        return open_meter()

    check(open_here, burn)


@checks
@pytest.mark.parametrize("name", ["NVML energy counter", "NVML power", "RAPL package", "RAPL DRAM", "RAPL psys"])
def test_a_real_counter(check, name):
    with open_meter() as meter:
        found = [source for source in meter.sources if source.name == name]
    if not any(source.used for source in found):
        pytest.skip(f"{name}: {found[0].remedy if found else 'there is none'}")

    check(open_meter, burn)


@checks
def test_an_estimate(check, tmp_path):
    check(lambda: open_meter(root=tmp_path), burn)


def build(name, root):
    host = SimulatedHost(root)
    if name in ("rapl", "all"):
        host.add_package(120.0, dram_w=15.0)
        host.add_package(lambda t: 80 + 40 * (t % 2), package=1, phase_s=3e-4)
        host.add_psys(400.0)
    if name in ("gpu", "all"):
        host.add_gpu(300.0)
    if name in ("sampled gpu", "all"):
        host.add_gpu(lambda t: 100 + 50 * (t % 3), counts=False)
    if name == "missing gpu":
        host.add_gpu(300.0, counts=False, shows_power=False)
        host.add_package(100.0)
    if name == "estimate":
        host.add_process(1.5)
    return host


@checks
@pytest.mark.parametrize("name", ["rapl", "gpu", "sampled gpu", "missing gpu", "estimate", "all"])
def test_a_simulated_host(check, name, tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    host = build(name, tmp_path)
    check(lambda: open_meter(root=host.root, nvml=host.nvml, clock=host.clock), host.advance)


def test_importing_the_package_imports_no_hardware_library():
    code = "import sys, ecoml.meter; print(*{'pynvml', 'pyRAPL', 'torch', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
