"""Only the GPUs that a search trains on are in its account."""

from __future__ import annotations

import pytest

import ecoml
from ecoml.meter import open_meter
from ecoml.meter.counters.ordinals import nvml_indices
from ecoml.testing.hosts import SimulatedHost


def test_a_trial_holds_only_its_own_gpu(space, quick, tmp_path, monkeypatch):
    host = SimulatedHost(tmp_path / "host")
    host.add_package(power_w=50.0)
    used, other = host.add_gpu(power_w=300.0), host.add_gpu(power_w=700.0)
    monkeypatch.setattr(
        "ecoml.meter.open_meter",
        lambda **given: open_meter(root=host.root, nvml=host.nvml, clock=host.clock, **given),
    )
    monkeypatch.setattr(
        "ecoml.meter.counters.ordinals.nvml_indices", lambda ordinals: nvml_indices(ordinals, host.nvml)
    )
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    class OnFirst:
        def prepare(self, space):
            pass

        def describe(self):
            return {"kind": "on-first"}

        def gpus(self):
            return (0,)

        def start(self, trial, account):
            def run():
                host.advance(2.0)
                yield ecoml.Measurement(0.5)

            return run()

    result = ecoml.Searcher(space, OnFirst(), budget_j=1e6, max_trials=2, **quick).run()
    assert set(result.energy.by_domain) == {"gpu:0", "cpu:0"}
    assert result.energy.by_domain["gpu:0"].energy_j == pytest.approx(used.true_j, rel=0.2)
    assert other.true_j > used.true_j
    assert result.trials[0].energy_j == pytest.approx(2 * 350, rel=0.1)


@pytest.mark.parametrize(
    ("setting", "ordinals", "indices"),
    [
        (None, (1,), (1,)),
        ("2,0", (0,), (2,)),
        ("GPU-11111111,GPU-00000000", (1,), (0,)),
        ("", (0,), ()),
        (None, (), ()),
        ("GPU-none", (0,), None),
    ],
)
def test_cudas_numbers_become_nvmls(setting, ordinals, indices, tmp_path, monkeypatch):
    host = SimulatedHost(tmp_path)
    for _ in range(3):
        host.add_gpu(power_w=100.0)
    if setting is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", setting)
    assert nvml_indices(ordinals, host.nvml) == indices


def test_gpus_of_several_kinds_without_a_certain_order_are_all_counted(tmp_path, monkeypatch):
    host = SimulatedHost(tmp_path)
    host.add_gpu(power_w=100.0, name="NVIDIA A100")
    host.add_gpu(power_w=100.0, name="NVIDIA T4")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    assert nvml_indices((0,), host.nvml) is None
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    assert nvml_indices((1,), host.nvml) == (1,)


@pytest.mark.parametrize(("device", "gpus"), [(None, (0,)), ("cuda", (0,)), ("cuda:2", (2,)), ("cpu", ())])
def test_the_built_in_training_knows_its_gpu(device, gpus):
    assert ecoml.CnnTraining("digits", device=device).gpus() == gpus
