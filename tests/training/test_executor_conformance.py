"""Every executor passes the suite that others' executors can be held to."""

from __future__ import annotations

from typing import Any

import pytest

import ecoml
from ecoml.testing.executors import EXECUTOR_CHECKS
from ecoml.training.base import Executor
from ecoml.training.function import FunctionExecutor, brings_energy

SPACE = ecoml.Space({"width": ecoml.Int(4, 8), "epochs": 3, "depth": 1, "batch_size": 256})
CONFIG = {"width": 4, "epochs": 3, "depth": 1, "batch_size": 256}


def train(config):
    for step in range(config["epochs"]):
        yield step / 10 + config["width"] / 100


MAKERS = {"cnn": lambda: ecoml.CnnTraining("digits", threads=1), "function": lambda: FunctionExecutor(train)}


@pytest.mark.parametrize("check", EXECUTOR_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("maker", MAKERS)
def test_it_conforms(maker, check):
    check(MAKERS[maker], SPACE, CONFIG)


@pytest.mark.parametrize("maker", MAKERS)
def test_it_fulfils_the_protocol(maker):
    assert isinstance(MAKERS[maker](), Executor)


def keyword(config):
    yield ecoml.Measurement(score=0.5, energy_j=config["width"])


def positional(config):
    yield ecoml.Measurement(0.5, config["width"])


def without(config):
    yield ecoml.Measurement(score=config["width"])


class Called:
    def __call__(self, config):
        return ecoml.Measurement(0.5, energy_j=1.0)


def test_code_that_brings_energy_is_known_by_its_code():
    assert brings_energy(keyword)
    assert brings_energy(positional)
    assert brings_energy(Called())
    assert brings_energy(lambda config: ecoml.Measurement(0.5, energy_j=config["width"]))
    assert not brings_energy(without)
    assert not brings_energy(train)
    typed_at_a_prompt: dict[str, Any] = {"ecoml": ecoml}
    exec("def train(config):\n    yield ecoml.Measurement(accuracy=0.5, energy_j=1.0)", typed_at_a_prompt)  # noqa: S102
    assert brings_energy(typed_at_a_prompt["train"])
