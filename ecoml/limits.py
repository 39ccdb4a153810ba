"""The limits of a search: everything it may spend and every condition the user sets. Stored complete in `run.toml`.

A new limit needs three changes: a field here, its effect in the loop, and an option of the command line.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime, time, timedelta
from typing import Any, Self

from ecoml.energy import J_PER_KWH
from ecoml.errors import BudgetError, UsageError, did_you_mean
from ecoml.metric import Metric, number_of, truth_of

_OF_USE = ("max_inference_energy_j", "max_latency_s")
_CLEAN = "when_clean_g_per_kwh"
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits that end a search or a training before the budget is spent, and other wishes of the user.

    Attributes:
        max_trials: End the search after this many trials; None: no such limit.
        target: End the search when a measurement reaches this score; None: no such limit.
        max_parameters: The largest number of trainable parameters of a network; None: no such limit.
        max_energy_per_training_j: The largest energy of one training, in joules. A training that took more is not on
            the front; None: no such limit.
        require_measured: Refuse to run if the energy can only be estimated.
        max_inference_energy_j: The largest energy of one prediction in joules, for one image at a time. A network that
            takes more is not on the front; None: no such limit.
        max_latency_s: The longest time of such a prediction in seconds; None: no such limit.
        inferences: Number of images that the model will predict. The choice of a model then counts their energy as
            well.
        spend_all: Continue until the budget is spent, even if the strategy expects no further improvement.
        budget_gco2e: CO2e budget in grams, as hard as the energy budget; None: no such limit.
        when_clean_g_per_kwh: Pause between steps while the carbon intensity of the grid is above this; None: never
            pause.
        until: The time at which pausing ends, ISO 8601.

    Raises:
        UsageError: A value makes no sense.
    """

    max_trials: int | None = None
    target: float | None = None
    max_parameters: int | None = None
    max_energy_per_training_j: float | None = None
    max_inference_energy_j: float | None = None
    max_latency_s: float | None = None
    inferences: float | None = None
    require_measured: bool = False
    spend_all: bool = False
    budget_gco2e: float | None = None
    when_clean_g_per_kwh: float | None = None
    until: str | None = None

    def __post_init__(self) -> None:
        for name in ("max_trials", "max_parameters"):
            object.__setattr__(self, name, _whole(name, getattr(self, name)))
        for name in (*_OF_USE, "target", "max_energy_per_training_j", "inferences", "budget_gco2e", _CLEAN):
            object.__setattr__(self, name, _number(name, getattr(self, name)))
        for name in ("require_measured", "spend_all"):
            object.__setattr__(self, name, _flag(name, getattr(self, name)))
        for name in _OF_USE:
            if (most := getattr(self, name)) is not None and most <= 0:
                raise UsageError(f"{name} is {most:g} {name[-1].replace('j', 'J')}; give a positive number")
        if self.max_energy_per_training_j is not None and self.max_energy_per_training_j <= 0:
            raise UsageError(
                f"the most energy of a training is {self.max_energy_per_training_j:g} J; give a positive, finite number"
            )
        if self.budget_gco2e is not None and self.budget_gco2e <= 0:
            raise UsageError(f"the CO2e budget is {self.budget_gco2e:g} g; give a positive, finite number of grams")
        if self.when_clean_g_per_kwh is not None and self.when_clean_g_per_kwh <= 0:
            raise UsageError(
                f"the grid's carbon intensity limit is {self.when_clean_g_per_kwh:g} g/kWh; give a positive number"
            )
        if self.when_clean_g_per_kwh is not None and self.until is None:
            raise UsageError("--when-clean needs a time at which waiting ends: --until 18:00, or --until +24h")
        if self.until is not None:
            if self.when_clean_g_per_kwh is None:
                raise UsageError("--until says when the waiting of --when-clean ends: give both, e.g. --when-clean 200")
            object.__setattr__(self, "until", _moment(self.until))

        if self.inferences is not None and self.inferences < 0:
            raise UsageError(
                f"the number of inferences is {self.inferences:g}; give a number of 0 or more, such as 1e7"
            )

    @classmethod
    def of(cls, given: Mapping[str, Any], others: Iterable[str] = ()) -> Self:
        """The limits of a mapping from names to values.

        Args:
            given: Names and values.
            others: Further names that a misspelt one may mean.

        Raises:
            UsageError: A name is unknown, or a value makes no sense.
        """
        known = [field.name for field in fields(cls)]
        for name in given:
            if name not in known:
                raise UsageError(f"unknown argument {name!r}; {did_you_mean(name, [*others, *known])}")
        return cls(**given)

    @property
    def until_s(self) -> float:
        """The Unix time at which pausing for a cleaner grid ends; ∞ if there is no such time."""
        return math.inf if self.until is None else datetime.fromisoformat(self.until).timestamp()

    def refuse_past(self) -> None:
        """Refuse a new search whose `until` has passed.

        Raises:
            UsageError: `until` has passed.
        """
        if self.until is not None and datetime.fromisoformat(self.until) <= datetime.now().astimezone():
            raise UsageError(f"until is {self.until}, which has passed; give a time in the future: 18:00, or +24h")

    def check_target(self, metric: Metric) -> None:
        """Refuse a target that the metric cannot reach, or that every score reaches.

        Raises:
            UsageError: The target cannot be used.
        """
        if self.target is None:
            return
        worst = metric.high if metric.minimize else metric.low
        if not metric.allows(self.target) or (worst is not None and self.target == worst):
            low = "−∞" if metric.low is None else f"{metric.low:g}"
            high = "∞" if metric.high is None else f"{metric.high:g}"
            such = ", such as 0.95" if metric.is_share else ""
            raise UsageError(f"the target is {self.target:g}; give a {metric.name} between {low} and {high}{such}")

    def to_dict(self) -> dict[str, Any]:
        """The limits that were set, for TOML and JSON."""
        return {name: value for name, value in asdict(self).items() if value is not None and value is not False}

    @property
    def of_use(self) -> bool:
        """Whether there is a limit on the cost of predictions."""
        return self.max_inference_energy_j is not None or self.max_latency_s is not None

    def allows_use(self, cost: tuple[float, float] | None) -> bool:
        """Whether the joules and seconds of one prediction satisfy the limits; if there is a limit, None does not."""
        return not self.of_use or (cost is not None and self.use_share(*cost) <= 1 + _ROUNDING)

    def use_share(self, energy_j: float, latency_s: float) -> float:
        """The cost of one prediction as a share of its limit: the larger of the shares of energy and time."""
        shares = (energy_j, self.max_inference_energy_j), (latency_s, self.max_latency_s)
        return max((taken / most for taken, most in shares if most is not None), default=0.0)

    def allows_j(self, energy_j: float) -> bool:
        """Whether one training may take this energy, up to rounding."""
        most_j = self.max_energy_per_training_j
        return most_j is None or energy_j <= most_j * (1 + _ROUNDING)


def budget_in_joules(
    budget_kwh: float | None, budget_j: float | None, *, names: tuple[str, str] = ("budget_kwh", "budget_j")
) -> float:
    """The budget in joules, given in kWh or in joules.

    Args:
        budget_kwh: The budget in kWh.
        budget_j: The budget in joules.
        names: The caller's names of the two, for the error message.

    Raises:
        BudgetError: None or both are given, or the value is not a positive, finite number.
    """
    if (budget_kwh is None) == (budget_j is None):
        raise BudgetError(f"give the energy budget once: {names[0]}=2 (or {names[1]}=7.2e6, the same in joules)")
    given, unit = (budget_kwh, "kWh") if budget_j is None else (budget_j, "J")
    if (number := number_of(given)) is None:
        raise BudgetError(f"the energy budget is {given!r:.60}; give a positive number of {unit}")
    budget = number * (J_PER_KWH if unit == "kWh" else 1.0)
    if not (math.isfinite(budget) and budget > 0):
        raise BudgetError(f"the energy budget is {given} {unit}; give a positive, finite number")
    return budget


def _moment(text: Any) -> str:
    """A time as ISO 8601 with its zone. `text` is such a time, `18:00` (the next one) or `+24h` (from now)."""
    now = datetime.now().astimezone()
    given = str(text).strip()
    try:
        if given.startswith("+") and given.endswith("h"):
            at = now + timedelta(hours=float(given[1:-1]))
        elif "-" not in given:
            clock = time.fromisoformat(given)
            at = now.replace(hour=clock.hour, minute=clock.minute, second=clock.second, microsecond=0)
            at += timedelta(days=at <= now)
        else:
            at = datetime.fromisoformat(given)
            at = at if at.tzinfo is not None else at.astimezone()
    except (ValueError, OverflowError):
        raise UsageError(f"until is {text!r}; give a time: 18:00, 2026-11-28T06:00 or +24h") from None
    return at.isoformat(timespec="seconds")


def _whole(name: str, value: Any) -> int | None:
    if value is None:
        return None
    try:
        whole = None if truth_of(value) is not None or int(value) != value else int(value)
    except (TypeError, ValueError, OverflowError):
        whole = None
    if whole is None or whole < 1:
        raise UsageError(f"{name} is {value!r:.60}; give a whole number of 1 or more")
    return whole


def _flag(name: str, value: Any) -> bool:
    truth = truth_of(value)
    if truth is None:
        raise UsageError(f"{name} is {value!r:.60}; give True or False")
    return truth


def _number(name: str, value: Any) -> float | None:
    if value is None:
        return None
    number = number_of(value)
    if number is None or not math.isfinite(number):
        raise UsageError(f"{name} is {value!r:.60}; give a finite number")
    return number
