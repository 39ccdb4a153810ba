"""Words and figures of a run that several sections share."""

from __future__ import annotations

from ecoml.energy import Provenance, format_energy, weakest
from ecoml.report.charts.records import varying
from ecoml.run.result import Result
from ecoml.trial import Trial


def steps_of(result: Result, count: int) -> str:
    """`3 epochs`."""
    return f"{count} {result.step_name}{'' if count == 1 else 's'}"


def steps_title(result: Result) -> str:
    """`Epochs`, for a heading."""
    return f"{result.step_name.capitalize()}s"


def plus_minus(energy_j: float, uncertainty_j: float, provenance: Provenance) -> str:
    """Joules with their uncertainty, where it is symmetric."""
    if uncertainty_j <= 0 or provenance is Provenance.ESTIMATED:
        return format_energy(energy_j)
    return f"{format_energy(energy_j)} ± {format_energy(uncertainty_j)}"


def source_of(trials: tuple[Trial, ...]) -> str:
    """Where the trials' energies come from: that of the weakest."""
    return weakest(trial.provenance for trial in trials if trial.curve).value


def left_out(result: Result) -> str:
    """A remark for a table of configurations from which parameters are missing."""
    shared = {name for trial in result.trials for name in trial.config} - set(varying(result.trials))
    return "; parameters that all trials share are left out" if shared else ""
