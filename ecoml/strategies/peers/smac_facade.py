"""SMAC's facades with their default settings (Lindauer et al., SMAC3, 2022).

SMAC requests configurations, with its multi-fidelity facade each at a budget of steps, and is told a cost without
joules: how far the utility is below the highest possible one or, without such a bound, its negative. SMAC has more
state than it was told: brackets, a forest that is fitted every eighth time, random generators. Its state is therefore
never restored but replayed: a new facade makes the same requests as the old one, and known results are told at once,
until it makes a new request. An interrupted search continues with the same requests.

`multi-fidelity` is Hyperband with a random forest. SMAC itself restarts a training for every longer budget; here the
suspended training is continued, and only the additional steps cost energy, which favours SMAC. Its longest budget is
the length of a training, which is unknown before a training has ended: the first is trained completely (SMAC requests
the same configurations first, whatever the budgets are), and its result answers SMAC's requests.

A failed training, and a configuration that may not be started, has the highest possible cost; without such a bound it
has the cost of the worst measurement, and a worse one makes SMAC replay. A stopped training has the cost of its last
measurement. Configurations of a finite space that SMAC does not request are tried at random, in complete trainings.
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
    """Carries out the requests of a SMAC facade.

    Args:
        space: The space to search.
        seed: ≥ 0; the same seed and the same trials give the same proposals.
        facade: `hyperparameter-optimization`: complete trainings. `multi-fidelity`: Hyperband over their steps.
        default_first: Whether the space's default configuration, if there is one, is trained first, and told to SMAC
            before its first request.

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
        """Propose only feasible configurations; the metric determines the cost of a failure."""
        self._goal = goal
        self._worst = worst_utility(goal.metric, ())

    def tell(self, trial: Trial) -> None:
        """Store the trial's current state; the first trial to end shows the length of a training."""
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
        """SMAC's first request without a result; a random configuration when it has no further requests."""
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
        """The open requests, then SMAC's further requests, until there are none."""
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
        """The result of a training for SMAC."""
        from smac.runhistory import StatusType, TrialValue

        status = StatusType.CRASHED if utility is None else StatusType.SUCCESS
        self._crashed |= utility is None
        ceiling = self._goal.metric.ceiling
        cost = (ceiling if math.isfinite(ceiling) else 0.0) - ((self._worst or 0.0) if utility is None else utility)
        return TrialValue(cost=cost, status=status)

    def _steps(self, info: TrialInfo) -> int | None:
        """The number of steps to which SMAC wants a configuration trained; None: to its end."""
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
        """Tell SMAC the result of the default configuration, which it did not request."""
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
    """The free parameters as SMAC's configuration space; an option is its index."""
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
    """A SMAC value as ecoml's; a fixed one (without a parameter) unchanged."""
    if parameter is None:
        return value
    if isinstance(parameter, Choice):
        return parameter.options[int(value)]
    return float(value) if isinstance(parameter, Float) else int(value)


def _utility(trial: Trial, steps: int | None) -> float | None:
    """Utility after this many steps; that of its last step if it was stopped before, None if it failed before."""
    if steps is not None and trial.step >= steps:
        return trial.curve[steps - 1].utility
    return None if trial.state is TrialState.FAILED else trial.utility


def _sort_starts(smac: AbstractFacade) -> None:
    """Sort the set from which SMAC's local search starts, because its order differs between processes."""
    local: Any = smac._acquisition_maximizer._local_search  # type: ignore[attr-defined]
    starts = local._get_init_points_from_previous_configs
    local._get_init_points_from_previous_configs = lambda *given, **named: sorted(starts(*given, **named), key=repr)
