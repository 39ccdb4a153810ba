"""Which parameters mattered, as a section of a page."""

from __future__ import annotations

from ecoml.report.charts.importance import Importance, Untold, importances
from ecoml.report.page.document import Cell, Html, Sortable, element, percent, section, table
from ecoml.run.result import Result


def importance_section(result: Result) -> Html | None:
    """A table of parameters with their shares for accuracy and for energy; None without a measurement."""
    if not result.front:
        return None
    score, energy = importances(result.trials, f"{result.step_name}s trained")
    told = [(title, found) for title, found in _titled(score, energy) if isinstance(found, Importance)]
    untold = [
        f"What decides the {title} cannot be told: {found.why}."
        for title, found in _titled(score, energy)
        if isinstance(found, Untold)
    ]
    if not told:
        both = score == energy and isinstance(score, Untold)
        texts = [f"That cannot be told here: {score.why}."] if both and isinstance(score, Untold) else untold
        return section("importance", "What mattered", *(element("p", text) for text in texts))
    names = dict.fromkeys(name for _, found in told for name in found.shares)
    ranked = sorted(names, key=lambda name: -max(found.shares[name] for _, found in told))
    rows: list[list[Cell]] = [[name, *(_share(found, name) for _, found in told)] for name in ranked]
    known = " and ".join(f"{percent(found.explained, 0)} of the {title}" for title, found in told)
    text = (
        "Share of the differences between trials that goes back to each parameter, alone or together with others. A"
        f" random forest explains {known} of {told[0][1].trials} trials, each predicted from others. A share that is"
        " not larger than its ± cannot be told from nothing. It is about the trials of this search: what it hardly"
        " varied cannot matter here."
    )
    return section(
        "importance",
        "What mattered",
        element("p", text),
        *(element("p", line) for line in untold),
        table(
            ["Parameter", *(f"For the {title}" for title, _ in told)],
            rows,
            caption="Total effect of each parameter, ± its standard error",
            sortable=True,
        ),
    )


def _titled(
    score: Importance | Untold, energy: Importance | Untold
) -> tuple[tuple[str, Importance | Untold], tuple[str, Importance | Untold]]:
    return ("accuracy", score), ("energy", energy)


def _share(found: Importance, name: str) -> Sortable:
    share, spread = found.shares[name], found.spread[name]
    bar = f'<span class="share" style="--share:{min(1.0, share):.3f}" aria-hidden="true"></span>'
    faint = " none" if share <= spread else ""
    words = f'<span class="amount{faint}">{percent(share, 0)} ± {100 * spread:.0f}</span>'
    return Sortable(Html(bar + words), share)
