"""A space of fixed values only is one configuration."""

import pytest
from rigs.scripts import curve, why

import ecoml
from ecoml.endings import StopReason
from ecoml.metric import ACCURACY
from ecoml.report.page.page import write_report
from ecoml.strategies.bayes.front import believed

SPACE = ecoml.Space({"width": 8, "activation": "relu"})


@pytest.mark.parametrize("scores", [[0.5], [0.1, 0.3, 0.5, 0.6]])
@pytest.mark.parametrize("strategy", ["bayes", "botorch", "mo-asha", "paper-bo", "sobol"])
def test_it_is_tried_once(strategy, scores, run_folder):
    wishes = {"strategy": strategy, "directory": run_folder, "energy": "reported"}
    result = ecoml.Searcher(SPACE, curve(scores), budget_j=200, **wishes).run()
    assert [dict(trial.config) for trial in result.trials] == [{"width": 8, "activation": "relu"}]
    assert why(result).reason is StopReason.EXHAUSTED
    assert write_report(run_folder).is_file()


def test_its_front_is_believed(run_folder):
    wishes = {"strategy": "random", "directory": run_folder, "energy": "reported"}
    result = ecoml.Searcher(SPACE, curve([0.1, 0.3, 0.5, 0.6]), budget_j=200, **wishes).run()
    assert len(believed(SPACE, result.trials, result.front, ACCURACY)) == len(result.front)
