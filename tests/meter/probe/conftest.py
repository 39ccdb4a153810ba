"""What the tests of the probe share."""

import pytest

from ecoml.meter.probe import check
from ecoml.testing.meters import SimulatedHost


@pytest.fixture(autouse=True)
def short_look(monkeypatch):
    monkeypatch.setattr(check, "LOOK_S", 0.5)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.fixture
def host(tmp_path):
    return SimulatedHost(tmp_path)
