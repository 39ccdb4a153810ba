"""Budgets of a few trainings: what is begun can be finished, and the best training is."""

import numpy as np
import pytest

from ecoml.endings import StopReason
from ecoml.ledger import Ledger
from ecoml.metric import ACCURACY
from ecoml.run.folder import RunFolder
from ecoml.run.result import Result
from ecoml.searcher.energy.steps import Steps
from ecoml.searcher.searcher import Searcher
from ecoml.space import Choice, Float, Int, Space
from ecoml.strategies.asha import Halving
from ecoml.strategies.base import Start
from ecoml.strategies.bayes import Bayes
from ecoml.strategies.bayes.models.energy import EnergyModel
from ecoml.testing.recorder import point, record_search
from ecoml.trial import Measurement, Trial, TrialState

STEPS = 12
SPACE = Space(
    {"rate": Float(1e-4, 1.0, log=True), "width": Int(4, 32, log=True), "block": Choice(["plain", "residual"])}
)


def step_j(config):
    return config["width"] ** 0.5 * (2.0 if config["block"] == "residual" else 1.0)


def curve(config):
    off = np.log10(config["rate"]) + 1.5
    best = 0.95 * np.exp(-0.2 * off**2) * config["width"] / (config["width"] + 2)
    return [float(best * (1.0 - 0.8 ** (step + 1))) for step in range(STEPS)]


def train(config):
    for score in curve(config):
        yield Measurement(score, energy_j=step_j(config))


class Known:
    """The same training as an executor that knows how long its trials are, and how large."""

    def prepare(self, space):
        pass

    def start(self, trial, account):
        return train(trial.config)

    def describe(self):
        return {"kind": "known"}

    def steps(self, config):
        return STEPS

    def floor_j(self, config, step):
        return step * config["width"]


def search(seed, trainings, tmp_path, executor=train, strategy=Bayes) -> Result:
    middle = SPACE.decode(np.full(SPACE.dimension, 0.5))
    return Searcher(
        SPACE,
        executor,
        budget_j=trainings * STEPS * step_j(middle),
        energy="reported",
        strategy=strategy(SPACE, seed),
        directory=tmp_path / str(seed),
    ).run()


@pytest.mark.parametrize("executor", [train, Known()])
@pytest.mark.parametrize("trainings", [2, 5])
def test_the_best_training_is_finished_as_long_as_there_is_energy_for_it(trainings, executor, tmp_path):
    for seed in range(2):
        result = search(seed, trainings, tmp_path, executor)
        assert all(trial.curve for trial in result.trials), "begun, and left without a measurement"
        best = max(result.trials, key=lambda trial: trial.utility or 0.0)
        to_go_j = (STEPS - best.step) * step_j(best.config)
        assert to_go_j == 0 or to_go_j > result.energy.left_j, (seed, best.step, to_go_j, result.energy.left_j)


def test_what_cannot_be_finished_is_not_begun(tmp_path):
    for seed in range(2):
        result = search(seed, 5, tmp_path, Known())
        begun = [progress for progress in result.progress if progress.point.step == 1]
        for progress in begun[2:]:
            config = result.trials[progress.trial].config
            left_j = result.energy.budget_j - progress.point.spent_j + progress.point.energy_j
            assert STEPS * step_j(config) < 1.5 * left_j, "a forecast may be wrong, but not that wrong"


def test_a_budget_that_buys_no_further_training_is_spent(tmp_path):
    result = search(0, 3, tmp_path, Known())
    assert result.ended is not None
    assert result.ended.reason is StopReason.BUDGET_SPENT
    assert result.energy.left_j < STEPS * step_j({"width": 32, "block": "residual"})


class Scripted:
    """Looks at a small network for two steps, and then wants a large one."""

    def __init__(self, space, seed):
        self._started = 0

    def ask(self):
        self._started += 1
        width = 4 if self._started == 1 else 32
        return Start({"rate": 0.03, "width": width, "block": "residual" if self._started > 1 else "plain"}, 2)

    def tell(self, trial):
        pass


def test_whatever_the_strategy_the_rest_goes_to_the_best_that_fits(tmp_path):
    result = search(0, 0.42, tmp_path, Known(), Scripted)
    assert [trial.step for trial in result.trials] == [5, 2], "no third one fits, and the small one can go on"
    assert result.energy.left_j < 2.0
    halved = search(1, 2.2, tmp_path, strategy=Halving)
    assert min(step_j(trial.config) for trial in halved.trials if trial.step < STEPS) > halved.energy.left_j


def test_the_default_is_trained_to_its_end_first():
    space = Space({"rate": Float(1e-4, 1.0, log=True, default=0.03), "width": Int(4, 32), "block": Choice(["plain"])})
    search = record_search(Bayes(space, 0), space, train, decisions=5)
    assert search.decisions[0] == Start(space.default or {})
    assert search.trials[0].state is TrialState.FINISHED
    assert all(trial.step < STEPS for number, trial in search.trials.items() if number)


def test_the_energy_of_a_first_step_follows_from_its_arithmetic(tmp_path):
    ledger = Ledger(RunFolder.create(tmp_path / "run", {"run": {"budget_j": 100.0}}), 100.0, ACCURACY, None)
    steps = Steps(None, ledger)
    assert steps.new_j(7.0) == 7.0
    first = point(1, 0.5, 10.0)._replace(floor_j=1.0)
    steps.learn(Trial(0, {}, TrialState.SUSPENDED, [first]))
    assert steps.new_j() == 10.0
    assert steps.new_j(floor_j=4.0) == pytest.approx(20.0), "a part is the same for all"
    ledger.close()


def test_one_training_tells_what_others_take_where_sizes_are_known():
    x, size = np.array([[0.5], [0.6], [0.4]]), np.array([1.0, 16.0, 256.0])

    def log_size(x):
        return np.log(size)[: len(x)]

    one = EnergyModel(x[:1], np.array([3.0]), np.zeros(1), log_size)
    assert one.step_j(x) == pytest.approx([3.0, 12.0, 48.0], rel=0.05)
    rng = np.random.default_rng(0)
    many, sizes = rng.random((12, 1)), np.exp(rng.uniform(0, 5, 12))
    known = dict(zip([*many[:, 0], *x[:, 0]], [*sizes, *size], strict=True))
    proportional = EnergyModel(many, 2.0 * sizes, np.zeros(12), lambda x: np.log([known[at] for at in x[:, 0]]))
    assert proportional.step_j(x) == pytest.approx(2.0 * size, rel=0.3), "how much it grows is learnt"
