"""SMAC's facades as they come, each with its defaults (Lindauer et al., SMAC3, 2022).

SMAC asks for configurations, with its multi-fidelity facade each at a budget of steps, and is told a cost, no joules:
how far the utility there is below the highest there can be, or, without such a bound, its negative. It remembers more
than it was told: brackets, a forest that is fitted every eighth time, random generators. So it is never restored but
played again: a fresh facade asks for the same as the old one, and what was measured is told at once, until it asks for
something new. A search that was interrupted goes on as it would have.

`multi-fidelity` is Hyperband with a random forest. SMAC itself starts a training anew for every longer budget; here
the suspended one is continued and only the steps that are added cost, which flatters SMAC. Its longest budget is the
length of a training, which nobody knows before one has ended: the first is trained whole (SMAC asks for the same
configurations first, whatever the budgets are), and SMAC learns of it what it asks for.

A failed training, and a configuration that may not be started, costs the most there can be; without such a bound as
much as the worst measurement, and a worse one has SMAC play again. A training that was stopped costs what its last
measurement does. What SMAC leaves of a finite space is tried at random, in whole trainings.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from ecoml.space import Choice, Float, Parameter, Space
from ecoml.strategies.base import Continue, Decision, Goal, Start, ask_feasible, worst_utility
from ecoml.strategies.enumeration import Key, key
from ecoml.strategies.peers import quiet, require
from ecoml.strategies.random import RandomSearch
from ecoml.trial import Trial, TrialState

if TYPE_CHECKING:
    from ConfigSpace import ConfigurationSpace
    from ConfigSpace.hyperparameters import Hyperparameter
    from smac import Scenario
    from smac.facade import AbstractFacade
    from smac.runhistory import TrialInfo, TrialValue

Facade = Literal["hyperparameter-optimization", "multi-fidelity"]

_PATIENCE = 200  # configurations in a row that may not be started


class SmacSearch:
    """Does what a SMAC facade asks for.

    Args:
        space: What to search.
        seed: ≥ 0; same seed and same trials, same proposals.
        facade: `hyperparameter-optimization`: whole trainings. `multi-fidelity`: Hyperband over their steps.
        default_first: Whether the space's default configuration, where it has one, is trained first, and SMAC told of
            it before it asks for anything.

    Raises:
        UsageError: SMAC is not installed.
    """

    def __init__(
        self,
        space: Space,
        seed: int,
        facade: Facade = "hyperparameter-optimization",
        *,
        default_first: bool = True,
    ) -> None:
        require("smac")
        self._space = space
        self._seed = seed
        self._multi_fidelity = facade == "multi-fidelity"
        self._length: int | None = None  # of a training in steps, once one has ended
        self._goal = Goal()
        self._worst = worst_utility(self._goal.metric, ())
        self._crashed = False  # whether SMAC was told of a failure
        self._design = RandomSearch(space, seed, default_first=False)  # for what SMAC leaves
        self._default = space.default if default_first else None
        self._trials: dict[Key, Trial] = {}
        self._smac: AbstractFacade | None = None
        self._open: list[TrialInfo] = []  # what SMAC has asked for and was not told yet

    def pursue(self, goal: Goal) -> None:
        """Start nothing that is not feasible; what a failure costs follows from the metric."""
        self._goal = goal
        self._worst = worst_utility(goal.metric, ())

    def tell(self, trial: Trial) -> None:
        """Remember the trial as it is now; the first that ends shows how long a training is."""
        self._design.tell(trial)
        self._trials[key(trial.config)] = trial
        if self._multi_fidelity and self._length is None and trial.state is TrialState.FINISHED and trial.curve:
            self._length = trial.step
            self._play_again()
        if self._default is not None and trial.state.ended and key(trial.config) == key(self._default):
            self._play_again()
        worst = worst_utility(self._goal.metric, [trial])
        if worst is not None and (self._worst is None or worst < self._worst):
            self._worst = worst
            if self._crashed:
                self._play_again()

    def ask(self) -> Decision:
        """The first thing SMAC asks for that was not measured; at random what is left when it asks for nothing more."""
        from joblib import parallel_config

        refused, default = 0, self._default
        if default is not None and key(default) not in self._trials and self._goal.feasible(default):
            return Start(default)
        # The forest would use all cores, and its main thread would sleep through most of that.
        with quiet("smac"), parallel_config(backend="sequential"):
            for info in self._requests():
                config, steps = self._config(info), self._steps(info)
                trial = self._trials.get(key(config))
                if trial is None:
                    if self._goal.feasible(config):
                        return Start(config, steps)
                    refused += 1
                    if refused == _PATIENCE:
                        break
                    self._answer(info, None)
                elif trial.state.ended or (steps is not None and trial.step >= steps):
                    self._answer(info, _utility(trial, steps))
                    refused = 0
                elif trial.state is TrialState.SUSPENDED:
                    return Continue(trial.number, None if steps is None else steps - trial.step)
        return ask_feasible(self._design, self._goal.feasible)

    def _play_again(self) -> None:
        self._smac, self._open, self._crashed = None, [], False

    def _requests(self) -> Iterator[TrialInfo]:
        """What is open, then what SMAC asks for beyond that, until it has nothing more."""
        from smac.main.exceptions import ConfigurationSpaceExhaustedException

        if self._smac is None:
            self._smac = self._new_facade() if self._space.dimension else None
        yield from list(self._open)
        while self._smac is not None:
            try:
                self._open.append(self._smac.ask())
            except (StopIteration, ConfigurationSpaceExhaustedException):
                return
            yield self._open[-1]

    def _answer(self, info: TrialInfo, utility: float | None) -> None:
        assert self._smac is not None
        self._smac.tell(info, self._value_of(utility), save=False)
        self._open.remove(info)

    def _value_of(self, utility: float | None) -> TrialValue:
        """What SMAC is told of a training."""
        from smac.runhistory import StatusType, TrialValue

        status = StatusType.CRASHED if utility is None else StatusType.SUCCESS
        self._crashed |= utility is None
        ceiling = self._goal.metric.ceiling
        cost = (ceiling if math.isfinite(ceiling) else 0.0) - ((self._worst or 0.0) if utility is None else utility)
        return TrialValue(cost=cost, status=status)

    def _steps(self, info: TrialInfo) -> int | None:
        """To how many steps SMAC wants a configuration trained; None: to its end."""
        if info.budget is None or self._length is None or info.budget >= self._length:
            return None
        return max(1, round(info.budget))

    def _config(self, info: TrialInfo) -> dict[str, Any]:
        values = dict(info.config) | self._space.fixed
        return {
            name: _value(self._space.free.get(name), values[name]) for name in self._space.parameters if name in values
        }

    def _new_facade(self) -> AbstractFacade:
        from smac import HyperparameterOptimizationFacade, MultiFidelityFacade, Scenario

        facade = MultiFidelityFacade if self._multi_fidelity else HyperparameterOptimizationFacade
        budgets: Mapping[str, Any] = {"min_budget": 1, "max_budget": self._length or 1} if self._multi_fidelity else {}
        with TemporaryDirectory() as folder:  # SMAC writes once, when it is made
            scenario = Scenario(
                configuration_space(self._space),
                output_directory=Path(folder),
                deterministic=True,
                seed=self._seed % 2**31,
                **budgets,
            )
            smac = facade(scenario, logging_level=False, overwrite=True)
        _sort_starts(smac)
        self._tell_default(smac, scenario)
        return smac

    def _tell_default(self, smac: AbstractFacade, scenario: Scenario) -> None:
        """What became of the default configuration, which SMAC did not ask for."""
        from ConfigSpace import Configuration
        from smac.runhistory import TrialInfo

        trial = None if self._default is None else self._trials.get(key(self._default))
        if trial is None or not trial.state.ended:
            return
        free = {name: v for name, v in trial.config.items() if name in self._space.free}
        values = {name: _theirs(self._space.free[name], value) for name, value in free.items()}
        config = Configuration(scenario.configspace, values=values)
        budget = float(self._length or 1) if self._multi_fidelity else None
        smac.tell(TrialInfo(config, seed=0, budget=budget), self._value_of(_utility(trial, None)), save=False)


def configuration_space(space: Space) -> ConfigurationSpace:
    """The free parameters as SMAC sees them; an option is its index."""
    from ConfigSpace import AndConjunction, ConfigurationSpace, InCondition

    theirs = {name: _hyperparameter(name, parameter) for name, parameter in space.free.items()}
    conditions: list[Any] = []
    for name, parameter in space.free.items():
        wanted = {parent: values for parent, values in (parameter.when or {}).items() if parent in theirs}
        each = [
            InCondition(theirs[name], theirs[parent], [_theirs(space.free[parent], value) for value in values])
            for parent, values in wanted.items()
        ]
        conditions += [AndConjunction(*each)] if len(each) > 1 else each
    result = ConfigurationSpace()
    result.add(*theirs.values(), *conditions)
    return result


def _hyperparameter(name: str, parameter: Parameter) -> Hyperparameter[Any, Any]:
    from ConfigSpace import CategoricalHyperparameter, UniformFloatHyperparameter, UniformIntegerHyperparameter

    if isinstance(parameter, Choice):
        return CategoricalHyperparameter(name, list(range(len(parameter.options))))
    if isinstance(parameter, Float):
        return UniformFloatHyperparameter(name, parameter.low, parameter.high, log=parameter.log)
    return UniformIntegerHyperparameter(name, parameter.low, parameter.high, log=parameter.log)


def _theirs(parameter: Parameter, value: Any) -> Any:
    return parameter.options.index(value) if isinstance(parameter, Choice) else value


def _value(parameter: Parameter | None, value: Any) -> Any:
    """A value of SMAC's as ecoml writes it; a fixed one (no parameter) as it is."""
    if parameter is None:
        return value
    if isinstance(parameter, Choice):
        return parameter.options[int(value)]
    return float(value) if isinstance(parameter, Float) else int(value)


def _utility(trial: Trial, steps: int | None) -> float | None:
    """After so many steps; where it was left if it was stopped before, None if it failed before."""
    if steps is not None and trial.step >= steps:
        return trial.curve[steps - 1].utility
    return None if trial.state is TrialState.FAILED else trial.utility


def _sort_starts(smac: AbstractFacade) -> None:
    """SMAC's local search starts from a set of configurations, whose order is another in each process: sort it."""
    local: Any = smac._acquisition_maximizer._local_search  # type: ignore[attr-defined]
    starts = local._get_init_points_from_previous_configs
    local._get_init_points_from_previous_configs = lambda *given, **named: sorted(starts(*given, **named), key=repr)
