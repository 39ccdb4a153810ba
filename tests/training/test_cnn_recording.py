"""When steps are recorded and played, and how far ahead of a GPU the host runs: here with doubles of what is CUDA."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rigs.images import task, training

from ecoml.energy import Purpose
from ecoml.training.images.data.resident import Resident
from ecoml.training.images.schedule import sides_at
from ecoml.training.images.settings import Settings
from ecoml.training.images.steps.batches import bounds_of
from ecoml.training.images.steps.recording import WORTH_STEPS, Player
from ecoml.training.images.worker.device import Pace

SIZE = 32

RECIPES: dict[str, dict[str, Any]] = {
    "sgd": {},
    "adamw": {"optimizer": "adamw", "schedule": "triangle", "dropout": 0.3},
    "separable": {"block": "separable", "activation": "gelu"},
    "residual": {"block": "residual", "skip_easy": 0.0},
    "augmented": {"shift": 1, "flip": "yes", "cutout": 2},
}


class Recorder:
    """Plays what it has recorded by taking the steps; writes down what it was asked for."""

    def __init__(self, error=None, at="record"):
        self.bytes = 0
        self.asked = []
        self.released = 0
        self._error, self._at = error, at

    def aside(self, step):
        self.asked.append("aside")
        step()

    def strictly(self, step):
        self.asked.append("strictly")
        step()
        if self._at == "strictly" and self._error is not None:
            raise self._error

    def record(self, step, count):
        self.asked.append(count)
        if self._at == "record" and self._error is not None:
            raise self._error
        return lambda: [step() for _ in range(count)]

    def release(self):
        self.released += 1


def player(recorder, unrolled=4):
    """Counts steps in a tensor."""
    value = torch.zeros(())

    def step() -> None:
        value.add_(1)

    return Player(step, lambda: None, [value], recorder, unrolled), value


def epoch(of, steps):
    """Take an epoch of so many steps; how many each call took."""
    taken: list[int] = []
    while sum(taken) < steps:
        taken.append(of.take(steps - sum(taken)))
    return taken


def test_steps_are_recorded_once_they_are_many_enough():
    recorder = Recorder()
    of, value = player(recorder)
    assert epoch(of, WORTH_STEPS - 1) == [1] * (WORTH_STEPS - 1)
    assert recorder.asked == [], "so few are not worth it"
    assert epoch(of, 13) == [1, 1, 1, 4, 4, 1, 1]
    assert recorder.asked == ["aside", "aside", "strictly", 4, 1]
    assert epoch(of, 16) == [4, 4, 4, 4]
    assert recorder.asked[-2:] == [4, 1], "each is recorded once"
    assert value == WORTH_STEPS - 1 + 13 + 16, "warming up and trying out are steps of the training; recording is none"
    of.release()
    assert not of.recorded
    assert epoch(of, 7) == [1, 1, 1, 4], "and all of it anew after it was let go of"


@given(steps=st.lists(st.integers(1, 90), min_size=1, max_size=5), unrolled=st.sampled_from([1, 4]))
def test_every_step_is_taken_once(steps, unrolled):
    of, value = player(Recorder(), unrolled)
    for count in steps:
        assert sum(epoch(of, count)) == count
    assert value == sum(steps)


@pytest.mark.parametrize("at", ["strictly", "record"])
def test_steps_that_cannot_be_recorded_are_taken_one_by_one_and_the_reason_is_kept(at):
    recorder = Recorder(RuntimeError("called a synchronizing CUDA operation\nmore"), at)
    of, value = player(recorder)
    assert set(epoch(of, 50)) == {1}
    assert value == 50, "the step that failed was put back"
    assert of.refused == "called a synchronizing CUDA operation"
    assert not of.recorded


@pytest.mark.parametrize("at", ["strictly", "record"])
@pytest.mark.parametrize("kind", [torch.AcceleratorError, torch.OutOfMemoryError])
def test_a_device_that_failed_or_has_no_memory_left_is_no_step_that_cannot_be_recorded(kind, at):
    of, _ = player(Recorder(kind("CUDA error: an illegal memory access was encountered"), at))
    with pytest.raises(kind):
        epoch(of, 50)


@pytest.mark.parametrize("recipe", RECIPES)
def test_steps_played_from_recordings_are_the_steps_bit_for_bit(recipe):
    here, config = task(), {"width": 4, "depth": 2, "batch_size": SIZE, "epochs": 4, **RECIPES[recipe]}
    states = {}
    for way, recorder in (("eager", None), ("played", Recorder())):
        of = training(here, config)
        of.recorder = recorder
        of._account.enter(Purpose.TRAINING)
        steps = of._steps_at(here.train.sides, SIZE)
        for of.epoch in range(2):
            of._seed()
            order, weights = of._order()
            steps.batch.weights.copy_(weights)
            of._play(steps, order, list(bounds_of(len(order), SIZE, equal=True)))
        states[way] = [*of.network.state_dict().values(), *of._tensors()]
        assert steps.player.recorded == (recorder is not None)
    for value, expected in zip(states["played"], states["eager"], strict=True):
        assert torch.equal(value, expected)


@pytest.mark.parametrize("recipe", RECIPES)
def test_steps_that_find_their_images_and_rate_on_the_device_are_those_that_are_given_them(recipe):
    here, config = task(), {"width": 4, "depth": 2, "batch_size": SIZE, "epochs": 4, **RECIPES[recipe]}
    states = []
    for way in ("_play", "_compute"):
        of = training(here, config)
        of._account.enter(Purpose.TRAINING)
        steps = of._steps_at(here.train.sides, SIZE)
        of._seed()
        order = torch.randperm(len(here.train))[: 6 * SIZE]
        bounds = list(bounds_of(len(order), SIZE, equal=True))
        if way == "_play":
            of._play(steps, order, bounds)
        else:
            of._compute(steps.batch, order, bounds)
        states.append([*of.network.state_dict().values(), *of._tensors()])
        assert of._updates == 6
    for value, expected in zip(*states, strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-5)  # a rate of four bytes, not eight


class Gpu:
    """Does what is queued at its own speed, in the time of a clock that only waiting and queueing move."""

    def __init__(self, work_s, queue_s=1e-6):
        self.now_s = self.free_s = 0.0
        self.work_s, self.queue_s = work_s, queue_s
        self.ahead_s: list[float] = []
        self.idle_s = 0.0

    def clock(self):
        return self.now_s

    def queue(self):
        self.now_s += self.queue_s
        self.idle_s += max(0.0, self.now_s - self.free_s)
        self.free_s = max(self.free_s, self.now_s) + self.work_s
        self.ahead_s.append(self.free_s - self.now_s)

    def event(self):
        return Event(self)


class Event:
    def __init__(self, gpu):
        self.gpu = gpu

    def record(self):
        self.done_s = self.gpu.free_s

    def synchronize(self):
        self.gpu.now_s = max(self.gpu.now_s, self.done_s)


@pytest.mark.parametrize("work_s", [5e-5, 3e-4, 1.2e-3, 2e-2])
def test_a_gpu_has_about_three_milliseconds_queued_and_never_waits(work_s):
    gpu = Gpu(work_s)
    pace = Pace(torch.device("cuda", 0), gpu.clock, gpu.event)
    asked_s = []
    for _ in range(2000):
        if pace.due():
            asked_s.append(gpu.now_s)
        gpu.queue()
        pace.wait()
    assert gpu.idle_s <= 1e-5, "it always had something to do"
    assert max(gpu.ahead_s[500:]) <= max(4e-3, 2.1 * work_s)
    assert min(gap for gap in map(lambda one, other: other - one, asked_s, asked_s[1:])) >= 10e-3
    assert len(asked_s) >= 0.4 * min(gpu.now_s / 10e-3, 2000), "every ten milliseconds, or with every piece of work"


def test_a_host_that_is_slower_than_the_gpu_does_not_wait_long():
    gpu = Gpu(1e-5, queue_s=1e-3)
    pace = Pace(torch.device("cuda", 0), gpu.clock, gpu.event)
    for _ in range(500):
        gpu.queue()
        pace.wait()
    assert gpu.now_s < 0.51


def test_a_cpu_asks_about_the_budget_before_each_batch():
    pace = Pace(torch.device("cpu"))
    assert all(pace.due() for _ in range(3))
    pace.wait()


@given(start=st.floats(0.25, 1.0), height=st.integers(16, 70), epochs=st.integers(1, 40))
def test_a_gpu_sees_two_resolutions_at_most_of_the_mean_that_a_cpu_sees(start, height, epochs):
    settings = Settings(start_resolution=start)
    sides = [sides_at(settings, (height, height), t / 400, twice=True)[0] for t in range(400)]
    assert sides == sorted(sides)
    assert len(set(sides)) <= 2
    assert set(sides[100:]) == {height}
    rising = [sides_at(settings, (height, height), t / 400)[0] for t in range(400)]
    assert abs(sum(sides) - sum(rising)) / 400 <= 2, "pixels, as both are in steps of four"


@given(images=st.integers(1, 400), most=st.integers(1, 120))
def test_images_are_predicted_in_equal_slices(images, most):
    data = Resident(torch.arange(images).view(-1, 1, 1, 1), torch.zeros(images))
    slices = list(data.slices(most))
    assert len({len(part) for _, part in slices}) == 1
    assert len(slices[0][1]) <= most
    seen = {start + place for start, part in slices for place in range(len(part))}
    assert seen == set(range(images))
    assert all(part.flatten().tolist() == list(range(start, start + len(part))) for start, part in slices)
