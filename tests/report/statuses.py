"""Trials, and how a search stands with them, as the tests want them."""

from __future__ import annotations

from ecoml.energy import Energy, Provenance
from ecoml.metric import Metric
from ecoml.report.terminal.status import Status
from ecoml.run.result import front_of
from ecoml.trial import Point, Trial, TrialState

EPOCHS = Metric(low=0.0, high=1.0, step="epoch")


def trial(number, scores, state=TrialState.FINISHED, end=None, **config):
    points = [
        Point(step, score, Energy(2.0 * step, 0.0, Provenance.ESTIMATED), score)
        for step, score in enumerate(scores, start=1)
    ]
    return Trial(number, {"learning_rate": 0.01, **config}, state, points, end=end)


def status(trials, order=None, *, spent_j=40.0, power_w=4.0, ended=None, reserved_j=5.0):
    order = [t.number for t in trials for _ in t.curve] if order is None else order
    return Status(
        100.0, spent_j, reserved_j, Provenance.ESTIMATED, power_w, trials, order, trials[-1] if trials else None,
        front_of(trials), EPOCHS, ended,
    )  # fmt: skip
