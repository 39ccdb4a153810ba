"""Strategies and trainings that do what a test says."""

from __future__ import annotations

import ecoml


def asked(searcher):
    """The next trial of a search that is not over."""
    trial = searcher.ask()
    assert trial is not None
    return trial


def why(over):
    """Why a search (its result) or a trial is over."""
    end = over.ended if isinstance(over, ecoml.Result) else over.end
    assert end is not None
    return end


def purposes(result):
    """Joules by purpose."""
    return {purpose.value: energy.energy_j for purpose, energy in result.energy.by_purpose.items()}


class Script:
    """A strategy that does what a test says."""

    def __init__(self, decisions):
        self.decisions = list(decisions)
        self.told = []

    def ask(self):
        return self.decisions.pop(0) if self.decisions else ecoml.End("the script is over")

    def tell(self, trial):
        self.told.append((trial.number, trial.step, trial.state.value))


def curve(scores, energy_j=10.0):
    def train(config):
        for score in scores:
            yield ecoml.Measurement(score=score, energy_j=energy_j)

    return train


CONFIG = {"learning_rate": 0.01, "width": 16, "activation": "relu"}
