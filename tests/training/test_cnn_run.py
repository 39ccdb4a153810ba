"""The training of one network: its curve, its account, its failures; and the same through the worker."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rigs.images import Book, advanced, rest, start, task, training

from ecoml.errors import BudgetExhausted, UsageError
from ecoml.training.images import CnnTraining
from ecoml.training.images.data.loader import load
from ecoml.training.images.schedule import rate_factor, sides_at
from ecoml.training.images.settings import Settings
from ecoml.training.images.steps.batches import bounds_of
from ecoml.training.images.worker.out_of_memory import named_out_of_memory

SMALL: dict[str, Any] = {"width": 6, "batch_size": 96, "learning_rate": 0.2, "epochs": 3, "dropout": 0.2}
PLAIN: dict[str, Any] = {"schedule": "triangle", "skip_easy": 0.0}
RECIPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "adam": {"optimizer": "adam", "learning_rate": 0.01},
    "adamw": {"optimizer": "adamw", "learning_rate": 0.01},
    "without momentum": {"momentum": 0.0},
    "averaged": {"schedule": "averaged"},
    "skipping": {"skip_easy": 0.5},
    "growing": {"start_resolution": 0.5},
    "augmented": {"shift": 1, "cutout": 2, "flip": "yes"},
    "all": {"schedule": "averaged", "skip_easy": 0.5, "start_resolution": 0.5, "shift": 1, "epochs": 5},
}


@pytest.fixture(scope="module")
def here():
    return task()


@pytest.fixture(scope="module")
def larger(tmp_path_factory):
    """Digits of 16×16 pixels, so that there is a resolution to begin with."""
    found = load("digits").train
    file = tmp_path_factory.mktemp("data") / "larger.npz"
    np.savez(file, x=found.images[:600].repeat(2, 2).repeat(2, 3), y=found.labels[:600])
    return task(str(file))


@pytest.fixture(scope="module")
def digits():
    executor = CnnTraining("digits", threads=1)
    executor.prepare()
    return executor


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_same_trial_gives_the_same_curve_and_weights_whether_it_is_left_or_not(here, larger, tmp_path, recipe):
    here = larger if "start_resolution" in RECIPES[recipe] else here
    config = SMALL | PLAIN | RECIPES[recipe]
    straight = training(here, config)
    curve = advanced(straight)
    assert len(curve) == config["epochs"]
    assert curve[-1] > 0.3, "it has learnt something, so that curves can differ"
    again, left = [], training(here, config)
    for _ in curve:
        again.append(left.advance().accuracy)
        left.checkpoint(tmp_path / "left")
        torch.rand(7)
        left = training(here, config)
        left.restore(tmp_path / "left")
    assert left.advance() is None
    assert again == curve
    state, expected = ([*run.network.state_dict().values(), *run._tensors()] for run in (left, straight))
    for value, other in zip(state, expected, strict=True):
        assert torch.equal(value, other)
    assert curve != advanced(training(here, config, number=1))


def test_in_the_worker_it_gives_the_same_curve_as_without_one(here, digits):
    config = SMALL | RECIPES["all"]
    assert rest(start(digits, config)) == advanced(training(here, config))


def test_interleaved_runs_give_the_curves_of_runs_one_after_the_other(digits):
    alone = [rest(start(digits, SMALL, number)) for number in (0, 1)]
    runs = [start(digits, SMALL, number) for number in (0, 1)]
    together: list[list[float]] = [[], []]
    for number in (0, 1, 1, 0, 1, 0):
        together[number].append(next(runs[number]).score)
    assert together == alone
    for run in runs:
        run.close()


def test_the_host_imports_no_torch_to_train(tmp_path):
    import subprocess
    import sys

    code = (
        "import sys, ecoml; searcher = ecoml.Searcher(ecoml.Space({'width': ecoml.Int(2, 4), 'epochs': 1}),"
        " ecoml.CnnTraining('digits'), budget_j=500, strategy='random', max_trials=1,"
        f" directory={str(tmp_path / 'r')!r}); searcher.run(); print('torch' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split()[-1] == "False"


def test_deterministic_curves_are_those_of_one_thread(here):
    config = SMALL | RECIPES["all"]
    curves = [rest(start(CnnTraining("digits", deterministic=True), config)) for _ in range(2)]
    assert curves[0] == curves[1] == advanced(training(here, config))


def test_the_seed_of_the_search_decides_on_the_curve():
    curves = []
    for seed in (0, 1, 0):
        executor = CnnTraining("digits", threads=1)
        executor.seed = seed
        curves.append(rest(start(executor, SMALL)))
    assert curves[0] == curves[2] != curves[1]


def test_what_is_entered_in_the_account(digits):
    book = Book()
    run = start(digits, SMALL | PLAIN, book=book)
    assert book.entries == [], "a run that was never advanced costs nothing"
    next(run)
    assert book.entries == ["training", "check", "evaluation", "check"]
    rest(run)
    assert book.entries == ["training", "check", "evaluation", "check"] * 3
    batches = math.ceil(1150 / SMALL["batch_size"]) + 1
    assert book.checks == 3 * batches


def test_the_budget_ends_an_epoch_between_two_batches(digits):
    book = Book(refused=3)
    run = start(digits, SMALL, book=book)
    with pytest.raises(BudgetExhausted):
        next(run)
    assert book.checks == 3
    run.close()


def test_a_run_can_be_closed_at_any_time_and_twice(digits):
    for steps in (0, 1, 3):
        run = start(digits, SMALL)
        for _ in range(steps):
            next(run)
        run.close()
        run.close()
        with pytest.raises(StopIteration):
            next(run)


@pytest.mark.parametrize("schedule", ["constant", "averaged"])
def test_a_diverging_training_fails_with_the_epoch(digits, schedule):
    with pytest.raises(FloatingPointError, match=r"the loss became (NaN|infinite) in epoch [123]$"):
        rest(start(digits, SMALL | {"learning_rate": 1e30, "schedule": schedule}))


def test_a_bad_configuration_fails_when_it_is_trained(digits):
    with pytest.raises(UsageError, match="width"):
        next(start(digits, {"width": -1}))


def test_a_network_that_is_larger_than_memory_is_never_built(digits):
    with pytest.raises(MemoryError, match=r"would take about [\d.]+ GiB, and [\d.]+ GiB are free"):
        next(start(digits, {"width": 60_000, "depth": 8, "growth": 10.0}))


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("can't allocate memory")])
def test_running_out_of_memory_has_one_name(error):
    with pytest.raises(MemoryError, match="memory"), named_out_of_memory():
        raise error
    with pytest.raises(RuntimeError, match="another"), named_out_of_memory():
        raise RuntimeError("another error")


def test_batches_that_are_larger_than_the_data_or_leave_one_image_over(here):
    assert len(advanced(training(here, {"width": 2, "batch_size": 100_000, "epochs": 1}))) == 1
    images = len(here.train)
    assert len(advanced(training(here, {"width": 2, "batch_size": images - 1, "epochs": 1}))) == 1


@given(images=st.integers(2, 3000), size=st.integers(2, 700), equal=st.booleans())
def test_batches_cover_an_epoch(images, size, equal):
    bounds = list(bounds_of(images, size, equal=equal))
    sizes = [stop - start for start, stop in bounds]
    assert bounds[0][0] == 0
    assert all(before[1] == after[0] for before, after in pairwise(bounds))
    assert min(sizes) >= 2
    if equal and images >= size:
        assert set(sizes) == {size}
        assert images - bounds[-1][1] < size
    else:
        assert bounds[-1][1] == images
        assert max(sizes) - min(sizes) <= 1
        assert max(sizes) <= max(size, 3)


def test_digits_are_learnt(digits):
    assert rest(start(digits, {"width": 16, "epochs": 8}))[-1] >= 0.97


def test_easy_images_are_skipped_and_the_others_stand_in_for_them(here):
    run = training(here, SMALL | {"skip_easy": 0.5, "epochs": 16})
    images = len(here.train)
    assert len(run._order()[0]) == images, "at first nothing is known"
    run.epoch, run._losses = 1, torch.linspace(0, 1, images)
    order, weights = run._order()
    assert len(order) == len(set(order.tolist()))
    assert 0.70 * images < len(order) < 0.80 * images
    assert set(order.tolist()) >= set(range(images // 2 + 1, images)), "hard ones are always seen"
    assert weights[order].sum().item() == pytest.approx(images, rel=0.05), "the expected gradient is the same"
    run._losses[0] = math.inf  # left over by an epoch of equal batches
    order, weights = run._order()
    assert 0 in order
    assert 0.70 * images < len(order) < 0.80 * images
    assert weights[0] == weights[images - 1] == 1
    run.epoch = 14
    assert len(run._order()[0]) == images, "at the end all are seen"


def test_schedules():
    ts = [step / 200 for step in range(201)]
    assert {rate_factor("constant", t) for t in ts} == {1.0}
    cosine = [rate_factor("cosine", t) for t in ts]
    assert cosine[0] == 1
    assert cosine == sorted(cosine, reverse=True)
    assert cosine[-1] == pytest.approx(0)
    triangle = [rate_factor("triangle", t) for t in ts]
    assert max(triangle) == rate_factor("triangle", 0.25) == 1
    assert triangle[0] == triangle[-1] == 0
    assert triangle[:51] == sorted(triangle[:51])
    assert triangle[50:] == sorted(triangle[50:], reverse=True)
    averaged = [rate_factor("averaged", t) for t in ts]
    assert averaged == sorted(averaged)
    assert (averaged[0], averaged[10], averaged[-1]) == (0, 1, 1)


@given(start=st.floats(0.25, 1.0), height=st.integers(1, 70), width=st.integers(1, 70))
def test_resolution_rises_to_the_full_one(start, height, width):
    settings = Settings(start_resolution=start)
    sides = [sides_at(settings, (height, width), t / 20) for t in range(21)]
    assert sides == sorted(sides)
    if min(height, width) < 16:
        assert set(sides) == {(height, width)}
    assert set(sides[10:]) == {(height, width)}
    assert all(1 <= h <= height and 1 <= w <= width for h, w in sides)
    flat = Settings(start_resolution=start, head="flatten")
    assert sides_at(flat, (height, width), 0.0) == (height, width)
