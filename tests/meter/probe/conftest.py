"""What the tests of the probe share."""

import pytest

from ecoml.testing.meters import SimulatedHost


@pytest.fixture(autouse=True)
def all_gpus(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.fixture
def host(tmp_path):
    return SimulatedHost(tmp_path)
