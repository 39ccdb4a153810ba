"""Small models of scikit-learn, trained during the search: perceptrons, forests and support vector machines.

A task is MODEL-DATA. The data are digits or a part of FashionMNIST, as principal components. Strategies see accuracies
on 400 or 1,000 images, and are evaluated on others. The joules of a step are the number of its operations, counted, at
1 nJ each: they are the same on every host, and ratios of energies are ratios of operations.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecoml import Choice, Float, Int, Space
from ecoml.trial import Config

Array = NDArray[np.float64]

_JOULES = 1e-9  # of an operation
_COMPONENTS = 64
_EPOCHS = 20
_STEP_OPERATIONS = 50_000  # of a step of gradient descent, whatever its size
_GROWTHS = 10  # steps of a forest's training

_FOLDS = {"digits": (600, 400, 797), "fashion-mnist": (1000, 1000, 4000)}
"""Numbers of images for training, for validation, and for evaluation."""


class Images(NamedTuple):
    """Principal components (n, 64) and labels (n,) of each part."""

    x: Array
    y: NDArray[np.int64]
    x_validation: Array
    y_validation: NDArray[np.int64]
    x_test: Array
    y_test: NDArray[np.int64]


class Stage(NamedTuple):
    """A model after a step: its accuracy for validation and for evaluation, and the operations of the step."""

    validated: float
    judged: float
    operations: float


@dataclass
class Trained:
    """A model and its data.

    Attributes:
        space: Its parameters.
        train: Yields the stages of a training, from a configuration and images.
        images: The data.
        judged: Whether accuracies are those for evaluation.
    """

    space: Space
    train: Callable[[Config, Images], Iterator[Stage]]
    images: Images = field(repr=False)
    judged: bool = False
    known: dict[tuple[Any, ...], list[Stage]] = field(default_factory=dict, repr=False)

    @property
    def exact(self) -> Trained:
        """The same task with the accuracies for evaluation."""
        return Trained(self.space, self.train, self.images, True, self.known)

    def curve(self, config: Config) -> tuple[Array, Array]:
        """Accuracies (T,) and joules (T,) of each step."""
        key = tuple(sorted(config.items()))
        if key not in self.known:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # warnings of divergence, which the accuracy shows
                self.known[key] = list(self.train(config, self.images))
        stages = self.known[key]
        score = [stage.judged if self.judged else stage.validated for stage in stages]
        return np.array(score), _JOULES * np.array([stage.operations for stage in stages])


PERCEPTRON: dict[str, Any] = {
    "solver": Choice(["sgd", "adam"]),
    "learning_rate": Float(1e-4, 0.3, log=True),
    "momentum": Float(0.0, 0.99, when={"solver": "sgd"}),
    "weight_decay": Float(1e-6, 1.0, log=True),
    "batch_size": Int(16, 512, log=True),
    "components": Int(4, _COMPONENTS, log=True),
    "width": Int(8, 256, log=True),
    "layers": Int(1, 3),
    "activation": Choice(["relu", "tanh", "logistic"]),
}

FOREST: dict[str, Any] = {
    "trees": Int(10, 200, log=True),
    "components": Int(4, _COMPONENTS, log=True),
    "splitter": Choice(["best", "random"]),
    "criterion": Choice(["gini", "entropy"]),
    "max_features": Float(0.02, 1.0, log=True),
    "max_depth": Int(2, 30),
    "min_samples_leaf": Int(1, 30, log=True),
    "max_samples": Float(0.1, 1.0),
}

MACHINE: dict[str, Any] = {
    "kernel": Choice(["linear", "poly", "rbf", "sigmoid"]),
    "c": Float(1e-3, 1e3, log=True),
    "gamma": Float(1e-4, 10.0, log=True, when={"kernel": ["poly", "rbf", "sigmoid"]}),
    "degree": Int(2, 5, when={"kernel": "poly"}),
    "offset": Float(0.0, 5.0, when={"kernel": ["poly", "sigmoid"]}),
    "components": Int(4, _COMPONENTS, log=True),
    "shrinking": Choice([True, False]),
}


def _perceptron(config: Config, images: Images) -> Iterator[Stage]:
    from sklearn.neural_network import MLPClassifier

    k, layers, size = config["components"], config["layers"], config["batch_size"]
    model = MLPClassifier(
        [config["width"]] * layers,
        solver=config["solver"],
        learning_rate_init=config["learning_rate"],
        momentum=config.get("momentum", 0.9),
        alpha=config["weight_decay"],
        batch_size=size,
        activation=config["activation"],
        random_state=0,
    )
    classes = np.unique(images.y)
    weights = k * config["width"] + (layers - 1) * config["width"] ** 2 + config["width"] * len(classes)
    operations = 6.0 * weights * len(images.y) + _STEP_OPERATIONS * math.ceil(len(images.y) / size)
    for _ in range(_EPOCHS):
        try:
            model.partial_fit(images.x[:, :k], images.y, classes=classes)
            yield _stage(model, images, k, operations)
        except ValueError as error:
            if "non-finite" not in str(error):
                raise
            yield Stage(1 / len(classes), 1 / len(classes), operations)  # it diverged


def _forest(config: Config, images: Images) -> Iterator[Stage]:
    from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

    k = config["components"]
    kind = RandomForestClassifier if config["splitter"] == "best" else ExtraTreesClassifier
    features = max(1, round(config["max_features"] * k))
    model = kind(
        warm_start=True,
        criterion=config["criterion"],
        max_features=features,
        max_depth=config["max_depth"],
        min_samples_leaf=config["min_samples_leaf"],
        bootstrap=True,
        max_samples=config["max_samples"],
        random_state=0,
    )
    grown = 0
    for trees in np.linspace(0, config["trees"], _GROWTHS + 1).round().astype(int)[1:]:
        model.n_estimators = int(trees)
        model.fit(images.x[:, :k], images.y)
        looked_at = sum(float(tree.tree_.n_node_samples.sum()) for tree in model.estimators_[grown:])
        grown = len(model.estimators_)
        sorting = 10.0 if config["splitter"] == "best" else 1.0  # about log₂ of the images of a node
        yield _stage(model, images, k, looked_at * features * sorting)


def _machine(config: Config, images: Images) -> Iterator[Stage]:
    from sklearn.svm import SVC

    k = config["components"]
    model = SVC(
        kernel=config["kernel"],
        C=config["c"],
        gamma=config.get("gamma", 1.0),
        degree=config.get("degree", 3),
        coef0=config.get("offset", 0.0),
        shrinking=config["shrinking"],
        max_iter=20_000,
    ).fit(images.x[:, :k], images.y)
    of_pair = 2.0 * len(images.y) / len(model.classes_)  # images, whose gradients each iteration updates
    kernel = len(model.support_) * len(images.y) * k
    yield _stage(model, images, k, 4.0 * float(model.n_iter_.sum()) * of_pair + kernel)


def _stage(model: Any, images: Images, k: int, operations: float) -> Stage:
    return Stage(
        float(model.score(images.x_validation[:, :k], images.y_validation)),
        float(model.score(images.x_test[:, :k], images.y_test)),
        operations,
    )


_MODELS: dict[str, tuple[dict[str, Any], Callable[[Config, Images], Iterator[Stage]]]] = {
    "perceptron": (PERCEPTRON, _perceptron),
    "forest": (FOREST, _forest),
    "svm": (MACHINE, _machine),
}

TRAINED = tuple(f"{model}-{data}" for model in _MODELS for data in _FOLDS)
"""The names of the tasks."""


@lru_cache
def open_trained(task: str) -> Trained:
    """A task by name."""
    model, _, data = task.partition("-")
    parameters, train = _MODELS[model]
    return Trained(Space(parameters), train, _images(data))


@lru_cache
def _images(name: str) -> Images:
    from ecoml.training.images.data.loader import load

    data, (fitted, validated, judged) = load(name), _FOLDS[name]
    pixels = np.concatenate([part.images.reshape(len(part), -1) for part in (data.train, data.test)])
    labels = np.concatenate([data.train.labels, data.test.labels])
    # Evaluated on test images. Digits have too few, so all remaining images are used.
    first = max(fitted + validated, min(len(data.train), len(labels) - judged))
    rows = [slice(fitted), slice(fitted, fitted + validated), slice(first, first + judged)]
    parts = [pixels[row] / 255.0 for row in rows]
    mean = parts[0].mean(0)
    spread, axes = np.linalg.svd(parts[0] - mean, full_matrices=False)[1:]
    scale = math.sqrt(fitted) / spread[0]
    x, x_validation, x_test = (scale * (part - mean) @ axes[:_COMPONENTS].T for part in parts)
    y, y_validation, y_test = (labels[row] for row in rows)
    return Images(x, y, x_validation, y_validation, x_test, y_test)
