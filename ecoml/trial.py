"""Trial: one configuration and all that is known of it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, NamedTuple

from ecoml.endings import TrialEnd
from ecoml.energy import Energy, Provenance, energy_of
from ecoml.errors import TrainingError
from ecoml.metric import ACCURACY, Metric, number_of
from ecoml.views import html_of

Config = Mapping[str, Any]
"""A configuration: parameter name → float, int or str. Inactive conditional parameters are absent."""


class TrialState(StrEnum):
    """The state of a trial."""

    RUNNING = "running"  # being advanced
    SUSPENDED = "suspended"  # left after a measurement; it can be advanced again
    FINISHED = "finished"  # its run came to its own end
    STOPPED = "stopped"  # closed before its end (budget, target, interruption); its points stand
    FAILED = "failed"  # diverged, crashed or ran out of memory; its joules are charged

    @property
    def ended(self) -> bool:
        """Whether the trial has ended for good."""
        return self in (TrialState.FINISHED, TrialState.STOPPED, TrialState.FAILED)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a run yields: the current score, and the energy since the measurement before.

    Attributes:
        score: The current score of the model. NaN means that the training diverged.
        energy_j: Joules since the measurement before, > 0, if the training reports its energy; None if ecoml meters it.
        uncertainty_j: Half-width of `energy_j` in joules.
        details: Further figures of the current model, stored with the point; JSON values by name. Numbers and arrays
            of numpy and torch become numbers and lists, NaN and infinity null.
        last: Whether the training ends here. If this is not said, it is found out when the training is continued, for
            which the energy of a further step must fit into the budget.

    Raises:
        TrainingError: The score or an energy is no number, or the details do not fit into JSON.
    """

    score: float
    energy_j: float | None = None
    uncertainty_j: float = 0.0
    details: Mapping[str, Any] = field(default_factory=dict, hash=False)
    last: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "score", real_number("score", self.score))
        if self.energy_j is not None:
            object.__setattr__(self, "energy_j", real_number("energy_j", self.energy_j))
        half_j = real_number("uncertainty_j", self.uncertainty_j)
        if not 0 <= half_j < math.inf:
            raise TrainingError(f"uncertainty_j is {half_j}; give a half-width in joules, 0 or more")
        object.__setattr__(self, "uncertainty_j", half_j)
        if self.details or type(self.details) is not dict:  # most measurements have none
            object.__setattr__(self, "details", _json_table(self.details))


def real_number(name: str, value: Any) -> float:
    """A number of any library as a float: a number of Python or numpy, or a tensor of one element.

    Raises:
        TrainingError: The value is no number: None, a text, a bool, an array.
    """
    number = number_of(value)
    if number is None:
        raise TrainingError(f"{name} is {value!r:.60} ({type(value).__name__}); give a number")
    return number


def _json_table(details: Any) -> dict[str, Any]:
    """The details of a measurement as JSON values by name."""
    if not isinstance(details, Mapping):
        raise TrainingError(
            f"the details of a measurement are {details!r:.60} ({type(details).__name__}); give values by name, as in"
            ' details={"loss": 0.3}'
        )
    try:
        table: dict[str, Any] = json.loads(json.dumps(_json_value(details), allow_nan=False))
    except (TypeError, ValueError, RuntimeError) as error:
        raise TrainingError(
            f"the details of a measurement do not fit into JSON ({error!s:.80}); give numbers, texts and lists by name"
        ) from None
    return table


def _json_value(value: Any) -> Any:
    """A detail without types of numpy and torch, and with None for what JSON has no number for: NaN and infinity."""
    if isinstance(value, Mapping):
        return {name: _json_value(inner) for name, inner in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_json_value(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@dataclass(frozen=True, slots=True)
class Inference:
    """Time and energy of predictions at one batch size.

    Attributes:
        batch_size: Images predicted at once.
        images: Number of images in the measurement.
        latency_s: Seconds of one batch, the median.
        energy: Energy per image: everything that the metered domains drew during the measurement, including idle power.
    """

    batch_size: int
    images: int
    latency_s: float
    energy: Energy

    def to_dict(self) -> dict[str, Any]:
        """As JSON; joules are per image."""
        sizes = {"batch_size": self.batch_size, "images": self.images, "latency_s": self.latency_s}
        return {**sizes, **self.energy.to_dict()}


@dataclass(frozen=True, slots=True)
class Usage:
    """The cost of a model's use.

    Attributes:
        parameters: Number of trainable parameters.
        file_bytes: Size of its file.
        flop: Floating-point operations of one image, two per multiplication in convolutions and linear layers.
        inferences: Measurements by batch size; one of them has batch size 1.
    """

    parameters: int
    file_bytes: int
    flop: int
    inferences: Mapping[int, Inference]

    @property
    def single(self) -> Inference:
        """The measurement with one image at a time."""
        return self.inferences[1]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "parameters": self.parameters,
            "file_bytes": self.file_bytes,
            "flop": self.flop,
            "inferences": [inference.to_dict() for inference in self.inferences.values()],
        }


_NO_DETAILS: Mapping[str, Any] = {}


class Point(NamedTuple):
    """One point of a learning curve.

    Attributes:
        step: 1 for the first measurement. A step of the built-in training is an epoch.
        score: The score, in the metric's own direction.
        energy: Energy of the trial from its first batch to this point, training and evaluation.
        utility: The score, or its negative if lower is better: strategies and fronts maximise it.
        evaluation_j: Joules of this step's evaluation, a part of `energy`; 0.0 if it was not metered separately.
        spent_j: Joules of the entire search up to this point.
        floor_j: The least joules that the arithmetic up to this point can take; None if unknown.
        details: Further figures of the model, by name.
        host: The class of the host that made this step; empty for this host.
    """

    step: int
    score: float
    energy: Energy
    utility: float
    evaluation_j: float = 0.0
    spent_j: float = 0.0
    floor_j: float | None = None
    details: Mapping[str, Any] = _NO_DETAILS
    host: str = ""

    @property
    def energy_j(self) -> float:
        """Joules of the trial up to this point."""
        return self.energy.energy_j


def next_point(
    curve: Sequence[Point],
    score: float,
    taken: Energy,
    metric: Metric = ACCURACY,
    *,
    evaluation_j: float = 0.0,
    spent_j: float = 0.0,
    floor_j: float | None = None,
    details: Mapping[str, Any] = _NO_DETAILS,
    host: str = "",
) -> Point:
    """The point that follows `curve` after a step that took this energy."""
    energy = curve[-1].energy + taken if curve else taken
    if energy.edge_j or energy.opening_j or energy.closing_j:
        energy = energy_of(energy.energy_j, energy.uncertainty_j, energy.provenance, energy.edge_j)
    utility = metric.utility(score)
    return Point(len(curve) + 1, score, energy, utility, evaluation_j, spent_j, floor_j, details or _NO_DETAILS, host)


_NOTHING = Energy(0.0, 0.0, Provenance.MISSING)


@dataclass(slots=True)
class Trial:
    """One configuration and all that is known of it. Strategies read a trial and never write to it.

    Attributes:
        number: 0 for the first trial of a search.
        config: The configuration.
        state: Its state.
        curve: Its measurements, oldest first.
        tail: Energy charged to it after its last point (an interrupted epoch, a crash); None if there is none.
        end: Why it ended; None while it has not, and if a strategy left it suspended.
        test_score: Score on the test set; known only for trials of the front, after the search.
        test_details: Further figures of that test, by name.
        usage: The cost of its model's use, if it was measured: at the end of the search for models of the front, or
            with the first measurement if the search has a limit on it.
    """

    number: int
    config: Config
    state: TrialState = TrialState.RUNNING
    curve: list[Point] = field(default_factory=list)
    tail: Energy | None = None
    end: TrialEnd | None = None
    test_score: float | None = None
    test_details: Mapping[str, Any] = field(default_factory=dict)
    usage: Usage | None = None

    @property
    def cost_of_use(self) -> tuple[float, float] | None:
        """Joules and seconds of the prediction of one image; None if not measured."""
        return None if self.usage is None else (self.usage.single.energy.energy_j, self.usage.single.latency_s)

    @property
    def score(self) -> float | None:
        """Score at its last point; None before the first."""
        return self.curve[-1].score if self.curve else None

    @property
    def utility(self) -> float | None:
        """Utility at its last point; None before the first."""
        return self.curve[-1].utility if self.curve else None

    @property
    def energy(self) -> Energy:
        """The energy charged to it so far."""
        parts = [self.curve[-1].energy] if self.curve else []
        if self.tail is not None:
            parts.append(self.tail)
        return parts[0] + parts[1] if len(parts) == 2 else parts[0] if parts else _NOTHING

    @property
    def energy_j(self) -> float:
        """Joules charged to it so far."""
        return (self.curve[-1].energy.energy_j if self.curve else 0.0) + (self.tail.energy_j if self.tail else 0.0)

    @property
    def step(self) -> int:
        """Number of its measurements so far."""
        return len(self.curve)

    def __repr__(self) -> str:
        known = "" if self.score is None else f" with score {self.score:.4g}"
        energy = f"{self.energy_j:.4g} J ({self.energy.provenance})"
        return f"<Trial {self.number}: {self.state}, step {self.step}{known}, {energy}>"

    def _repr_html_(self) -> str:
        return html_of(self)

    def at(self, step: int) -> Trial:
        """This trial as if its training had ended after `step` measurements: a candidate for the front."""
        return replace(self, curve=self.curve[:step], tail=None)
