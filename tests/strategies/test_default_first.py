"""The default configuration is what every strategy trains first, but for those that lay configurations out."""

import pytest

from ecoml.space import Choice, Float, Int, Space
from ecoml.space.shipped import shipped
from ecoml.strategies import create_strategy
from ecoml.strategies.base import Start
from ecoml.strategies.peers import missing
from ecoml.strategies.registry import read_strategy
from ecoml.testing.recorder import record_search
from ecoml.trial import Measurement

SPACE = Space(
    {
        "rate": Float(1e-4, 1.0, log=True, default=0.1),
        "width": Int(4, 32, log=True),
        "block": Choice(["plain", "residual", "separable"], default="separable"),
        "momentum": Float(0.0, 0.9, when={"block": ["separable"]}),
    }
)
WITHOUT = Space(
    {
        "rate": Float(1e-4, 1.0, log=True),
        "width": Int(4, 32, log=True),
        "block": Choice(["plain", "residual", "separable"]),
        "momentum": Float(0.0, 0.9, when={"block": ["separable"]}),
    }
)
LAID_OUT = {"grid", "paper-grid"}
NAMES = ["bayes", *sorted({path.stem for path in shipped("baselines").glob("*.toml")} - LAID_OUT)]


def train(config):
    for step in range(1, 5):
        yield Measurement(config["width"] / 40 * (1 - 0.5**step), energy_j=float(config["width"]))


def started(strategy, space, decisions=6):
    search = record_search(strategy, space, train, decisions=decisions)
    return [decision.config for decision in search.decisions if isinstance(decision, Start)]


def skip_if_missing(name):
    if name != "bayes" and missing(package := read_strategy(shipped("baselines") / f"{name}.toml").package):
        pytest.skip(f"{package} is not installed")


@pytest.mark.parametrize("name", NAMES)
def test_the_default_comes_first_and_once(name):
    skip_if_missing(name)
    configs = started(create_strategy(name, SPACE, 0), SPACE)
    assert configs[0] == SPACE.default
    assert SPACE.default not in configs[1:]


@pytest.mark.parametrize("name", sorted(LAID_OUT))
def test_a_grid_stays_a_grid(name):
    configs = started(create_strategy(name, SPACE, 0), SPACE)
    assert configs == started(create_strategy(name, WITHOUT, 0), WITHOUT)


@pytest.mark.parametrize(
    "kind", ["bayes", "random", "mo-asha", "top-k", "nehvi", "paper-bo", "optuna", "smac", "flaml", "syne-tune"]
)
def test_a_strategy_file_can_leave_it_out(kind, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(f'strategy = "{kind}"\n[settings]\ndefault_first = false\n', encoding="utf-8")
    if missing(package := read_strategy(path).package):
        pytest.skip(f"{package} is not installed")
    first = started(create_strategy(path, SPACE, 0), SPACE, decisions=1)
    assert first == started(create_strategy(path, WITHOUT, 0), WITHOUT, decisions=1)
    assert first != [SPACE.default]
