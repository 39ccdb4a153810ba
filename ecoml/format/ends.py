"""Sentences on why trials and searches ended, and on what a search was asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ecoml.endings import EndReason, FailureKind, SearchEnd, StopReason, TrialEnd
from ecoml.format.carbon import format_co2e
from ecoml.format.figures import (
    duration,
    format_energy,
    format_gain,
    format_kwh,
    format_range,
    format_score,
    named_score,
    plural,
)
from ecoml.format.usage import of_use
from ecoml.metric import Metric

if TYPE_CHECKING:
    from ecoml.limits import Limits
    from ecoml.trial import Point, Trial


def describe_trial_end(end: TrialEnd, metric: Metric) -> str:
    """Why a trial ended, as the end of a sentence: `stopped: …`."""
    told = end.details
    if "message" in told:  # the words of an error, or of an earlier version
        return f"{told['message']} ({told['where']})" if "where" in told else str(told["message"])
    match end.reason:
        case EndReason.FINISHED:
            return "finished"
        case EndReason.BUDGET:
            return "the budget ended"
        case EndReason.TARGET:
            return "the target was reached"
        case EndReason.SEARCH_ENDED:
            return "suspended, and not taken up again"
        case EndReason.INTERRUPTED:
            return "interrupted"
        case EndReason.HOST_LOST:
            return f"its host {told['host']} was lost"
        case EndReason.TOO_DEAR_TO_USE:
            takes = f"{duration(told['latency_s'])} and {format_energy(told['energy_j'])} ({told['provenance']})"
            most = [duration(told["limit_s"])] if "limit_s" in told else []
            most += [format_energy(told["limit_j"])] if "limit_j" in told else []
            return f"a prediction takes {takes}, more than the allowed {' and '.join(most)}"
        case EndReason.TOOK_TOO_MUCH:
            return (
                f"it took {format_energy(told['energy_j'])} ({told['provenance']}), more than the"
                f" {format_energy(told['limit_j'])} that a training may take"
            )
        case EndReason.NEXT_STEP_TOO_MUCH:
            return (
                f"a further step would exceed the {format_energy(told['limit_j'])} that a training may take: it took"
                f" {format_energy(told['energy_j'])} ({told['provenance']})"
            )
        case FailureKind.DIVERGED:
            return f"the {metric.name} is not a number: the training diverged"
        case FailureKind.OUT_OF_RANGE:
            return f"the {metric.name} is {told['score']:g}; {_range_of(metric)}"
        case FailureKind.BAD_ENERGY:
            return f"energy_j is {told['energy_j']}; give the joules since the measurement before, a positive number"
        case FailureKind.OUT_OF_MEMORY:
            return "out of memory"
        case FailureKind.WORKER_LOST:
            return "the process that trained it is gone"
        case FailureKind.NO_MEASUREMENT:
            return "it ended without a measurement: yield (or return) a score"
        case FailureKind.ERROR:
            return "it raised an error"


def describe_search_end(end: SearchEnd, metric: Metric) -> str:
    """Why a search ended, a sentence without its full stop."""
    sentence = _search_end(end, metric)
    above = end.details.get("excluded_above")
    return sentence if above is None else f"{sentence}; networks of more than {above:,} parameters were left out"


def _search_end(end: SearchEnd, metric: Metric) -> str:
    told = end.details
    if "message" in told and end.reason is not StopReason.ERROR:
        return str(told["message"])
    match end.reason:
        case StopReason.BUDGET_SPENT if "co2e_g" in told:
            return f"the CO2e budget has no room for a further step: {format_co2e(told['co2e_g'])} are spent"
        case StopReason.BUDGET_SPENT if told.get("next_j"):
            return (
                f"the energy budget is spent: a further step takes about {format_energy(told['next_j'])}"
                f" ({told['provenance']}), and {format_energy(told['left_j'])} are left for it"
            )
        case StopReason.BUDGET_SPENT if told.get("training_j"):
            return (
                f"the energy budget is spent: a further training takes about {format_energy(told['training_j'])}"
                f" ({told['provenance']}), and {format_energy(told['left_j'])} are left for it"
            )
        case StopReason.BUDGET_SPENT:
            return "the energy budget is spent"
        case StopReason.TARGET_REACHED:
            return f"the target was reached: {named_score(metric, told['target'])}"
        case StopReason.MAX_TRIALS:
            return f"{plural(told['trials'], 'trial')} {'was' if told['trials'] == 1 else 'were'} made"
        case StopReason.EXHAUSTED:
            return "every configuration has been tried"
        case StopReason.NOT_WORTH_IT:
            return (
                f"more energy is not worth it: as much again as was spent so far ({format_energy(told['spent_j'])},"
                f" {told['provenance']}) is expected to improve the {metric.name} by"
                f" {format_gain(metric, told['promise'])} on average over the front; a search continues for"
                f" {format_gain(metric, told['worth'])} or more"
            )
        case StopReason.NOTHING_FEASIBLE:
            return "no further feasible configuration was proposed"
        case StopReason.FAILURES:
            last = describe_trial_end(TrialEnd.of(told["last"]), metric)
            return f"{plural(told['trials'], 'trial')} in a row failed, the last one: {last}"
        case StopReason.INTERRUPTED:
            return "interrupted by the user"
        case StopReason.ERROR:
            return f"interrupted: {told['message']}"
        case StopReason.STRATEGY:
            return "the strategy ended it"


def describe_ending(trial: Trial, metric: Metric) -> str:
    """How a trial ended, or its state: `finished`, `stopped: the budget ended`, `failed: out of memory`."""
    end = trial.end
    if end is None:
        return "stopped by the strategy" if trial.state == "stopped" else trial.state.value
    match end.reason:
        case EndReason.FINISHED:
            return trial.state.value
        case FailureKind():
            return f"failed: {describe_trial_end(end, metric)}"
        case EndReason.SEARCH_ENDED:
            return "suspended, and not taken up again"
        case EndReason.TOO_DEAR_TO_USE:
            return "stopped: a prediction takes more than allowed"
        case EndReason.TOOK_TOO_MUCH:
            return "stopped: it took more than a training may take"
        case EndReason.NEXT_STEP_TOO_MUCH:
            return "stopped: a further step would exceed what a training may take"
        case _:
            return f"stopped: {describe_trial_end(end, metric)}"


def describe_course(trial: Trial, times: int, metric: Metric) -> str:
    """The course of a trial whose training was suspended and resumed: `resumed twice, finished`."""
    if times < 2:
        return describe_ending(trial, metric)
    often = {2: "once", 3: "twice"}.get(times, f"{times - 1} times")
    left = trial.end is not None and trial.end.reason is EndReason.SEARCH_ENDED
    return f"resumed {often}, {'then left' if left else describe_ending(trial, metric)}"


FEW_TRAININGS = 10
"""A budget that buys fewer trainings than this gives a search too little to compare."""


def describe_ceiling(floor_j: float, left_j: float) -> list[str]:
    """The most that a budget can buy, before anything is trained: a sentence, and a warning if it is little.

    Args:
        floor_j: The least joules of the default training: its arithmetic at the device's peak performance.
        left_j: Joules left for trainings.
    """
    trainings = left_j / floor_j
    many = "less than one of it" if trainings < 1 else f"at most {int(trainings):,} of it, and less as a rule"
    told = [f"the default training takes {format_energy(floor_j)} or more, by its arithmetic: the budget buys {many}"]
    if trainings < FEW_TRAININGS:
        told.append("a search over so few trainings has little to choose from")
    return told


def describe_reach(first: Point, steps: int, left_j: float, metric: Metric) -> list[str]:
    """What a budget buys, from the first measurement of a search: a sentence, and a warning if it is little.

    Args:
        first: The first point of the first trial.
        steps: Number of measurements of a full training.
        left_j: Joules left for further trainings and for the rest of this one.
        metric: The metric, which names a step.
    """
    whole_j = steps * first.energy_j
    if whole_j <= 0:
        return []
    trainings = (left_j + first.energy_j) / whole_j
    many = "less than one such training" if trainings < 1 else f"about {plural(round(trainings), 'such training')}"
    told = [
        f"the first {metric.step} took {format_energy(first.energy_j)} ({first.energy.provenance}), so that"
        f" {plural(steps, metric.step)} take about {format_energy(whole_j)}: the budget buys {many}"
    ]
    if trainings < FEW_TRAININGS:
        enough_kwh = format_kwh(4 * FEW_TRAININGS * whole_j)
        told.append(f"a search over so few trainings has little to choose from; {4 * FEW_TRAININGS} take {enough_kwh}")
    return told


def describe_limits(limits: Limits, metric: Metric) -> Iterator[str]:
    """The limits of a search: a sentence for each kind, without its full stop."""
    if limits.target is not None:
        yield f"Target: {named_score(metric, limits.target)}; the search ends when it is reached"
    most = [] if limits.max_trials is None else [plural(limits.max_trials, "trial")]
    most += [] if limits.max_parameters is None else [f"{limits.max_parameters:,} parameters a network"]
    most_j = limits.max_energy_per_training_j
    most += [] if most_j is None else [f"{format_energy(most_j)} a training"]
    most += [f"{what} per prediction" for what in of_use(limits)]
    if most:
        yield f"Limits: at most {', '.join(most[:-1])}{' and ' if most[:-1] else ''}{most[-1]}"
    if limits.inferences is not None:
        yield f"The model is to predict {limits.inferences:,.0f} images"
    if limits.budget_gco2e is not None:
        yield f"CO2e budget: {format_co2e(limits.budget_gco2e)}"
    if limits.when_clean_g_per_kwh is not None and limits.until is not None:
        clean = f"{limits.when_clean_g_per_kwh:g} g/kWh"
        yield f"Told to pause while the grid is above {clean}, until {limits.until} at the latest"
    if limits.require_measured:
        yield "Told to refuse energy that is only estimated"
    if limits.spend_all:
        yield "Told to spend the entire budget, even for small gains"


def describe_warm_start(settings: Mapping[str, Any], strategy: str) -> str:
    """What the strategy of a search learned from an earlier run, a sentence without its full stop; `settings` as in
    `run.toml`.
    """
    left_out = f" ({settings['left_out']} more lie outside this space)" if settings["left_out"] else ""
    use = "" if settings["learnt"] else f"; the strategy {strategy} learns nothing from them"
    return (
        f"Warm start from {plural(settings['trials'], 'trial')} of {settings['run']} on {settings['problem']}{left_out}"
        f"{use}; its energy ({settings['provenance']}) is not charged again"
    )


def _range_of(metric: Metric) -> str:
    if metric.is_share:
        return (
            "give the share of correct predictions, in [0, 1]"
            if "accuracy" in metric.name
            else "give a share in [0, 1]"
        )
    return f"it must be finite, in {format_range(metric)}; set another range with ecoml.Metric(…, low=, high=)"


def describe_trial(trial: Trial, metric: Metric) -> str:
    """A trial of a front: `trial 0 after 7 epochs: 99.30 % validation accuracy for 1.94 J (estimated)`."""
    on_test = f" ({format_score(metric, trial.test_score)} on the test set)" if trial.test_score is not None else ""
    energy = f"{format_energy(trial.energy_j)} ({trial.energy.provenance})"
    after = plural(trial.step, metric.step)
    return f"trial {trial.number} after {after}: {named_score(metric, trial.score)}{on_test} for {energy}"
