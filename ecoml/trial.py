"""Trial: one configuration and all that is known of it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from ecoml.endings import TrialEnd
from ecoml.energy import Energy, Provenance, energy_of
from ecoml.errors import TrainingError
from ecoml.metric import ACCURACY, Metric
from ecoml.views import html_of

Config = Mapping[str, Any]
"""A configuration: parameter name → float, int or str. Inactive conditional parameters are absent."""


class TrialState(StrEnum):
    """Where a trial stands."""

    RUNNING = "running"  # being advanced
    SUSPENDED = "suspended"  # left after a measurement; it can be advanced again
    FINISHED = "finished"  # its run came to its own end
    STOPPED = "stopped"  # closed before its end (budget, target, interruption); its points stand
    FAILED = "failed"  # diverged, crashed or ran out of memory; its joules are charged

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self in (TrialState.FINISHED, TrialState.STOPPED, TrialState.FAILED)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a run yields: the score now, and the energy since the measurement before.

    Attributes:
        score: What the metric says of the model now. Not a number means that the training diverged.
        energy_j: Joules since the measurement before, > 0, where the training reports them; None: ecoml meters them.
        uncertainty_j: Half-width of `energy_j` in joules.
        details: Further figures of the model now, kept with the point; JSON values by name.
    """

    score: float
    energy_j: float | None = None
    uncertainty_j: float = 0.0
    details: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "score", real_number("score", self.score))
        if self.energy_j is not None:
            object.__setattr__(self, "energy_j", real_number("energy_j", self.energy_j))
        half_j = real_number("uncertainty_j", self.uncertainty_j)
        if not 0 <= half_j < math.inf:
            raise TrainingError(f"uncertainty_j is {half_j}; give a half-width in joules, 0 or more")
        object.__setattr__(self, "uncertainty_j", half_j)
        if self.details:
            try:
                object.__setattr__(self, "details", json.loads(json.dumps(self.details)))
            except (TypeError, ValueError) as error:
                raise TrainingError(f"the details of a measurement are no JSON ({error!s:.80}); give numbers") from None


def real_number(name: str, value: Any) -> float:
    """A number of any library as a float: Python's, numpy's, a tensor of one element.

    Raises:
        TrainingError: It is none: nothing, a text, a truth value, an array.
    """
    if type(value) is float:
        return value
    try:
        if isinstance(value, bool | str | bytes) or type(value).__name__ in ("bool_", "bool"):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        raise TrainingError(f"{name} is {value!r:.60} ({type(value).__name__}); give a number") from None


@dataclass(frozen=True, slots=True)
class Inference:
    """What predicting took, so many images at a time.

    Attributes:
        batch_size: Images predicted at once.
        images: Images it was measured over.
        latency_s: Seconds of one batch, the median.
        energy: Of one image; all that the metered domains drew meanwhile, idling included.
    """

    batch_size: int
    images: int
    latency_s: float
    energy: Energy

    def to_dict(self) -> dict[str, Any]:
        """For JSON; joules are those of one image."""
        sizes = {"batch_size": self.batch_size, "images": self.images, "latency_s": self.latency_s}
        return {**sizes, **self.energy.to_dict()}


@dataclass(frozen=True, slots=True)
class Usage:
    """What a model costs to use.

    Attributes:
        parameters: Trainable numbers.
        file_bytes: Size of its file.
        flop: Floating-point operations of one image, two for each multiplication of convolutions and linear layers.
        inferences: By batch size, one image at a time among them.
    """

    parameters: int
    file_bytes: int
    flop: int
    inferences: Mapping[int, Inference]

    @property
    def single(self) -> Inference:
        """One image at a time."""
        return self.inferences[1]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "parameters": self.parameters,
            "file_bytes": self.file_bytes,
            "flop": self.flop,
            "inferences": [inference.to_dict() for inference in self.inferences.values()],
        }


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a learning curve.

    Attributes:
        step: 1 for the first measurement (an epoch, with the built-in training).
        score: As the metric has it.
        energy: What the trial took up to here: training and evaluation, from its first batch.
        utility: The score, or its negative where lower is better: what strategies and fronts maximise.
        evaluation_j: Joules of this step's evaluation alone, part of `energy`; 0.0 where it was not told apart.
        spent_j: Joules of the whole search by then.
        floor_j: The least energy of the arithmetic up to here; None where it is not known.
        details: Further figures of the model, by name.
        host: The class of the host that made this step; empty for this one.
    """

    step: int
    score: float
    energy: Energy
    utility: float
    evaluation_j: float = 0.0
    spent_j: float = 0.0
    floor_j: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict, hash=False)
    host: str = ""

    @property
    def energy_j(self) -> float:
        """Joules of the trial up to here."""
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
    details: Mapping[str, Any] | None = None,
    host: str = "",
) -> Point:
    """The point that a step adds to `curve` which took so much energy."""
    sum_ = curve[-1].energy + taken if curve else taken
    energy = energy_of(sum_.energy_j, sum_.uncertainty_j, sum_.provenance, sum_.edge_j)
    utility = metric.utility(score)
    return Point(len(curve) + 1, score, energy, utility, evaluation_j, spent_j, floor_j, details or {}, host)


_NOTHING = Energy(0.0, 0.0, Provenance.MISSING)


@dataclass(slots=True)
class Trial:
    """One configuration and all that is known of it. Strategies read it and never write to it.

    Attributes:
        number: 0 for the first of a search.
        config: The configuration.
        state: Where it stands.
        curve: Its measurements, oldest first.
        tail: What was charged to it since its last point (an epoch that was cut, a crash); None: nothing.
        end: Why it is over; None before, and where a strategy left it.
        test_score: Score on the test set; only for the front, only after the search.
        test_details: Further figures of that test, by name.
        usage: What its model costs to use; only for models of the front, only after the search.
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
    def score(self) -> float | None:
        """Score at its last point, None before the first."""
        return self.curve[-1].score if self.curve else None

    @property
    def utility(self) -> float | None:
        """Utility at its last point, None before the first."""
        return self.curve[-1].utility if self.curve else None

    @property
    def energy(self) -> Energy:
        """All that was charged to it so far."""
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
        """Number of measurements so far."""
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
