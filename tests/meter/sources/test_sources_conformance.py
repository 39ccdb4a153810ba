"""Every further source passes the conformance suite, on doubles that show what the real things show."""

import pytest

from ecoml.meter import open_meter
from ecoml.testing.machines import FakeAmd, FakeChip, FakeIpmitool, FakePrometheus, FakeZeus, add_power_meter
from ecoml.testing.meters import METER_CHECKS, SimulatedHost

QUERY = "prometheus:http://plug:9090?query=plug_{}&step=1s"


def steps(t):
    return 200.0 + 100.0 * (int(t) % 3)


def amd(host, **options):
    counter = host.draw(steps, period_s=0.01, modulus_j=65536.0)
    return FakeZeus([FakeAmd(counter, limit_w=500.0, **options)])


def chip(host, *names):
    return FakeZeus(chip=FakeChip({name: host.draw(20.0, period_s=0.1) for name in names}))


OPTIONS = {
    "an AMD counter": lambda host: {"zeus": amd(host)},
    "AMD power": lambda host: {"zeus": amd(host, counts=False, tells=["instant"])},
    "a Jetson": lambda host: {"zeus": chip(host, "total_energy_mj", "cpu_energy_mj", "gpu_energy_mj")},
    "Apple silicon": lambda host: {"zeus": chip(host, "cpu_total_mj", "gpu_mj", "gpu_sram_mj", "dram_mj", "ane_mj")},
    "ACPI": lambda host: {"sources": [add_power_meter(host, steps) and "node"]},
    "IPMI": lambda host: {"ipmitool": FakeIpmitool(host.draw(steps)), "sources": ["node"]},
    "Prometheus, joules": lambda host: {
        "fetch": FakePrometheus(host, {"a": host.draw(steps)}, step_s=1.0),
        "sources": [QUERY.format("joules_total")],
    },
    "Prometheus, watts": lambda host: {
        "fetch": FakePrometheus(host, {"a": host.draw(steps)}, step_s=1.0, power=True),
        "sources": [QUERY.format("watts")],
    },
}


@pytest.mark.parametrize("check", METER_CHECKS)
@pytest.mark.parametrize("name", OPTIONS)
def test_conformance(check, name, tmp_path):
    host = SimulatedHost(tmp_path)
    options = OPTIONS[name](host)
    check(lambda: open_meter(root=host.root, clock=host.clock, **options), host.advance)
