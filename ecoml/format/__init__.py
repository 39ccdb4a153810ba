"""The only package that writes for people: every number, unit and sentence in the terminal, on the page and in errors.

figures   numbers with their units: joules, watts, scores, shares, durations, plurals
ends      why trials and searches ended, and what a search was asked for
choice    the recommended trial, and what the cheaper one gives up
data      the data of an image training, and how they were treated
account   the energy account: sources, sharing, gaps
carbon    CO2e, grids, and waiting for a cleaner grid

No code reads these sentences back: it compares the values of `ecoml.endings`, `ecoml.energy` and `ecoml.metric`.
"""

from ecoml.format.account import MEANING, describe_pretraining, describe_sharing, describe_spent, fold_gaps
from ecoml.format.carbon import (
    GRID_MEANING,
    describe_co2e,
    describe_footprint,
    describe_pause,
    describe_plan,
    describe_resumption,
    format_co2e,
    format_moment,
)
from ecoml.format.choice import describe_frugal, describe_reason
from ecoml.format.data import describe_data, describe_seen, describe_treatment
from ecoml.format.ends import (
    describe_ceiling,
    describe_course,
    describe_ending,
    describe_limits,
    describe_reach,
    describe_search_end,
    describe_trial,
    describe_trial_end,
    describe_warm_start,
)
from ecoml.format.figures import (
    capitalised,
    duration,
    energy_unit,
    estimate_interval,
    format_config,
    format_energy,
    format_figure,
    format_gain,
    format_interval,
    format_kwh,
    format_p,
    format_power,
    format_range,
    format_score,
    format_score_interval,
    format_sure,
    named_score,
    percent,
    plural,
    plural_of,
    quantity,
    score_title,
)
from ecoml.format.usage import (
    describe_flips,
    describe_lifetime,
    describe_nearest,
    describe_usage,
    format_bytes,
    format_flop,
)

__all__ = [
    "GRID_MEANING",
    "MEANING",
    "capitalised",
    "describe_ceiling",
    "describe_co2e",
    "describe_course",
    "describe_data",
    "describe_ending",
    "describe_flips",
    "describe_footprint",
    "describe_frugal",
    "describe_lifetime",
    "describe_limits",
    "describe_nearest",
    "describe_pause",
    "describe_plan",
    "describe_pretraining",
    "describe_reach",
    "describe_reason",
    "describe_resumption",
    "describe_search_end",
    "describe_seen",
    "describe_sharing",
    "describe_spent",
    "describe_treatment",
    "describe_trial",
    "describe_trial_end",
    "describe_usage",
    "describe_warm_start",
    "duration",
    "energy_unit",
    "estimate_interval",
    "fold_gaps",
    "format_bytes",
    "format_co2e",
    "format_config",
    "format_energy",
    "format_figure",
    "format_flop",
    "format_gain",
    "format_interval",
    "format_kwh",
    "format_moment",
    "format_p",
    "format_power",
    "format_range",
    "format_score",
    "format_score_interval",
    "format_sure",
    "named_score",
    "percent",
    "plural",
    "plural_of",
    "quantity",
    "score_title",
]
