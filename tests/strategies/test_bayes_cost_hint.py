"""What a training knows of a step's cost beforehand: on a GPU its kernels and arithmetic, which `bayes` learns from."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import ecoml
from ecoml.strategies.bayes.candidates import Candidates
from ecoml.strategies.bayes.models.energy import EnergyModel
from ecoml.training.function import FunctionExecutor
from ecoml.training.images.network.cost import epoch_seconds, kernels
from ecoml.training.images.network.floor import Floor
from ecoml.training.images.network.plan import plan
from ecoml.training.images.settings import Settings

DATA = Floor((1, 28, 28), 10, 48_000, 12_000, 1e-12, twice=True)
HINT = partial(epoch_seconds, data=DATA, peak_flop_per_s=8e14)


def epoch_j(config):
    """Of a GPU that is none of the hint's: other kernels, and a share of the peak that grows with the width."""
    settings = Settings.of(config)
    launched_s = DATA.train_images / settings.batch_size * kernels(settings, plan(settings, DATA.shape, 10)) * 3.5e-6
    arithmetic_s = DATA.flops({**config, "epochs": 1}, 1) / (min(0.5, 0.03 * settings.width**0.5) * 8e14)
    return 1.0 + 110 * (launched_s + arithmetic_s) + 250 * arithmetic_s


@pytest.mark.parametrize("observed", [4, 8, 24])
def test_a_hint_makes_the_energy_of_new_configurations_known_sooner(observed):
    space = ecoml.load_space("cnn")
    errors: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(10):
        random = np.random.default_rng(seed)
        configs = [space.sample(random) for _ in range(observed + 60)]
        x = Candidates(space, 100).pool(configs).x
        joules = np.array([epoch_j(config) for config in configs]) * np.exp(0.05 * random.standard_normal(len(x)))
        for hinted in errors:
            seen = np.column_stack([x, np.log([HINT(config) for config in configs])]) if hinted else x
            model = EnergyModel(seen[:observed], joules[:observed], np.zeros(observed))
            errors[hinted].append(float(np.std(np.log(model.step_j(seen[observed:]) / joules[observed:]))))
    assert np.median(errors[True]) < 0.6 * np.median(errors[False])


class Hinted(FunctionExecutor):
    """A training by formula that knows about what it takes."""

    def __init__(self):
        super().__init__(self._train)
        self.asked = 0

    def _train(self, config):
        for epoch in range(1, 4):
            yield ecoml.Measurement(0.9 - 0.3 / epoch - abs(config["dropout"] - 0.1), epoch_j(config))

    def cost_hint(self, config):
        self.asked += 1
        return HINT(config)


def test_a_search_hands_the_hint_of_its_training_to_bayes(tmp_path):
    training = Hinted()
    how = {"energy": "reported", "directory": tmp_path / "run", "max_trials": 12}
    result = ecoml.Searcher(ecoml.load_space("cnn"), training, budget_j=1e5, strategy="bayes", **how).run()
    assert training.asked > 100, "of every candidate"
    assert result.recommended is not None
