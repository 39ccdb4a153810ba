"""Optuna's samplers and pruners with their default settings.

The study holds every trial that was told, with all its points: each point is reported to the pruner when it arrives,
and a trial that the pruner stops is left suspended and never continued. Each proposal is made by a new sampler, seeded
with the number of trials told, on a copy of the study: an interrupted search continues with the same proposals. This
loses what a sampler caches between proposals (of those here, only the starting point of the GP sampler's fit).

Optuna does not prune with two objectives, so pruners use the utility only. A repeated proposal is replaced by a random
new one; Optuna itself would train it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ecoml.endings import StopReason
from ecoml.errors import UsageError
from ecoml.space import Choice, Float, Parameter, Space
from ecoml.strategies.base import Continue, Decision, End, Start
from ecoml.strategies.enumeration import key
from ecoml.strategies.peers import quiet, require
from ecoml.strategies.random import RandomSearch
from ecoml.trial import Config, Trial, TrialState

if TYPE_CHECKING:
    import optuna

Sampler = Literal["tpe", "gp", "nsga2"]
Pruner = Literal["none", "median", "hyperband"]
_SAMPLERS: dict[Sampler, str] = {"tpe": "TPESampler", "gp": "GPSampler", "nsga2": "NSGAIISampler"}
_PRUNERS: dict[Pruner, str] = {"none": "NopPruner", "median": "MedianPruner", "hyperband": "HyperbandPruner"}


class OptunaSearch:
    """Proposes configurations from an Optuna sampler, and stops trials by an Optuna pruner.

    Args:
        space: The space to search.
        seed: ≥ 0; the same seed and the same trials give the same proposals.
        sampler: `tpe` and `gp` maximise the utility at the end of a training; `nsga2` also minimises its joules.
        pruner: Asked after every measurement; `none`: complete trainings.
        default_first: Whether the space's default configuration, if there is one, comes first, as if it was enqueued.

    Raises:
        UsageError: Optuna is not installed, or would have to prune with two objectives.
    """

    def __init__(
        self, space: Space, seed: int, sampler: Sampler = "tpe", pruner: Pruner = "none", *, default_first: bool = True
    ) -> None:
        require("optuna")
        import optuna

        if sampler == "nsga2" and pruner != "none":
            raise UsageError("Optuna prunes with one objective only; use another sampler, or no pruner")
        self._space = space
        self._seed = seed
        self._sampler = sampler
        self._pruner: optuna.pruners.BasePruner = getattr(optuna.pruners, _PRUNERS[pruner])()
        self._prunes = pruner != "none"
        never_asked = optuna.samplers.RandomSampler(seed=0)  # what it would propose is told
        self._study = self._new_study(self._new_sampler(0) if sampler == "nsga2" else never_asked)
        self._design = RandomSearch(space, seed, default_first=False)  # for what was proposed before
        self._enqueued = space.default if default_first else None
        self._mirrors: dict[int, optuna.Trial] = {}  # of the trials that have not ended for Optuna
        self._trials: dict[int, Trial] = {}
        self._reported: dict[int, int] = {}
        self._pruned: dict[int, bool] = {}
        self._asked = 0  # proposals since the last new trial was told

    def tell(self, trial: Trial) -> None:
        """Report the trial's new points, and its end, including an end by the pruner."""
        number = trial.number
        if number not in self._reported:
            self._design.tell(trial)
            self._asked = 0
            self._study.enqueue_trial(_free(self._space, trial.config))
            mirror = self._study.ask()
            suggest(self._space, mirror)
            self._mirrors[number], self._reported[number], self._pruned[number] = mirror, 0, False
        self._trials[number] = trial
        if number in self._mirrors:
            self._report(trial)

    def ask(self) -> Decision:
        """Continue the trial that is not pruned, or start the sampler's proposal; `End` when all were tried."""
        for number in sorted(self._mirrors):
            if self._trials[number].state is TrialState.SUSPENDED:
                return Continue(number, 1 if self._prunes else None)
        steps = 1 if self._prunes else None
        unseen = self._design.peek()
        if unseen is None:
            return End(StopReason.EXHAUSTED)
        config = self._enqueued
        if config is None or key(config) in self._design.seen:
            config = self._proposal()
        if key(config) in self._design.seen:
            config = unseen
        self._design.leave_out(config)
        self._asked += 1
        return Start(config, steps)

    def _report(self, trial: Trial) -> None:
        import optuna

        number, mirror = trial.number, self._mirrors[trial.number]
        if self._sampler != "nsga2":
            for point in trial.curve[self._reported[number] :]:
                mirror.report(point.utility, point.step)
                self._pruned[number] = self._prunes and mirror.should_prune()
        self._reported[number] = trial.step
        states = optuna.trial.TrialState
        if trial.state is TrialState.FINISHED and trial.utility is not None:
            values = [trial.utility, trial.energy_j] if self._sampler == "nsga2" else [trial.utility]
            self._study.tell(mirror, values)
        elif trial.state is TrialState.STOPPED and trial.curve and self._sampler != "nsga2":
            self._study.tell(mirror, state=states.PRUNED)
        elif trial.state.ended:
            self._study.tell(mirror, state=states.FAIL)
        elif trial.state is TrialState.SUSPENDED and self._pruned[number]:
            self._study.tell(mirror, state=states.PRUNED)
        else:
            return
        del self._mirrors[number]

    def _proposal(self) -> dict[str, Any]:
        entropy = np.random.SeedSequence([self._seed, len(self._trials), self._asked])
        study = self._new_study(self._new_sampler(int(entropy.generate_state(1)[0])))
        study.add_trials(self._study.get_trials(deepcopy=False))
        with quiet("optuna"):
            return suggest(self._space, study.ask())

    def _new_study(self, sampler: optuna.samplers.BaseSampler) -> optuna.Study:
        import optuna

        up, down = optuna.study.StudyDirection.MAXIMIZE, optuna.study.StudyDirection.MINIMIZE
        directions = [up, down] if self._sampler == "nsga2" else [up]
        with quiet("optuna"):
            # The name decides which bracket of Hyperband a trial falls into.
            return optuna.create_study(
                study_name=f"seed {self._seed}", sampler=sampler, pruner=self._pruner, directions=directions
            )

    def _new_sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        import optuna

        sampler: optuna.samplers.BaseSampler = getattr(optuna.samplers, _SAMPLERS[self._sampler])(seed=seed)
        return sampler


def suggest(space: Space, trial: optuna.Trial) -> dict[str, Any]:
    """The configuration that an Optuna trial suggests: parents first, and only active parameters."""
    values: dict[str, Any] = dict(space.fixed)
    decided: dict[str, bool] = dict.fromkeys(space.fixed, True)

    def exists(name: str) -> bool:
        if name not in decided:
            parameter = space.free[name]
            conditions = (parameter.when or {}).items()
            decided[name] = all(exists(parent) and values[parent] in wanted for parent, wanted in conditions)
            if decided[name]:
                values[name] = _suggest_one(name, parameter, trial)
        return decided[name]

    return {name: values[name] for name in space.parameters if exists(name)}


def _suggest_one(name: str, parameter: Parameter, trial: optuna.Trial) -> Any:
    if isinstance(parameter, Choice):
        return trial.suggest_categorical(name, list(parameter.options))
    if isinstance(parameter, Float):
        return trial.suggest_float(name, parameter.low, parameter.high, log=parameter.log)
    return trial.suggest_int(name, parameter.low, parameter.high, log=parameter.log)


def _free(space: Space, config: Config) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name in space.free}
