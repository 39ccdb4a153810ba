"""Every executor passes the suite that others' executors can be held to."""

from __future__ import annotations

import pytest

import ecoml
from ecoml.testing.executors import EXECUTOR_CHECKS
from ecoml.training.base import Executor
from ecoml.training.function import FunctionExecutor

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
