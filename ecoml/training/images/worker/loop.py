"""The training of one network, epoch by epoch.

The random numbers of an epoch depend only on the seed, the trial and the epoch. A checkpoint therefore holds only
weights and optimiser, and a restored training continues as if it had never been suspended.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ecoml.energy import Purpose
from ecoml.training.base import Account
from ecoml.training.images.calibration import temperature_of
from ecoml.training.images.data.resident import Resident, TrainingTask
from ecoml.training.images.model import save_model
from ecoml.training.images.network.form import form_of
from ecoml.training.images.network.network import Network
from ecoml.training.images.network.own import Build, built
from ecoml.training.images.schedule import rate_factor, sides_at
from ecoml.training.images.scores import Confusion
from ecoml.training.images.settings import Settings
from ecoml.training.images.steps.batches import batch_size, bounds_of, bytes_needed
from ecoml.training.images.steps.features import features_of
from ecoml.training.images.steps.recipe import Average, WeightOptimiser, class_weights, share_of
from ecoml.training.images.steps.recording import UNROLLED, UNROLLED_BELOW_FLOP, Player, recorder_of
from ecoml.training.images.steps.step import Batch, Position, check_loss, in_precision
from ecoml.training.images.worker.device import Pace, finish, free_bytes
from ecoml.training.images.worker.evaluation import confusion, logits_of
from ecoml.trial import Config

SECOND_THREAD_FROM_FLOP = 1.5e9
"""FLOP of a batch's forward pass from which further threads save time; see docs/explanations/training.md."""

_SKIP_UNTIL = 0.875
_MEASURED_IMAGES = 1024
"""Number of images for the batch norms of averaged weights; at most an eighth of the epoch's."""


@dataclass(frozen=True, slots=True)
class ResolutionSteps:
    """The steps at one resolution.

    Attributes:
        batch: Runs a step on given images.
        position: The position within an epoch of equal batches, on a device that reads its images there.
        player: Runs such steps.
    """

    batch: Batch
    position: Position
    player: Player


class Training:
    """One trial's training.

    Attributes:
        network: The network as trained so far.
        epoch: Number of completed epochs.
        logits: Logits of the validation images after the last epoch, N×classes; None before the first.
        unrecorded: Why its steps could not be recorded; empty if they could, or were not to be.
        recorder: Records its steps; None if no recording is possible.
        equal_batches: Whether all its batches have one size and read their images on the device, as recorded ones do.
    """

    def __init__(
        self, task: TrainingTask, number: int, config: Config, account: Account, build: Build | None = None
    ) -> None:
        self.epoch = 0
        self.logits: Tensor | None = None
        self.unrecorded = ""
        self.recorder = recorder_of(task.device)
        self.equal_batches = task.device.type == "cuda"
        self._updates = 0
        self._task = task
        self._number = number
        self._config = config
        self._account = account
        self._settings = settings = Settings.of(config, own_model=build is not None)
        self._threads = task.threads
        if build is None:
            self._plan_ahead()
        self._seed()
        torch.set_num_threads(self._threads)
        body = None if build is None else built(build, config)
        self.network = Network(settings, task.shape, task.classes, body)
        if self.network.pretrained is None:
            self.network.normalise_by(task.mean, task.std)
        else:
            self.network.pretrained.take(settings.weights)
        self.network.to(task.device)
        self._optimiser = WeightOptimiser(settings, self.network)
        self._average = Average(self.network) if settings.schedule == "averaged" else None
        self._losses = torch.full((len(task.train),), math.inf, device=task.device) if settings.skip_easy else None
        self._class_weights = class_weights(task.train.labels, len(task.classes), settings.class_weights)
        self._steps: dict[tuple[int, int], ResolutionSteps] = {}
        self._features: tuple[Resident, Resident] | None = None

    def advance(self) -> Confusion | None:
        """Train for an epoch, and validate; None if no epochs are left.

        Raises:
            BudgetExhausted: From the account, between two batches.
            FloatingPointError: The loss is not finite.
        """
        task, settings, account = self._task, self._settings, self._account
        if self.epoch >= settings.epochs:
            return None
        torch.set_num_threads(self._threads)
        account.enter(Purpose.TRAINING)
        self.network.train()
        if self._average is not None and self.epoch:
            self._average.exchange()
        twice = task.device.type == "cuda"
        sides = sides_at(settings, task.train.sides, self.epoch / settings.epochs, twice=twice)
        self.network.sides = sides
        size = batch_size(self._task, self._settings)
        train, validation = self._data_at(sides)
        steps = self._steps_at(sides, size)
        batch = steps.batch
        batch.loss.zero_()
        self._seed()
        order, weights = self._order()
        batch.weights.copy_(weights if self._class_weights is None else weights * self._class_weights)
        try:
            bounds = list(bounds_of(len(order), size, equal=self.equal_batches))
            if self.equal_batches and len(order) >= size:
                self._play(steps, order, bounds)
            else:
                self._compute(batch, order, bounds)
            if self._average is not None:
                self._average.exchange()
                self._measure_norms(train, order, size)
        finally:
            finish(task.device)  # also what was asked of it before the budget ended: these joules are this trial's
        check_loss(batch.loss, self.epoch)
        self.epoch += 1
        account.enter(Purpose.EVALUATION)
        self.logits = logits_of(self.network, validation, task, account)
        return confusion(self.logits, validation)

    def save(self, path: Path, model: str | None) -> None:
        """Write the network as a model file, with the temperature that fits its probabilities to the validation
        images; `model` names the user's function that built it.
        """
        temperature = 1.0 if self.logits is None else temperature_of(self.logits, self._task.validation.labels)
        told = self._task.name, self._number, self._config
        save_model(self.network, path, *told, form=self._task.form, temperature=temperature, model=model)

    def _compute(self, batch: Batch, order: Tensor, bounds: list[tuple[int, int]]) -> None:
        """Run the steps of an epoch one by one."""
        for start, stop in bounds:
            self._account.check_budget()
            self._optimiser.rate = self._rate(start, stop, len(order))
            batch(order[start:stop])
            self._updates += 1
            if self._average is not None:
                self._average.add(share_of(self._updates))
            if self._task.device.type == "cpu":  # elsewhere reading it would make the device wait
                check_loss(batch.loss, self.epoch)

    def _play(self, steps: ResolutionSteps, order: Tensor, bounds: list[tuple[int, int]]) -> None:
        """Run the equal steps of an epoch, several at once if they are recorded."""
        rates = [self._rate(start, stop, len(order)) for start, stop in bounds]
        steps.position.begin(order, rates, [share_of(self._updates + step + 1) for step in range(len(bounds))])
        self._optimiser.rate = steps.position.rate
        pace, taken = Pace(self._task.device), 0
        while taken < len(bounds):
            if pace.due():
                self._account.check_budget()
            taken += steps.player.take(len(bounds) - taken)
            pace.wait()
        self._updates += taken
        self.unrecorded = steps.player.refused

    def _rate(self, start: int, stop: int, images: int) -> float:
        """The learning rate of a batch, taken at its middle."""
        t = (self.epoch + (start + stop) / 2 / images) / self._settings.epochs
        return self._settings.learning_rate * rate_factor(self._settings.schedule, t)

    def release(self) -> None:
        """Destroy the recordings; they are made again when the training continues."""
        for steps in self._steps.values():
            steps.player.release()

    @property
    def recorded(self) -> bool:
        """Whether it has recorded steps, and therefore its own stream."""
        return any(steps.player.recorded for steps in self._steps.values())

    def checkpoint(self, path: Path) -> None:
        """Write all that is needed to continue later; only this process's host reads it."""
        counts = {"epoch": self.epoch, "updates": self._updates, "sides": self.network.sides}
        tensors = {"network": self.network.state_dict(), "tensors": self._tensors(), "logits": self.logits}
        torch.save({**counts, **tensors}, path)

    def restore(self, path: Path) -> None:
        """Continue from what `checkpoint` wrote for the same trial."""
        kept = torch.load(path, map_location=self._task.device, weights_only=False)  # a model's extra state is anything
        self.epoch, self._updates, self.network.sides = kept["epoch"], kept["updates"], kept["sides"]
        self.logits = kept["logits"]
        self.network.load_state_dict(kept["network"])
        with torch.no_grad():
            for value, before in zip(self._tensors(), kept["tensors"], strict=True):
                value.copy_(before)

    def _measure_norms(self, data: Resident, order: Tensor, size: int) -> None:
        """Measure the statistics of the batch norms with the averaged weights; training used other weights."""
        kind = nn.modules.batchnorm._BatchNorm  # of a frozen backbone they are not in training, and stay as they were
        norms = [part for part in self.network.modules() if isinstance(part, kind) and part.training]
        if not norms:
            return
        before = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
        with torch.no_grad(), in_precision(self._task, self.network):
            for number in range(max(1, min(_MEASURED_IMAGES, len(order) // 8) // size)):
                for norm in norms:
                    norm.momentum = 1 / (number + 1)  # the plain mean of all it sees; None would wait for the device
                self.network.logits(data.batch(order[number * size : (number + 1) * size])[0])
        for norm, momentum in zip(norms, before, strict=True):
            norm.momentum = momentum

    def _tensors(self) -> list[Tensor]:
        """The tensors to store beside the network's state."""
        average = self._average.state if self._average is not None else []
        losses = [self._losses] if self._losses is not None else []
        kept = self.network.state_dict().keys()
        buffers = [value for name, value in self.network.named_buffers() if name not in kept]
        return [*self._optimiser.state, *average, *losses, *buffers]

    def _seed(self) -> None:
        numbers = (self._task.seed, self._number, self.epoch)
        torch.manual_seed(int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]))

    def _plan_ahead(self) -> None:
        """Refuse a network that does not fit into memory, and choose the number of threads by the work of a batch."""
        task, batch = self._task, batch_size(self._task, self._settings)
        form = form_of(self._settings, task.shape, len(task.classes))
        needed, free = bytes_needed(task, self._settings), free_bytes(task.device)
        if free is not None and needed > free:
            raise MemoryError(
                f"training this network would take about {needed / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free"
                f" ({form.parameters:,} parameters, batches of {batch})"
            )
        if task.may_use_fewer_threads and batch * form.flops() < SECOND_THREAD_FROM_FLOP:
            self._threads = 1

    def _data_at(self, sides: tuple[int, int]) -> tuple[Resident, Resident]:
        """Training and validation data at a resolution: images, or their features, computed once."""
        images = self._task.at(sides)
        if self._settings.keeps_features and self._features is None:
            train, validation = (features_of(self.network, part, self._task, self._account) for part in images)
            self._features = train, validation
        return self._features or images

    def _steps_at(self, sides: tuple[int, int], size: int) -> ResolutionSteps:
        if sides not in self._steps:
            self.release()
            self._steps.clear()  # resolutions only rise
            batch = Batch(self._task, self.network, self._optimiser, self._data_at(sides)[0])
            batch.losses = self._losses
            self._steps[sides] = self._playable(batch, size)
        return self._steps[sides]

    def _playable(self, batch: Batch, size: int) -> ResolutionSteps:
        device, average, optimiser = self._task.device, self._average, self._optimiser
        position = Position(device, max(1, len(self._task.train) // size), size)

        def step() -> None:
            batch(position.advance())
            if average is not None:
                average.add(position.share)

        state = [*self.network.parameters(), *self.network.buffers(), *optimiser.state, batch.loss, position.next]
        state += [*(average.state if average is not None else []), *([] if batch.losses is None else [batch.losses])]
        unrolled = UNROLLED if self.network.batch_flops < UNROLLED_BELOW_FLOP else 1
        return ResolutionSteps(batch, position, Player(step, optimiser.clear, state, self.recorder, unrolled))

    def _order(self) -> tuple[Tensor, Tensor]:
        """The images of this epoch in order, and the weight of every image.

        A share of the images whose last loss was below the mean is left out at random; the remaining ones are weighted
        so that the expected gradient does not change (InfoBatch, arXiv 2303.04947).
        """
        images, device = len(self._task.train), self._task.device
        weights = torch.ones(images, device=device)
        share = self._settings.skip_easy
        if self._losses is None or not 0 < self.epoch < _SKIP_UNTIL * self._settings.epochs:
            return torch.randperm(images, device=device), weights
        easy = self._losses < self._losses[self._losses.isfinite()].mean()  # those of no full batch have no loss yet
        kept = ~(easy & (torch.rand(images, device=device) < share))
        weights[easy] = 1 / (1 - share)
        order = kept.nonzero().view(-1)
        return order[torch.randperm(len(order), device=device)], weights
