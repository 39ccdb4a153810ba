"""The commands `predict` and `export`, which use the models of a search."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecoml.cli.options import Json, say
from ecoml.errors import DataError, UsageError

if TYPE_CHECKING:
    from ecoml.models import Prediction
    from ecoml.models.inputs import Input

RunOrModel = Annotated[Path, typer.Argument(metavar="RUN|MODEL", help="A run folder, or a model file of one.")]
TrialNumber = Annotated[int | None, typer.Option("--trial", metavar="N", help="[default: the recommended trial]")]
StepNumber = Annotated[
    int | None,
    typer.Option("--step", metavar="N", help="The step of its learning curve. [default: the last one saved]"),
]

_UNREADABLE = 2  # the exit code where some images could not be read


def predict(
    run: RunOrModel,
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGE…|FOLDER|FILE.npz", help="Images, folders of images, or .npz files with an array x."
        ),
    ],
    top: Annotated[int, typer.Option(min=1, metavar="K", help="Show the K most probable classes.")] = 1,
    evaluate: Annotated[
        bool,
        typer.Option(
            "--evaluate", help="Measure the accuracy: the images are in folders by class, or the .npz file has y."
        ),
    ] = False,
    trial: TrialNumber = None,
    step: StepNumber = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the predictions as CSV.")] = False,
    as_json: Json = False,
) -> None:
    """Predict the classes of images with a model of a search."""
    if as_csv and as_json:
        raise UsageError("--csv and --json exclude each other: give one of them")
    if top > 1 and evaluate and not (as_csv or as_json):
        raise UsageError("--top is about single images, which --evaluate lists with --csv or --json: add one of them")
    from ecoml.format import describe_seen
    from ecoml.models import load_model
    from ecoml.models.inputs import inputs_of, predicted, trained_on
    from ecoml.models.load import run_of

    model = load_model(run, trial, step=step)
    inputs = inputs_of(images, model, labelled=evaluate)
    good: list[tuple[Input, Prediction]] = []
    for given, found in predicted(inputs, model):
        if isinstance(found, DataError):
            say(str(found))
        else:
            good.append((given, found))
    if evaluate and (home := run_of(model.path)) is not None:
        for path in images:
            if (data := trained_on(path, home)) is not None:
                say(f"{path}: {describe_seen(data)}")
    _print(good, model.classes, top, evaluate=evaluate, as_csv=as_csv, as_json=as_json)
    if len(good) < len(inputs):
        say(f"{len(inputs) - len(good):,} of {len(inputs):,} images could not be read and are left out")
        raise typer.Exit(_UNREADABLE)


def _print(
    good: Sequence[tuple[Input, Prediction]],
    classes: tuple[str, ...],
    top: int,
    *,
    evaluate: bool,
    as_csv: bool,
    as_json: bool,
) -> None:
    evaluation = None
    if evaluate and good:
        from ecoml.models.evaluation import Evaluation

        given, found = zip(*good, strict=True)
        evaluation = Evaluation.of(given, found, classes)
    if as_json:
        told: dict[str, Any] = {"predictions": [_as_dict(image, prediction, top) for image, prediction in good]}
        print(json.dumps(told if evaluation is None else {"evaluation": evaluation.to_dict(), **told}, indent=2))
        return
    from ecoml.report.terminal.predictions import print_evaluation, print_predictions

    if as_csv:
        _print_csv(good, min(top, len(classes)), evaluate=evaluate)
    if evaluation is not None:
        with redirect_stdout(sys.stderr if as_csv else sys.stdout):
            print_evaluation(evaluation)
    elif good and not as_csv:
        print_predictions([(image.name, prediction) for image, prediction in good], top)


def _print_csv(good: Sequence[tuple[Input, Prediction]], top: int, *, evaluate: bool) -> None:
    further = [f"{name}_{place}" for place in range(2, top + 1) for name in ("class", "probability")]
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["image", *(["true_class"] if evaluate else []), "class", "probability", *further])
    for image, prediction in good:
        answers = [value for label, p in prediction.top(top) for value in (label, f"{p:.6f}")]
        writer.writerow([image.name, *([image.label] if evaluate else []), *answers])


def _as_dict(image: Input, prediction: Prediction, top: int) -> dict[str, Any]:
    told: dict[str, Any] = {"image": image.name, "class": prediction.label, "probability": prediction.probability}
    if image.label is not None:
        told["true_class"] = image.label
    if top > 1:
        told["top"] = [{"class": label, "probability": p} for label, p in prediction.top(top)]
    return told


def export(
    run: RunOrModel,
    to: Annotated[str, typer.Option(metavar="FORMAT", help="onnx, torch (a .pt2 program) or safetensors.")],
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder to write to. [default: in export/ of the run folder]"),
    ] = None,
    trial: TrialNumber = None,
    step: StepNumber = None,
    images: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Images to check on. [default: the test images]")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a model for programs without ecoml, checked against the original, with its model card."""
    from ecoml.models import load_model
    from ecoml.models.export import export_model
    from ecoml.models.inputs import inputs_of
    from ecoml.models.load import run_of

    model = load_model(run, trial, step=step)
    checked = None
    if images is not None:
        checked = model.preprocess([given.image for given in inputs_of([images], model, labelled=False)])
    home = run_of(model.path)
    name = f"{model.path.stem}-{to}"  # each format's own: a README.md is the card of one file
    folder = out or (Path(name) if home is None else home / "export" / name)
    exported = export_model(model, to, folder, checked)
    if as_json:
        print(json.dumps(exported.to_dict(), indent=2))
        return
    from ecoml.report.terminal.predictions import print_export

    print_export(exported)
