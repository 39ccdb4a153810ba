"""The process that trains: it owns the device, the data and the network under training.

It answers one request at a time, and holds one training. Other trainings are checkpoints, and also stay on the device
while memory allows. A trial that crashes, hangs or takes all memory therefore affects only itself.

A request is `(name of a method of TrainingServer, arguments)`. Before its answer, the process may send
`("check_budget",)` to ask whether the budget allows another batch, `("enter", purpose)` to change the purpose, and
`("remark", sentence)` for the result. The host replies with a bool, but not to `enter`: a GPU's counter takes 3 ms to
read (H200 in a virtual machine), for which the GPU would wait. The answer is `("done", value)` or `("raised", pickled
error, its line, its traceback)`.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecoml.energy import Purpose
from ecoml.errors import BudgetExhausted, DataError, UsageError
from ecoml.training.images.about import DataDescription
from ecoml.training.images.worker.residents import Residents
from ecoml.training.images.worker.workload import Prepared, Workload
from ecoml.trial import Config

if TYPE_CHECKING:
    from ecoml.training.images.data.dataset import Dataset
    from ecoml.training.images.data.resident import TrainingTask
    from ecoml.training.images.network.network import Network
    from ecoml.training.images.network.own import Build
    from ecoml.training.images.worker.loop import Training

_KEPT = 2
"""Largest number of data sets, and of tasks made from them, that are kept."""


def serve(requests: int, lifeline: int) -> None:
    """Answer requests until the host closes the connection or dies.

    Args:
        requests: File descriptor of the connection.
        lifeline: File descriptor of a pipe that ends with the host; nobody writes to it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the host decides what it means
    threading.Thread(target=_end_with, args=(lifeline,), name="ecoml-lifeline", daemon=True).start()
    connection: Connection[Any, Any] = Connection(requests)
    server = TrainingServer(connection)
    try:
        while True:
            name, arguments = connection.recv()
            try:
                with _torch_kept():
                    answer: tuple[Any, ...] = ("done", getattr(server, name)(*arguments))
            except BaseException as error:
                answer = ("raised", *_described(error))
            connection.send(answer)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _torch_kept() -> contextlib.AbstractContextManager[None]:
    """Restore torch's global state after a request, because a user's model may change it."""
    if "torch" not in sys.modules:
        return contextlib.nullcontext()
    from ecoml.training.images.network.own import global_state_kept

    return global_state_kept()


class TrainingServer:
    """The worker's data and training, and the requests that it answers."""

    def __init__(self, connection: Connection[Any, Any]) -> None:
        self._account = _HostAccount(connection)
        self._datasets: dict[tuple[str, str | None, str, int], Dataset] = {}
        self._tasks: dict[Workload, TrainingTask] = {}
        self._training: Training | None = None
        self._used: Network | None = None
        self._run = -1  # of the training that is held
        self._residents = Residents()
        self._warm = False
        self._peaks: dict[Any, tuple[float, float]] = {}  # FLOP per second and watts, measured once

    def prepare(self, workload: Workload) -> Prepared:
        """Load the data and move them to the device."""
        dataset = self._dataset(workload)  # before torch is imported: what is wrong with them is told at once
        task = self._task(workload)
        from ecoml.training.images.worker.device import peak
        from ecoml.training.images.worker.warm_up import warm_up

        if not self._warm:
            warm_up(task)
            self._warm = True
        of = task.device, task.threads, task.bf16
        if of not in self._peaks:
            self._peaks[of] = peak(*of)
        flop_per_s, power_w = self._peaks[of]
        parts = task.train.labels, task.validation.labels, dataset.test.labels
        train, validation, test = (_counts(labels, task.classes) for labels in parts)
        about = DataDescription(
            *(dataset.name, train, validation, test, dataset.digest, dataset.drawn, dataset.reading),
            copies=dataset.copies(workload.validation_share, workload.seed),
        )
        return Prepared(about, str(task.device), task.bf16, flop_per_s, power_w)

    def hold(
        self, workload: Workload, run: int, number: int, config: Config, epoch: int, checkpoint: Path | None
    ) -> None:
        """Hold a run in place of the current one: the training that stayed on the device, or a new one.

        Args:
            workload: Data and settings of the search.
            run: The run's number.
            number: The trial's number.
            config: The trial's configuration.
            epoch: Number of completed epochs.
            checkpoint: The checkpoint, if the run has been advanced before.
        """
        self.drop(self._run)
        self._run = run
        with self._dropped_on_error():
            self._training = self._residents.take(run, epoch) or self._built(workload, number, config, checkpoint)

    def _built(self, workload: Workload, number: int, config: Config, checkpoint: Path | None) -> Training:
        from ecoml.training.images.settings import Settings
        from ecoml.training.images.steps.batches import bytes_needed
        from ecoml.training.images.worker.device import free_bytes
        from ecoml.training.images.worker.loop import Training

        task = self._task(workload)
        needed = None if workload.model is not None else bytes_needed(task, Settings.of(config))
        self._residents.make_room(needed, lambda: free_bytes(task.device))
        training = Training(task, number, config, self._account, _build(workload))
        if checkpoint is not None:
            training.restore(checkpoint)
        return training

    def advance(self, workload: Workload) -> dict[str, Any] | None:
        """Train the held run for an epoch, and return its scores; None at its end."""
        assert self._training is not None, "the host advances only what is held"
        with self._dropped_on_error():
            task = self._task(workload)  # a test of another workload may have chosen another device
            found = self._training.advance()
            if task.bf16 and task.device.type == "cuda" and workload.model is None:
                self._name_refused_kernels()
            if self._training.unrecorded:
                self._account.remark(f"steps were not recorded for the GPU: {self._training.unrecorded}")
            return None if found is None else found.details()

    def _name_refused_kernels(self) -> None:
        from ecoml.training.images.kernels.use import refused

        if why := refused():
            self._account.remark(f"the GPU used PyTorch's slower kernels, because ours cannot be compiled: {why}")

    @contextlib.contextmanager
    def _dropped_on_error(self) -> Iterator[None]:
        """After any error, drop the training in memory; after an out-of-memory error, drop all of them."""
        from ecoml.training.images.worker.out_of_memory import named_out_of_memory

        try:
            with named_out_of_memory():
                yield
        except BaseException as error:
            self.drop(self._run)
            if isinstance(error, MemoryError):
                self._residents.clear()
            raise

    def checkpoint(self, path: Path) -> None:
        """Write a checkpoint of the held training, and suspend it."""
        assert self._training is not None, "the host suspends only what is held"
        self._training.checkpoint(path)
        self._residents.keep(self._run, self._training)
        self._training, self._run = None, -1

    def drop(self, run: int) -> None:
        """Free the training of a run, held or suspended."""
        if run == self._run and self._training is not None:
            self._training.release()
            self._training = None
        self._residents.drop(run)

    def save(self, path: Path, model: str | None) -> None:
        """Write the held network as a model file; `model` names the user's function that built it."""
        assert self._training is not None, "the host saves only what is held"
        self._training.save(path, model)

    def test(self, workload: Workload, path: Path) -> dict[str, Any]:
        """Scores of a model file on the test images, loaded as by any user, and its confusion matrix."""
        task, dataset = self._task(workload), self._dataset(workload)
        from ecoml.training.images.data.resident import Resident
        from ecoml.training.images.worker.evaluation import confusion, logits_of

        network = self._loaded(workload, path)
        test = Resident.of(dataset.test, task.device)
        found = confusion(logits_of(network, test, replace(task, bf16=False)), test)
        return {**found.details(), "confusion": found.cells}

    def ready_to_use(self, workload: Workload, path: Path) -> tuple[int, int]:
        """Load a model file for predictions; returns its number of parameters, and the FLOP per image."""
        from ecoml.training.images.network.form import form_of

        self._used = network = self._loaded(workload, path)
        sizes: list[int] = [weights.numel() for weights in network.parameters()]
        if workload.model is None:
            return sum(sizes), form_of(network.settings, network.shape, len(network.classes)).flops(network.sides)
        from torch.utils.flop_counter import FlopCounterMode  # takes more to import than to count

        with FlopCounterMode(display=False) as counted:
            network(self._task(workload).validation.images[:1].permute(0, 3, 1, 2))
        return sum(sizes), counted.get_total_flops()

    def predict(self, workload: Workload, batch_size: int, seconds: float) -> tuple[int, float]:
        """Predict validation images for this many seconds, at least one batch; returns the number of images, and the
        median seconds per batch.
        """
        from ecoml.training.images.worker.evaluation import timed

        assert self._used is not None, "the host makes a model ready before it predicts"
        return timed(self._used, self._task(workload), batch_size, seconds)

    def _loaded(self, workload: Workload, path: Path) -> Network:
        from ecoml.training.images.model import load_model_file

        task = self._task(workload)
        network = load_model_file(path, _build(workload)).to(task.device)
        if (network.shape, network.classes) != (task.shape, task.classes):
            raise UsageError(f"{path}: the model was trained on other data than {task.name}")
        return network

    def _dataset(self, workload: Workload) -> Dataset:
        key = workload.data, workload.data_dir, workload.stamp, workload.largest_side
        if key not in self._datasets:
            from ecoml.training.images.data.listing import stamp
            from ecoml.training.images.data.loader import load

            data_dir = None if workload.data_dir is None else Path(workload.data_dir)
            _make_room(self._datasets)
            self._datasets[key] = load(
                workload.data, data_dir, download=workload.download, largest_side=workload.largest_side
            )
            if stamp(workload.data) != workload.stamp:
                del self._datasets[key]
                raise DataError(f"{workload.data}: it has changed since the search began; start again")
        return self._datasets[key]

    def _task(self, workload: Workload) -> TrainingTask:
        from ecoml.training.images.worker import device

        device.set_determinism(workload.deterministic)
        device.device_of(workload.device)
        if workload not in self._tasks:
            task = device.task_of(self._dataset(workload), workload)
            _make_room(self._tasks)
            self._tasks[workload] = task
        return self._tasks[workload]


class _HostAccount:
    """The account in the host's process."""

    def __init__(self, connection: Connection[Any, Any]) -> None:
        self._connection = connection

    def check_budget(self) -> None:
        self._connection.send(("check_budget",))
        if not self._connection.recv():
            raise BudgetExhausted

    def enter(self, purpose: Purpose) -> None:
        self._connection.send(("enter", purpose))

    def remark(self, sentence: str) -> None:
        self._connection.send(("remark", sentence))
        self._connection.recv()


def _counts(labels: Any, classes: Sequence[str]) -> dict[str, int]:
    """Number of images per class, from a tensor or an array of labels."""
    import torch

    counts: list[int] = torch.bincount(torch.as_tensor(labels), minlength=len(classes)).tolist()
    return dict(zip(classes, counts, strict=True))


def _build(workload: Workload) -> Build | None:
    if workload.model is None:
        return None
    with _torch_kept():  # its module is imported once, so what that sets would hold for the first trial only
        build: Build = pickle.loads(workload.model)  # noqa: S301 - the caller's own, from the caller's own process
    return build


def _make_room(kept: dict[Any, Any]) -> None:
    """Remove the oldest entries, so that one more can be added."""
    while len(kept) >= _KEPT:
        del kept[next(iter(kept))]


def _described(error: BaseException) -> tuple[bytes | None, str, str]:
    """An error pickled, if it can be sent as it is; its line; its traceback."""
    trace = "".join(traceback.format_exception(error))
    if _is_of_the_device(error):  # CUDA refuses this process all further work: the host starts another one
        why = str(error).partition("\n")[0]
        error = ChildProcessError(f"the device failed, and the training's worker with it ({why})")
    line = f"{type(error).__name__}: {error}"
    if isinstance(error, StopIteration):  # the host would take it for the end of the training
        return None, line, trace
    try:
        pickled = pickle.dumps(error)
        pickle.loads(pickled)  # noqa: S301 - made in the line before
    except Exception:
        return None, line, trace
    return pickled, line, trace


def _is_of_the_device(error: BaseException) -> bool:
    torch = sys.modules.get("torch")  # before it is imported, no device can have failed
    return torch is not None and isinstance(error, torch.AcceleratorError)


def _end_with(lifeline: int) -> None:
    """End this process as soon as the host has died."""
    os.read(lifeline, 1)
    os._exit(1)
