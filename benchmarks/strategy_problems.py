"""The problems of `strategies.py` without trainings: recorded learning curves.

LCBench (`--lcbench FILE.npz`): `config` (n, 7), and for each task `TASK_accuracy` (n, T) and cumulative
`TASK_energy_j` (n, T). A configuration gets the curve of the recorded one that is nearest in the unit cube (`nearest`),
or that of a small network fitted to the table (`smooth`), because a nearest-neighbour table is constant in cells, and
real trainings are not. `noisy` is `smooth` as if measured on 400 validation images: strategies see noisy accuracies,
and are evaluated by the true ones.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ecoml import Choice, Float, Int, Metric, Space
from ecoml.errors import UsageError
from ecoml.space import Value

Array = NDArray[np.float64]

LCBENCH_SPACE: dict[str, Float | Int | Choice | Value] = {
    "batch_size": Int(16, 512, log=True),
    "learning_rate": Float(1e-4, 0.1, log=True),
    "momentum": Float(0.1, 0.99),
    "weight_decay": Float(1e-5, 0.1),
    "num_layers": Int(1, 5),
    "max_units": Int(64, 1024, log=True),
    "max_dropout": Float(0.0, 1.0),
}


MAPPINGS = ("nearest", "smooth", "noisy")
"""The ways to read the table of LCBench."""

CHANCE_OF_CURVE, CHANCE_OF_POINT = 0.6, 0.4
"""Standard deviations of the noise of `noisy`, in those of a binomial share; see docs/results/strategies.md."""


class TrainingTask(Protocol):
    """A search space, and the learning curve of every training in it.

    A problem with noisy scores has an `exact` problem, by whose scores strategies are evaluated. A problem that does
    not measure accuracy has a `metric`.
    """

    @property
    def space(self) -> Space: ...

    def curve(self, config: Mapping[str, Any]) -> tuple[Array, Array]:
        """Scores (T,) and joules of each step (T,)."""


@dataclass
class Nearest:
    """A table of curves: a configuration gets the recorded curve that is nearest in the unit cube."""

    space: Space
    u: Array = field(repr=False)  # (n, d)
    score: Array = field(repr=False)  # (n, T)
    step_j: Array = field(repr=False)  # (n, T)

    def curve(self, config: Mapping[str, Any]) -> tuple[Array, Array]:
        row = int(np.argmin(((self.u - self.space.encode(config)) ** 2).sum(1)))
        return self.score[row], self.step_j[row]


@dataclass
class Smooth:
    """A network from the unit cube to a curve: its logits, by eight principal components, and a step's log joules."""

    space: Space
    layers: list[tuple[Array, Array]] = field(repr=False)  # weights (out, in) and offsets (out,)
    base: Array = field(repr=False)  # (8 + 1, T): what one unit of each output adds to the logits
    mean: Array = field(repr=False)  # (T,)
    log_energy: tuple[float, float]  # mean and spread

    def curve(self, config: Mapping[str, Any]) -> tuple[Array, Array]:
        hidden = 2.0 * self.space.encode(config) - 1.0
        for weights, offsets in self.layers[:-1]:
            hidden = _silu(weights @ hidden + offsets)
        weights, offsets = self.layers[-1]
        out = weights @ hidden + offsets
        score = 1.0 / (1.0 + np.exp(-(self.mean + out[:-1] @ self.base)))
        step_j = np.exp(self.log_energy[0] + self.log_energy[1] * out[-1])
        return score, np.full(len(score), step_j)


@dataclass
class Noisy:
    """A problem with accuracies measured on few images: each curve has an error, and each of its points another."""

    exact: TrainingTask
    images: int = 400

    @property
    def space(self) -> Space:
        return self.exact.space

    def curve(self, config: Mapping[str, Any]) -> tuple[Array, Array]:
        score, step_j = self.exact.curve(config)
        digest = hashlib.sha256(repr(sorted(config.items())).encode()).digest()
        rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
        chance = CHANCE_OF_CURVE * rng.normal() + CHANCE_OF_POINT * rng.normal(size=len(score))
        measured = score + chance * np.sqrt(score * (1.0 - score) / self.images)
        return np.clip(np.round(measured * self.images) / self.images, 0.0, 1.0), step_j


METRICS: Mapping[str, tuple[Metric, Callable[[Array], Array]]] = {
    "loss": (Metric("validation loss", minimize=True), lambda share: -np.log(np.maximum(share, 1e-3))),
    "diverging-loss": (
        Metric("validation loss", minimize=True),
        lambda share: np.where(share < 0.3, 1e3, -np.log(np.maximum(share, 1e-3))),
    ),
    "perplexity": (Metric("perplexity", minimize=True), lambda share: 20.0 * 500.0 ** (1.0 - share)),
    "r2": (Metric("R²", high=1.0), lambda share: 2.0 - 1.0 / np.maximum(share, 1e-3)),
}
"""Metrics without bounds, into which the accuracies of any task can be converted; the order is the same."""


@dataclass
class Retold:
    """A task whose accuracies are converted into another metric, by its name in `METRICS`."""

    task: TrainingTask
    name: str

    @property
    def space(self) -> Space:
        return self.task.space

    @property
    def metric(self) -> Metric:
        return METRICS[self.name][0]

    @property
    def exact(self) -> Retold:
        return Retold(getattr(self.task, "exact", self.task), self.name)

    def curve(self, config: Mapping[str, Any]) -> tuple[Array, Array]:
        share, step_j = self.task.curve(config)
        return METRICS[self.name][1](share), step_j


def lcbench_tasks(path: Path) -> list[str]:
    """Names of the tasks in a file.

    Raises:
        UsageError: There is no such file, or its content is different.
    """
    try:
        with np.load(path) as data:
            return [name.removesuffix("_accuracy") for name in data.files if name.endswith("_accuracy")]
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: not an LCBench table ({error}); name the .npz file") from None


@lru_cache(maxsize=4)
def lcbench_defaults(path: Path, worst: bool = False) -> Mapping[str, dict[str, Any]]:
    """A default for each task: of the cheaper half of the recorded configurations, the one that is best (or worst) on
    the other tasks.
    """
    tasks = lcbench_tasks(path)
    with np.load(path) as data:
        ends: Array = np.array([data[f"{task}_accuracy"][:, -1] for task in tasks])
        log_j: Array = np.log([data[f"{task}_energy_j"][:, -1] for task in tasks]).mean(axis=0)
        columns = [str(name) for name in data["config_names"]]
        rows = data["config"]
    ranks = np.argsort(np.argsort(ends if worst else -ends, axis=1), axis=1) + len(rows) * (log_j > np.median(log_j))
    best = {task: int(np.argmin(np.delete(ranks, i, axis=0).mean(0))) for i, task in enumerate(tasks)}
    space = Space(LCBENCH_SPACE)
    configs = {task: _config(dict(zip(columns, rows[i].tolist(), strict=True))) for task, i in best.items()}
    return {task: space.decode(space.encode(config)) for task, config in configs.items()}


@lru_cache(maxsize=16)
def open_problem(family: str, task: str, path: Path | None, kept_in: Path) -> TrainingTask:
    """A problem of learning curves by name.

    Args:
        family: `nearest`, `smooth` or `noisy`.
        task: One of its tasks.
        path: The LCBench file.
        kept_in: Folder for the networks of `smooth`, which take some seconds to fit.
    """
    if family == "noisy":
        return Noisy(open_problem("smooth", task, path, kept_in))
    assert path is not None, "LCBench is a file"
    space = Space(LCBENCH_SPACE)
    with np.load(path) as data:
        columns = [str(name) for name in data["config_names"]]
        configs = [_config(dict(zip(columns, row, strict=True))) for row in data["config"].tolist()]
        score = data[f"{task}_accuracy"].astype(float)
        step_j = np.diff(data[f"{task}_energy_j"].astype(float), axis=1, prepend=0.0)
    u = np.array([space.encode(config) for config in configs])
    if family == "nearest":
        return Nearest(space, u, score, step_j)
    return fitted(space, u, score, step_j, kept_in / f"smooth-{task}.npz")


def fitted(space: Space, u: Array, score: Array, step_j: Array, file: Path) -> Smooth:
    """A smooth problem from a table: points of the unit cube (n, d), scores and joules of each step (n, T).

    The network is stored in the file.
    """
    if not file.is_file():
        _fit(u, score, step_j, file)
    with np.load(file) as data:
        layers = [(data[f"weights_{i}"], data[f"offsets_{i}"]) for i in range(3)]
        centre, spread = data["log_energy"].tolist()
        return Smooth(space, layers, data["base"], data["mean"], (centre, spread))


def _config(row: Mapping[str, float]) -> dict[str, Any]:
    """A row of the table as a configuration. Integers are rounded, and values clipped to the bounds (the table is
    rounded).
    """
    config: dict[str, Any] = {}
    for name, parameter in LCBENCH_SPACE.items():
        assert isinstance(parameter, Float | Int)
        value = min(max(row[name], parameter.low), parameter.high)
        config[name] = round(value) if isinstance(parameter, Int) else value
    return config


def _fit(u: Array, score: Array, step_j: Array, file: Path) -> None:
    """Fit the network: takes seconds of CPU time, always gives the same weights, and prints the explained share."""
    import torch

    torch.manual_seed(0)
    logits = log_odds(score)
    log_energy = np.log(step_j.mean(axis=1))
    centre, spread = float(log_energy.mean()), float(log_energy.std())
    components = np.linalg.svd(logits - logits.mean(0), full_matrices=False)[2][:8]
    scores = (logits - logits.mean(0)) @ components.T
    scale = float(scores[:, 0].std())  # the same for all, so that the first components count most
    target = np.column_stack([scores / scale, (log_energy - centre) / spread])
    x = torch.tensor(2.0 * u - 1.0, dtype=torch.float32)
    y = torch.tensor(target, dtype=torch.float32)
    kept = np.random.default_rng(0).permutation(len(u))
    fitted, held = kept[len(u) // 10 :], kept[: len(u) // 10]
    net = torch.nn.Sequential(
        *(torch.nn.Linear(x.shape[1], 128), torch.nn.SiLU(), torch.nn.Linear(128, 128), torch.nn.SiLU()),
        torch.nn.Linear(128, y.shape[1]),
    )
    steps = 2500
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        batch = fitted[torch.randint(0, len(fitted), (256,)).numpy()]
        loss = ((net(x[batch]) - y[batch]) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        error = (net(x[held]).numpy() - target[held]).var(axis=0)
    fit = 1.0 - error / target[held].var(axis=0)
    print(f"{file.stem} explains {fit[0]:.0%} of the curves' level and {fit[-1]:.0%} of log joules", file=sys.stderr)
    layers = [layer for layer in net if isinstance(layer, torch.nn.Linear)]
    arrays: dict[str, Any] = {
        f"weights_{i}": layer.weight.detach().numpy().astype(float) for i, layer in enumerate(layers)
    }
    arrays |= {f"offsets_{i}": layer.bias.detach().numpy().astype(float) for i, layer in enumerate(layers)}
    new = file.with_suffix(f".{os.getpid()}.npz")  # because several processes may write it
    np.savez(new, **arrays, base=components * scale, mean=logits.mean(0), log_energy=np.array([centre, spread]))
    new.replace(file)


def log_odds(share: Array) -> Array:
    """Logarithms of odds, of at most 999 to 1."""
    share = np.clip(share, 1e-3, 1.0 - 1e-3)
    return np.asarray(np.log(share / (1.0 - share)))


def _silu(x: Array) -> Array:
    return x / (1.0 + np.exp(-x))
