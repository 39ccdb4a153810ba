"""The data of an image training, and the recommended network's results on each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ecoml.format import describe_data, format_sure, percent, plural
from ecoml.report.page.document import Cell, Table
from ecoml.run.result import Result

MOST_CLASSES = 16
"""Up to this many classes, the confusion matrix is shown complete; otherwise only the most frequent mistakes."""

MOST_MISTAKES = 20


def data_context(result: Result) -> dict[str, Any] | None:
    """Sentences, classes and confusion; None if the training does not describe its data."""
    data = result.settings.get("data")
    if not data:
        return None
    best = result.recommended
    on_test = best is not None and bool(best.test_details)
    details = {} if best is None else best.test_details if on_test else best.curve[-1].details
    part = "test" if on_test else "validation"
    return {
        "told": describe_data(data, result.metric),
        "classes": _classes(data, details.get("recalls"), part),
        "confusion": _confusion(list(data["train"]), details.get("confusion"), part),
        "sure": None if best is None else _sure(result, data),
    }


def _sure(result: Result, data: Mapping[str, Any]) -> str:
    best, metric = result.recommended, result.metric
    assert best is not None, "only of a recommended network there is something to say"
    told = f"{format_sure(metric, best.score, data)} on {plural(data['validation_images'], 'validation image')}"
    if best.test_score is not None:
        test = format_sure(metric, best.test_score, data, "test")
        told += f", and {test} on {plural(data['test_images'], 'test image')} that no choice has seen"
    return (
        f"The recommended network reaches {told}; in brackets the 95 % confidence interval of its true score. The"
        " search chose by the validation images, so the score on these tends to be too high, and more so the fewer they"
        " are."
    )


def _classes(data: Mapping[str, Any], recalls: Sequence[float | None] | None, part: str) -> Table:
    parts = ["train", "validation", "test"]
    rows = [
        [
            name,
            *(Cell(f"{count:,}", count) for count in (data.get(of, {}).get(name, 0) for of in parts)),
            *([Cell(percent(recalls[label], 1), recalls[label])] if recalls else []),
        ]
        for label, name in enumerate(data["train"])
    ]
    recognised = [f"Recall ({part})"] if recalls else []
    caption = f"Images of each class{', and how many the recommended network recognises' if recalls else ''}"
    header = ["Class", "Trained on", "Validated on", "Tested on", *recognised]
    return Table(caption, header, rows, numeric=range(1, len(header)), sortable=True)


def _confusion(names: Sequence[str], cells: Sequence[Sequence[int]] | None, part: str) -> Table | None:
    if not cells:
        return None
    if len(names) <= MOST_CLASSES:
        counts = {(truth, predicted): count for truth, predicted, count in cells}
        labels = range(len(names))
        rows = [
            [
                name,
                *(
                    Cell(f"{count:,}", css="" if truth == predicted else "chosen") if count else None
                    for predicted in labels
                    if (count := counts.get((truth, predicted), 0)) is not None
                ),
            ]
            for truth, name in enumerate(names)
        ]
        caption = f"Confusion matrix of the recommended network, {part} images: rows are true classes, columns answers"
        return Table(caption, ["", *names], rows, numeric=range(1, len(names) + 1))
    mistakes = sorted((cell for cell in cells if cell[0] != cell[1]), key=lambda cell: -cell[2])[:MOST_MISTAKES]
    caption = f"The recommended network's commonest mistakes, {part} images"
    table = [[names[truth], names[answer], f"{count:,}"] for truth, answer, count in mistakes]
    return Table(caption, ["Class", "Taken for", "Images"], table, numeric=(2,)) if mistakes else None
