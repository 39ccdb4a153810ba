"""RQ1: grid, random and Bayesian search over the parameters of Adam, for three networks.

OUT/DATA-NETWORK-Nhp/        one comparison (see `ecoml.experiments.compare.plan`), one run folder per search
OUT/strategies/*.toml        the three strategies, with their rounds and repetitions
OUT/repetitions.csv          every training
OUT/compare.html, figures/   energy to target over all settings, and best accuracy against rounds
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import altair as alt

from ecoml.errors import RunFolderError
from ecoml.experiments.compare.comparison import Comparison, compare_searches
from ecoml.experiments.compare.files import write_comparison
from ecoml.experiments.compare.plan import ComparisonPlan, Task
from ecoml.experiments.compare.running import check_question, run_plan, searches_with
from ecoml.experiments.paper.figures import TABLE_III
from ecoml.experiments.paper.networks import FAMILIES
from ecoml.experiments.paper.rounds import TOLERANCE, RoundSearch, in_rounds, middle, write_repetitions
from ecoml.experiments.paper.study import Study
from ecoml.experiments.tables import NOTHING, table_of
from ecoml.format import format_energy, percent
from ecoml.outside.folders import write_whole
from ecoml.report.charts.drawing import PRINT, finish, layer_of
from ecoml.report.charts.figures import save_figure
from ecoml.report.charts.scores import score_axis
from ecoml.report.page.document import Table
from ecoml.report.page.writing import OTHER_FOLDER, check_writable, writing
from ecoml.run.result import Result

STRATEGIES = ("random", "grid", "bo")
"""The strategies in the order of the study's table."""

PARAMETERS = (5, 3)


@dataclass(frozen=True, slots=True)
class Setting:
    """One network with one space.

    Attributes:
        network: One of `FAMILIES`.
        parameters: Number of searched parameters.
        problem: Its name in a comparison.
        searches: Strategy → its searches, by seed.
    """

    network: str
    parameters: int
    problem: str
    searches: dict[str, list[RoundSearch]] = field(repr=False)

    @property
    def medians(self) -> dict[str, RoundSearch]:
        """For each strategy, the search of the median seed."""
        return {name: middle(found) for name, found in self.searches.items()}


@dataclass(frozen=True, slots=True)
class Rq1:
    """The result.

    Attributes:
        study: Data, scale and training.
        settings: One per network and space.
        comparison: All of them, by energy to target.
        page: The comparison's page.
    """

    study: Study
    settings: tuple[Setting, ...]
    comparison: Comparison
    page: Path


def run_rq1(
    study: Study,
    out: Path,
    *,
    budget_j: float,
    seeds: int = 1,
    networks: Sequence[str] = FAMILIES,
    parameters: Sequence[int] = PARAMETERS,
    targets: Sequence[float] = (),
    say: Callable[[str], None] = lambda _line: None,
) -> Rq1:
    """Run the missing searches, and combine the results. After a stop, the same call continues.

    Args:
        study: Data, scale and training.
        out: Its folder.
        budget_j: Energy budget of each search in joules.
        seeds: Number of searches per strategy, from seed 0 on; the study had one.
        networks: Some of `FAMILIES`.
        parameters: Some of `PARAMETERS`.
        targets: As in `compare_searches`.
        say: Receives progress messages, one line each.

    Raises:
        UsageError: An argument cannot be used.
        RunFolderError: The folder holds another run; nothing was trained.
        KeyboardInterrupt: Ctrl-C was pressed; all measurements are saved.
    """
    files = _written_strategies(_strategies(study), study, out)
    plans = {}
    for network, count in itertools.product(dict.fromkeys(networks), dict.fromkeys(parameters)):
        space = study.space(count, {"network": network, "conv": 2, "linear": 3, "relu": "yes"})
        folder = out / f"{study.name}-{network}-{count}hp"
        plans[network, count] = ComparisonPlan(folder, files, seeds, Task(space, study.executor, budget_j))
    for plan in plans.values():
        check_question(plan, targets, None)
    fresh = [plan for plan in plans.values() if not plan.kept]  # each refuses the folder of another plan
    for plan in fresh[:1]:
        study.executor.prepare(plan.task.space)  # refuses a device before a plan names it
    settings = []
    for (network, count), plan in plans.items():
        problem = f"{study.name}/{network}/{count}hp"
        say(f"{problem}:")
        run_plan(plan, searches_with(plan.task), say)
        found: dict[str, list[RoundSearch]] = {name: [] for name in files}
        for name in files:
            for seed in range(seeds):
                result = Result.load(plan.out / name / f"seed-{seed}")
                times, published = study.scale.times, study.as_published
                found[name].append(in_rounds(result, name, problem, times, as_published=published))
        settings.append(Setting(network, count, problem, found))
    return _together(study, settings, targets, out)


def _together(study: Study, settings: Sequence[Setting], targets: Sequence[float], out: Path) -> Rq1:
    everything = [search for setting in settings for found in setting.searches.values() for search in found]
    comparison = compare_searches([found.search for found in everything], targets=targets, reference="random")
    page = write_comparison(comparison, out)
    result = Rq1(study, tuple(settings), comparison, page)
    with writing(out, OTHER_FOLDER):
        write_repetitions(everything, out / "repetitions.csv")
        for setting in settings:
            _save_round_chart(setting, out / "figures")
        (out / "rq1.json").write_text(json.dumps(rq1_dict(result), indent=2) + "\n", encoding="utf-8")
    return result


def _written_strategies(texts: Mapping[str, str], study: Study, out: Path) -> dict[str, Path | str]:
    """Write the strategy files and the cut data; a folder with other strategies is refused before anything is written.

    Returns:
        Strategy → its file.
    """
    files: dict[str, Path | str] = {}
    for name, text in texts.items():
        path = out / "strategies" / f"{name}.toml"
        if path.is_file() and path.read_text(encoding="utf-8") != text:
            raise RunFolderError(f"{out}: holds another run (its strategies are different); choose another --out")
        files[name] = path
    check_writable(out / "strategies", OTHER_FOLDER)
    study.write_data()
    with writing(out, OTHER_FOLDER):
        for name, text in texts.items():
            write_whole(out / "strategies" / f"{name}.toml", text)
    return files


def _strategies(study: Study) -> dict[str, str]:
    """Strategy files with the rounds and repetitions of the scale: name → content."""
    import tomli_w

    size = study.scale
    repeat = {"times": size.times, "rounds": size.rounds, "count_failures": not study.as_published}
    grid = {"levels": 5, "endpoints": "lower", "order": "random", "subset": size.rounds}
    tables: dict[str, dict[str, object]] = {
        "random": {"strategy": "random"},
        "grid": {"strategy": "grid", "settings": grid},
        "bo": {"strategy": "paper-bo", "settings": {"inputs": "unscaled" if study.as_published else "scaled"}},
    }
    return {name: tomli_w.dumps({**tables[name], "repeat": repeat}) for name in STRATEGIES}


def table_iii(result: Rq1) -> Table:
    """Best accuracy and its round, published and here, and the start of the plateau."""
    rows = []
    for row in rows_of(result):
        published = row["published"]
        rows.append(
            (
                row["network"],
                str(row["parameters"]),
                row["strategy"],
                NOTHING if published is None else f"{percent(published['score'], 1)} ({published['round']})",
                f"{percent(row['score'], 1)} ({row['round']})",
                str(row["plateau_round"]),
                format_energy(row["plateau_j"]),
                format_energy(row["spent_j"]),
                f"{format_energy(row['training_j'])} ({row['provenance']})",
            )
        )
    header = ("Network", "Parameters", "Strategy", "Published (round)", "Here (round)", "Plateau from round")
    about_search = ("Energy to plateau", "Energy of the search", "Energy a training")
    return table_of(f"Table III: best accuracy. {about(result)}", (*header, *about_search), rows, names=3)


def about(result: Rq1) -> str:
    """The origin of the two columns of accuracies, and their differences."""
    study = result.study
    size = study.scale.in_words(rounds=True)
    where = "the test set, as published" if study.as_published else "validation images"
    told = f"Here: {study.name}, accuracy on {where}, mean over {study.scale.times} repetitions"
    told += f"; the size differs: {size}" if size else "; the size is the study's"
    seeds = max(len(found) for setting in result.settings for found in setting.searches.values())
    told += f"; the median of {seeds} seeds" if seeds > 1 else ""
    joules = "trainings alone, one per round" if study.as_published else "that of the entire search"
    return f"{told}. The plateau starts when at most {100 * TOLERANCE:g} points are left to gain; energy is {joules}."


def rows_of(result: Rq1) -> list[dict[str, Any]]:
    """One row per network, space and strategy."""
    rows = []
    for setting in result.settings:
        for strategy, found in setting.medians.items():
            published = TABLE_III.get(result.study.name, {}).get(setting.network, {}).get(strategy, {})
            known = published.get(setting.parameters)
            progress = found.search.progress
            rows.append(
                {
                    "network": setting.network,
                    "parameters": setting.parameters,
                    "strategy": strategy,
                    "published": None if known is None else known._asdict(),
                    "score": found.best,
                    "round": found.best_round,
                    "plateau_round": found.plateau_round,
                    "plateau_j": found.spent_j(found.plateau_round),
                    "spent_j": found.search.spent.energy_j,
                    "training_j": fmean(entry.point.energy_j for entry in progress) if progress else 0.0,
                    "rounds": len(progress),
                    "provenance": found.search.provenance.value,
                }
            )
    return rows


def rq1_dict(result: Rq1) -> dict[str, Any]:
    """The result as a JSON object."""
    return {
        "data": result.study.name,
        "as_published": result.study.as_published,
        "size_differs": result.study.scale.in_words(rounds=True),
        "tolerance": TOLERANCE,
        "table_iii": rows_of(result),
        "report": str(result.page),
    }


def _save_round_chart(setting: Setting, folder: Path) -> None:
    """Write the best mean accuracy after each round, of the median seed, as `rounds-NETWORK-Nhp` in three formats."""
    records = [
        {"strategy": strategy, "round": number, "score": score}
        for strategy, found in setting.medians.items()
        for number, score in enumerate(found.best_so_far, start=1)
    ]
    names = list(setting.searches)
    colour = alt.Color(
        "strategy:N",
        scale=alt.Scale(domain=names, range=list(PRINT.series[: len(names)])),
        legend=alt.Legend(orient="top", title=None),
    )
    x = alt.X("round:Q", title=f"Round ({setting.problem})", axis=alt.Axis(tickMinStep=1))
    (metric,) = {found.search.metric for found in setting.medians.values()}
    scores = [score for found in setting.medians.values() for score in found.best_so_far]
    axis = score_axis(metric, scores, f"Best mean {metric.name} so far")
    line = layer_of(axis.placed(records)).mark_line(interpolate="step-after", strokeWidth=2)
    line = line.encode(x=x, y=axis.y, color=colour)
    chart = finish([line], PRINT, height=240)
    save_figure(chart, folder / f"rounds-{setting.network.lower()}-{setting.parameters}hp")
