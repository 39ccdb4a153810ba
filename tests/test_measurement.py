"""The details of a measurement: what JSON can hold, from any library."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch

import ecoml
from ecoml.errors import TrainingError
from ecoml.run.result import Result


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (torch.tensor(0.5, requires_grad=True), 0.5),
        (np.array([1, 2]), [1, 2]),
        (torch.tensor([[1.5], [2.5]]), [[1.5], [2.5]]),
        ([np.float64(1.0), {"inner": np.int8(2)}], [1.0, {"inner": 2}]),
        (math.nan, None),
        (np.float32(np.inf), None),
        (np.array([0.5, np.nan]), [0.5, None]),
        ("text", "text"),
        (None, None),
    ],
)
def test_details_of_other_libraries_become_json(given, stored):
    details = ecoml.Measurement(0.5, details={"found": given}).details
    assert details == {"found": stored}
    assert json.loads(json.dumps(details, allow_nan=False)) == details


@pytest.mark.parametrize(
    ("details", "said"),
    [
        ([1, 2], r"are \[1, 2\] \(list\); give values by name"),
        ("loss", r"are 'loss' \(str\); give values by name"),
        (0.3, r"are 0.3 \(float\); give values by name"),
        ({"seen": {1, 2}}, "do not fit into JSON .*; give numbers, texts and lists by name"),
        ({"model": torch.nn.Identity()}, "do not fit into JSON"),
        ({(1, 2): 0.5}, "do not fit into JSON"),
    ],
)
def test_details_that_are_none_are_one_clear_line(details, said):
    with pytest.raises(TrainingError, match=said) as raised:
        ecoml.Measurement(0.5, details=details)
    assert "\n" not in str(raised.value)


def test_details_that_contain_themselves_are_refused():
    endless: dict[str, Any] = {}
    endless["again"] = endless
    with pytest.raises(TrainingError, match="do not fit into JSON"):
        ecoml.Measurement(0.5, details=endless)


def test_a_training_that_logs_nan_is_stored_whole(space, reported, run_folder):
    def train(config):
        yield ecoml.Measurement(0.5, 10.0, details={"loss": math.nan, "width": np.int64(config["width"])})

    result = ecoml.Searcher(space, train, budget_j=30, **reported).run()
    assert [trial.curve[-1].details["loss"] for trial in Result.load(run_folder).trials] == [None] * 3
    assert json.dumps(result.to_dict(), allow_nan=False)
