"""CnnTraining: the built-in executor."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecoml.errors import UsageError
from ecoml.meter.base import Window
from ecoml.metric import Metric
from ecoml.space import Space
from ecoml.training.base import Account, Run, Work
from ecoml.training.function import name_of
from ecoml.training.images import catalogue, given
from ecoml.training.images.about import DataDescription, refuse_changed
from ecoml.training.images.data.listing import stamp
from ecoml.training.images.network.form import form_of
from ecoml.training.images.network.weights import refuse_unusable
from ecoml.training.images.scores import METRICS
from ecoml.training.images.settings import LARGEST_SIDE, Settings, largest_side, validate_space
from ecoml.training.images.worker.shared import WorkerRun, shared_worker
from ecoml.training.images.worker.worker import ImageWorker, devices_of, gpus_of, taken_remarks
from ecoml.training.images.worker.workload import Prepared, Workload, pickled, usable_cores
from ecoml.trial import Config, Measurement, Trial, Usage

if TYPE_CHECKING:
    import torch

    from ecoml.training.images.network.own import Build


log = logging.getLogger("ecoml")

PATIENCE_S = 120.0
"""A trial is considered hung after this many seconds without a sign of life, unless the user sets another limit."""


class CnnTraining:
    """Trains small CNNs for image classification; a configuration's keys are those of `DEFAULTS`.

    Training takes place in a worker process, which all trainings of this process share. `prepare` starts it; it holds
    the device, the data and one network. A trial that crashes, hangs or runs out of memory fails, and no other trial is
    affected.

    Args:
        data: A name (see `available_data`), a folder of images by class, a `.csv` of `path,label`, an `.npz` file, or a
            folder of Parquet files. A `Path` is never taken for a name. Also arrays `(x, y)` or a map-style data set of
            torch, which are stored as a file in the user's cache (`ecoml.training.images.data.forms.arrays`).
        data_dir: For named data: the folder of their files, to which they are also downloaded; default: the user's
            cache.
        download: Whether missing named data are downloaded.
        device: A device of torch (`cpu`, `cuda`, `cuda:1`); default: the first GPU, else the CPU. With several GPUs
            (`cuda:0,cuda:1`), each trains its own trial, in its own worker, at the same time.
        seed: ≥ 0. It determines the division into training and validation images and, with a trial's number, the
            trial's initial weights, order of images, augmentation and dropout. It may be changed until the first trial
            starts.
        threads: CPU threads; default: one for small networks, and for others as many as this process may use cores.
        validation_share: Share of the training images to hold out for validation.
        deterministic: Refuse operations whose sums differ from run to run, and compute with one thread unless `threads`
            is given: the curves are then the same on another day, and on hosts with other numbers of cores.
        model: A function that builds a `torch.nn.Module` from a configuration: from normalised images N×C×H×W to logits
            N×classes. The configuration may have any keys in addition to those of the training. By default the
            configuration's own keys describe the network.
        patience_s: A trial that finishes no batch within this many seconds (or within twenty times its longest batch so
            far) is considered hung and ended.
        metric: The score: `accuracy`, `balanced-accuracy` (the mean of the classes' recalls) or `macro-f1`. Default:
            accuracy; for one's own data balanced accuracy, if the largest class has more than twice as many images as
            the others on average.

    Raises:
        UsageError: An argument is out of its range. `prepare` checks `data` and `device`.
    """

    def __init__(
        self,
        data: given.Data = "digits",
        *,
        data_dir: str | Path | None = None,
        download: bool = True,
        device: str | torch.device | None = None,
        seed: int = 0,
        threads: int | None = None,
        validation_share: float = 0.2,
        deterministic: bool = False,
        model: Build | None = None,
        patience_s: float = PATIENCE_S,
        metric: str | None = None,
    ) -> None:
        if not 0 < validation_share < 1:
            raise UsageError(f"validation_share is {validation_share}; give a share between 0 and 1")
        if seed < 0:
            raise UsageError(f"seed is {seed}; it must not be negative")
        if threads is not None and threads < 1:
            raise UsageError(f"threads is {threads}; give at least 1")
        if not patience_s > 0:
            raise UsageError(f"patience_s is {patience_s}; give seconds, more than 0")
        if model is not None and not callable(model):
            raise UsageError(f"model is a {type(model).__name__}; give a function that builds a torch.nn.Module")
        if metric is not None and metric not in METRICS:
            raise UsageError(f"metric is {metric!r}; give one of {', '.join(METRICS)}")
        self.data = given.as_text(data)
        self.data_dir = None if data_dir is None else given.absolute(data_dir)
        self.download = download
        self.device = None if device is None else str(device)  # a torch.device, too
        self.seed = seed
        self.threads = threads
        self.validation_share = validation_share
        self.deterministic = deterministic
        self.model = model
        self.patience_s = patience_s
        self._score = metric
        self._largest_side = LARGEST_SIDE
        self._devices = devices_of(self.device)
        self._workers: tuple[ImageWorker, ...] = ()
        self._prepared: Prepared | None = None

    def __getstate__(self) -> dict[str, Any]:
        """The state for another process, which starts its own workers."""
        return {**self.__dict__, "_workers": (), "_prepared": None}

    @property
    def problem(self) -> str:
        """Short name of the data for people: `fashion-mnist`, or the name of the folder or file."""
        return given.short_name(self.data)

    @property
    def own_data(self) -> Path | None:
        """The user's own file or folder that it reads; None for named data, and for a CSV of images elsewhere."""
        return given.own_path(self.data)

    @own_data.setter
    def own_data(self, path: Path) -> None:
        self.data = given.absolute(path)

    @property
    def metric(self) -> Metric:
        """The metric of its scores; a step is an epoch. If `metric` was not given, it counts the images of each class.

        Raises:
            DataError: The data do not exist.
        """
        return METRICS[self._measured()]

    @property
    def about(self) -> DataDescription:
        """The description of the data: images by class, the split, how the images were changed. Reads the data if
        necessary.

        Raises:
            DataError: As `prepare`.
            UsageError: As `prepare`.
        """
        return self._ready().about

    def refuse_changed(self, before: Mapping[str, Any], run: Path) -> None:
        """Refuse to continue a run whose data differ from these.

        Raises:
            DataError: They differ; the message says in what.
        """
        refuse_changed(before, self.data_table(), run)

    def data_table(self) -> Mapping[str, Any]:
        """`about` as a table of `run.toml`."""
        return self.about.to_dict()

    @property
    def test_cost(self) -> float:
        """Energy of one pass over the test set in validation passes; NaN before `prepare`."""
        return math.nan if self._prepared is None else self._prepared.test_cost

    def prepare(self, space: Space | None = None) -> None:
        """Check the space, start the worker, and let it load the data and move them to the device.

        Further calls load nothing unless the seed or a file of the data has changed.

        Raises:
            DataError: The data do not exist, cannot be read, or are too small.
            UsageError: The device, or a parameter of the space, cannot be used.
        """
        if space is not None:
            validate_space(space, own_model=self.model is not None)
            catalogue.refuse_mirroring(self.data, space)
            refuse_unusable(space)
            self._largest_side = largest_side(space)
        self._ready(stamp(self.data))

    def start(self, trial: Trial, account: Account) -> Run:
        """A run of `trial.config`; its first step builds the network, and fails if the configuration cannot be used."""
        self._ready()
        return self._workers[0].start(trial, account)

    def checkpoint(self, run: Run) -> bytes:
        """All that is needed to continue a run on another host of the same kind.

        Raises:
            ValueError: The run was never advanced, or it is closed.
        """
        if isinstance(run, WorkerRun) and not run.closed and run.steps:
            run.worker.suspend(run)
            if run.checkpoint is not None:
                return run.checkpoint.read_bytes()
        raise ValueError("this run has no checkpoint: it was never advanced, or it is closed")

    def restore(self, trial: Trial, account: Account, checkpoint: bytes, steps: int) -> Run:
        """A run that continues from a `checkpoint` after this many epochs."""
        run = self.start(trial, account)
        assert isinstance(run, WorkerRun), "this training starts no others"
        run.worker.put(run, checkpoint, steps)
        return run

    def workers(self) -> tuple[ImageWorker, ...]:
        """One worker for each of several devices, after `prepare`."""
        return self._workers if self._devices else ()

    def describe(self) -> Mapping[str, Any]:
        """The arguments from which this executor can be built again; defaults are left out."""
        described = {
            "kind": "cnn",
            "data": self.data,
            "data_dir": self.data_dir,
            "device": self.device,
            "seed": self.seed,
            "threads": self.threads,
            "validation_share": self.validation_share,
            "deterministic": self.deterministic or None,
            "patience_s": self.patience_s if self.patience_s != PATIENCE_S else None,
            "model": name_of(self.model) if self.model is not None else None,
            "metric": self._score,
            "download": None if self.download else False,
        }
        return {key: value for key, value in described.items() if value is not None}

    def parameters(self, config: Config) -> int:
        """Number of trainable parameters of the network that `config` describes.

        Raises:
            DataError: As `prepare`: the data determine the size of images and the number of classes.
            UsageError: The configuration cannot be used.
        """
        if self.model is not None:
            from ecoml.training.images.network.own import parameters_of

            return parameters_of(self.model, config)
        found = self.about
        return form_of(Settings.of(config), found.shape, len(found.train)).parameters

    def steps(self, config: Config) -> int:
        """Number of epochs of a complete training of `config`."""
        return Settings.of(config, own_model=self.model is not None).epochs

    def gpus(self) -> tuple[int, ...]:
        """CUDA's numbers of the GPUs it uses; empty for the CPU."""
        return gpus_of(self._devices or (self.device or "cuda",))

    def floor_j(self, config: Config, step: int) -> float | None:
        """The least joules that the arithmetic of a training's first `step` epochs takes on this device.

        None before `prepare`, for networks of the user's own, and if the power at peak performance is unknown.
        """
        return None if (known := self._of_built_in) is None else known.floor_j(config, step)

    @property
    def ready(self) -> bool:
        """Whether the data and the device's libraries are loaded."""
        return bool(self._workers) and all(worker.process.pid is not None for worker in self._workers)

    def remarks(self) -> tuple[str, ...]:
        """Remarks on the trainings since the last call, such as steps that could not be recorded for a GPU."""
        return taken_remarks(self._workers)

    @property
    def cost_hint(self) -> Callable[[Config], float] | None:
        """On a GPU, a function that estimates the seconds of an epoch of a built-in network, from its kernels and its
        arithmetic.
        """
        return None if (known := self._of_built_in) is None else known.cost_hint

    def save(self, run: Run, trial: Trial, path: Path) -> None:
        """Write the run's current weights to `path`.

        Raises:
            ValueError: The run has no weights: it was never advanced, or it is closed.
        """
        if not isinstance(run, WorkerRun) or run.closed or not run.steps:
            raise ValueError(f"trial {trial.number} has no weights to save: it was never advanced, or it is closed")
        run.worker.save(run, path)

    def test(self, path: Path) -> Measurement:
        """Test score of the model in `path`; all scores, and the confusion matrix, are its details.

        Raises:
            UsageError: The file cannot be used, or its model has other images or classes.
        """
        self._ready()
        worker = self._workers[0]
        found = worker.process.ask("test", worker.workload, path.absolute(), patience_s=self.patience_s)
        return Measurement(found[worker.score], details=found)

    def work(self, config: Config) -> Work | None:
        """The known cost of a prediction before the network exists; None before `prepare` and for a user's network."""
        return None if (known := self._of_built_in) is None else known.floor.work(config, known.peak_flop_per_s)

    def use(self, path: Path, seconds: float, window: Callable[[], Window]) -> Usage:
        """The cost of predictions with the model in `path`, in full precision, on validation images.

        Raises:
            UsageError: As `test`.
        """
        self._ready()
        return self._workers[0].use(path, seconds, window)

    @property
    def _of_built_in(self) -> Prepared | None:
        """What is known after `prepare` of trainings of the built-in networks; None for the user's own."""
        return None if self.model is not None else self._prepared

    def _ready(self, stamped: str | None = None) -> Prepared:
        """The worker's properties of the data; it is asked again if the seed, the size or the data's stamp has
        changed.
        """
        if self._prepared is not None:
            before = self._workers[0].workload
            kept = before.seed, before.largest_side
            if kept == (self.seed, self._largest_side) and stamped in (None, before.stamp):
                return self._prepared
        cores = 1 if self.deterministic else max(1, usable_cores() // max(1, len(self._devices)))
        workload = Workload(
            self.data,
            self.data_dir,
            self.download,
            self.device,
            self.seed,
            self.threads or cores,
            self.threads is not None,
            self.validation_share,
            self.deterministic,
            stamp(self.data) if stamped is None else stamped,
            self._largest_side,
            None if self.model is None else pickled(self.model),
            None if self.model is None else name_of(self.model),
        )
        workers = tuple(self._worker(workload, device) for device in self._devices or (None,))
        found: list[Prepared] = [worker.process.ask("prepare", worker.workload) for worker in workers]
        score = self._measured()
        for worker in workers:
            worker.score = score
        self._workers = workers
        self._prepared = replace(found[0], about=replace(found[0].about, score=score))
        return self._prepared

    def _measured(self) -> str:
        """Which of `METRICS` is measured: the one requested, or the one that suits the data."""
        return self._score or given.suitable_score(self.data)

    def _worker(self, workload: Workload, device: str | None) -> ImageWorker:
        """The worker of one of several devices, by its name; None: of the only one."""
        if device is not None:
            workload = replace(workload, device=device)
        return ImageWorker(workload, shared_worker(device), self.patience_s)
