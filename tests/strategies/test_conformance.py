"""Every strategy that comes with ecoml passes the suite that third parties use; peers where their package is there."""

import pytest

from ecoml.space.shipped import shipped
from ecoml.strategies import create_strategy
from ecoml.strategies.peers import missing
from ecoml.strategies.registry import read_strategy
from ecoml.testing.strategies import STRATEGY_CHECKS

SLOW = {"optuna-gp", "paper-bo", "smac", "smac-multi-fidelity", "syne-tune-asha-cqr"}


def strategies():
    yield pytest.param("bayes")
    for path in sorted(shipped("baselines").glob("*.toml")):
        package = read_strategy(path).package
        absent = pytest.mark.skipif(missing(package), reason=f"{package} is not installed")
        yield pytest.param(path.stem, marks=[absent, *([pytest.mark.slow] if path.stem in SLOW else [])])


@pytest.mark.parametrize("check", STRATEGY_CHECKS)
@pytest.mark.parametrize("name", list(strategies()))
def test_conformance(check, name):
    check(lambda space, seed: create_strategy(name, space, seed))
