"""RQ1: grid, random and Bayesian search over the parameters of Adam, for three networks.

OUT/DATA-NETWORK-Nhp/        one comparison (see `ecoml.experiments.compare.plan`), one run folder per search
OUT/strategies/*.toml        the three strategies, with their rounds and repetitions
OUT/repetitions.csv          every training
OUT/compare.html, figures/   energy to target over all settings, and best accuracy against rounds
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from ecoml.experiments.compare.comparison import compare_searches
from ecoml.experiments.compare.plan import ComparisonPlan, Task
from ecoml.experiments.compare.running import run_plan, searches_with
from ecoml.experiments.paper.networks import FAMILIES
from ecoml.experiments.paper.rounds import in_rounds, write_repetitions
from ecoml.experiments.paper.rq1_result import Rq1, Setting
from ecoml.experiments.paper.study import Study
from ecoml.run.result import Result

STRATEGIES = ("random", "grid", "bo")
"""The strategies in the order of the study's table."""

PARAMETERS = (5, 3)


def run_rq1(
    study: Study,
    out: Path,
    *,
    budget_j: float,
    seeds: int = 1,
    networks: Sequence[str] = FAMILIES,
    parameters: Sequence[int] = PARAMETERS,
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
        say: Receives progress messages, one line each.

    Raises:
        UsageError: An argument cannot be used.
        RunFolderError: The folder holds another run.
        KeyboardInterrupt: Ctrl-C was pressed; all measurements are saved.
    """
    files = _strategies(study, out / "strategies")
    settings = []
    for network in networks:
        for count in parameters:
            problem = f"{study.name}/{network}/{count}hp"
            folder = out / problem.replace("/", "-")
            say(f"{problem}:")
            space = study.space(count, {"network": network, "conv": 2, "linear": 3, "relu": "yes"})
            task = Task(space, study.executor, budget_j)
            run_plan(ComparisonPlan(folder, files, seeds, task), searches_with(task), say)
            found = {
                name: [
                    in_rounds(
                        Result.load(folder / name / f"seed-{seed}"),
                        name,
                        problem,
                        study.scale.times,
                        as_published=study.as_published,
                    )
                    for seed in range(seeds)
                ]
                for name in files
            }
            settings.append(Setting(network, count, problem, found))
    return _together(study, settings, out)


def _together(study: Study, settings: Sequence[Setting], out: Path) -> Rq1:
    from ecoml.experiments.compare.files import write_comparison
    from ecoml.experiments.paper.rq1_charts import save_round_charts
    from ecoml.experiments.paper.rq1_tables import rq1_dict

    everything = [search for setting in settings for found in setting.searches.values() for search in found]
    comparison = compare_searches([found.search for found in everything], reference="random")
    page = write_comparison(comparison, out)
    write_repetitions(everything, out / "repetitions.csv")
    result = Rq1(study, tuple(settings), comparison, page)
    save_round_charts(result, out / "figures")
    (out / "rq1.json").write_text(json.dumps(rq1_dict(result), indent=2) + "\n", encoding="utf-8")
    return result


def _strategies(study: Study, folder: Path) -> dict[str, Path | str]:
    """Strategy files with the rounds and repetitions of the scale."""
    import tomli_w

    size = study.scale
    repeat = {"times": size.times, "rounds": size.rounds, "count_failures": not study.as_published}
    grid = {"levels": 5, "endpoints": "lower", "order": "random", "subset": size.rounds}
    tables: dict[str, dict[str, object]] = {
        "random": {"strategy": "random"},
        "grid": {"strategy": "grid", "settings": grid},
        "bo": {"strategy": "paper-bo", "settings": {"inputs": "unscaled" if study.as_published else "scaled"}},
    }
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, Path | str] = {}
    for name in STRATEGIES:
        path = folder / f"{name}.toml"
        path.write_text(tomli_w.dumps({**tables[name], "repeat": repeat}), encoding="utf-8")
        files[name] = path
    return files
