"""A model's predictions, and its accuracy on labelled images, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ecoml.format import percent, plural
from ecoml.report.terminal.summary import console, print_table

if TYPE_CHECKING:
    from ecoml.models.evaluation import Evaluation
    from ecoml.models.export import Exported
    from ecoml.models.model import Prediction

_MATRIX = 12
"""Up to this many classes, the confusion matrix is shown complete; otherwise only the most frequent mistakes."""

_MISTAKES = 10


def print_predictions(rows: Sequence[tuple[str, Prediction]], top: int) -> None:
    """Print a line for each image: its class, the probability, and the next probable classes."""
    others = ["or else"] if top > 1 else []

    def cells(name: str, prediction: Prediction) -> list[str]:
        rest = ", ".join(f"{label} {percent(p, 1)}" for label, p in prediction.top(top)[1:])
        return [prediction.label, percent(prediction.probability, 1), *([rest] if others else []), name]

    header = ["class", "probability", *others, "image"]
    print_table(header, [cells(name, prediction) for name, prediction in rows], numeric=(1,))


def print_evaluation(evaluation: Evaluation) -> None:
    """Print the accuracy with its interval, the results of each class, and the confusion matrix."""
    out, confusion = console(), evaluation.confusion
    low, high = evaluation.interval
    out.print(
        f"Accuracy {percent(confusion.accuracy)}: {evaluation.right:,} of {plural(evaluation.images, 'image')}, between"
        f" {percent(low, 1)} and {percent(high, 1)} (95 %)",
        style="bold",
    )
    out.print(
        f"Balanced accuracy {percent(confusion.balanced_accuracy)}, macro F1 {percent(confusion.macro_f1)};"
        f" the answers' mean probability is {percent(evaluation.sureness)}"
    )
    out.print()
    counts = confusion.counts
    print_table(
        ("recall", "precision", "images", "class"),
        [
            (percent(recall, 1), percent(precision, 1), f"{counts[index].sum():,}", name)
            for index, (name, recall, precision) in enumerate(
                zip(evaluation.classes, confusion.recalls, confusion.precisions, strict=True)
            )
        ],
        numeric=(0, 1, 2),
    )
    out.print()
    if len(evaluation.classes) <= _MATRIX:
        out.print("Predicted classes (columns, by number) of each true class (rows):")
        numbers = [str(place) for place, _ in enumerate(evaluation.classes, 1)]
        rows = [
            [*(str(count or "·") for count in row), f"{number}  {name}"]
            for row, number, name in zip(counts, numbers, evaluation.classes, strict=True)
        ]
        print_table([*numbers, ""], rows, numeric=range(len(numbers)))
    elif mistakes := evaluation.confusion.mistakes(evaluation.classes, _MISTAKES):
        out.print("The most frequent mistakes:")
        print_table(
            ("images", "predicted as", "class"), [(str(n), answer, true) for true, answer, n in mistakes], numeric=(0,)
        )


def print_export(exported: Exported) -> None:
    """Print how closely an export agrees with its model, and the export's files."""
    out = console()
    what = plural(exported.images, "test image" if exported.real else "image")
    noise = "" if exported.real else " of noise, because the data are not available (give others with --images FOLDER)"
    out.print(
        f"Checked on {what}{noise}, by {exported.checked_by}: probabilities differ by"
        f" {exported.difference:.1e} at most, logits by {exported.logit_difference:.1e}"
    )
    for path in exported.files:
        out.print(str(path), markup=False, soft_wrap=True)
