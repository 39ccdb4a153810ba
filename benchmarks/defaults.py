"""Compare candidates for the default configuration of `cnn-small`: scores and joules of whole trainings.

    python benchmarks/defaults.py [--data digits,fashion-mnist-2000,…] [--candidates …] [--seeds 3] [--out DIR]

A candidate is the space's default with some values changed. Its row has, for each data set, the mean validation and
test accuracy at the end of a training and its joules, on this host's meter. `--data` takes `digits`, or a name or a
folder that ecoml reads. With -N at its end, N of its images are used for training, and 1,000 others for validation.
Every training is a line in OUT/trainings.jsonl, and is not repeated by the next call.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported, so that trainings use one thread

import argparse
import json
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from strategy_real import data_file

import ecoml
from ecoml.meter import open_meter
from ecoml.space import Space
from ecoml.training.base import NoAccount
from ecoml.trial import Config, Trial

CANDIDATES: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    "width 8": {"width": 8},
    "width 24": {"width": 24},
    "depth 3": {"depth": 3},
    "growth 1.25": {"growth": 1.25},
    "growth 2": {"growth": 2.0},
    "kernel 5": {"kernel": 5},
    "residual": {"block": "residual"},
    "flatten": {"head": "flatten"},
    "rate 0.05": {"learning_rate": 0.05},
    "rate 0.2": {"learning_rate": 0.2},
    "adamw 0.003": {"optimizer": "adamw", "learning_rate": 3e-3},
    "decay 1e-4": {"weight_decay": 1e-4},
    "decay 5e-3": {"weight_decay": 5e-3},
    "triangle": {"schedule": "triangle"},
    "batch 128": {"batch_size": 128},
}
"""The values of each candidate that differ from the default."""

Row = dict[str, Any]


def trained(training: ecoml.CnnTraining, config: Config, number: int, folder: Path) -> Row:
    """Validation and test accuracy at the end of a whole training, and its joules."""
    with open_meter(gpus=training.gpus()) as meter:
        run = training.start(Trial(number, config), NoAccount())
        try:
            with meter.window() as window:
                validation = [measurement.score for measurement in _steps(run)][-1]
                taken = window.lap().total
            path = folder / "model.safetensors"
            training.save(run, Trial(number, config), path)
        finally:
            run.close()
    return {
        "validation": validation,
        "test": training.test(path).score,
        "energy_j": taken.energy_j,
        "provenance": taken.provenance.value,
    }


def _steps(run: Any) -> Iterator[Any]:
    while True:
        try:
            yield next(run)
        except StopIteration:
            return


def candidates(space: Space, names: Sequence[str]) -> dict[str, Config]:
    """The candidates' configurations, by name."""
    configs = {"middle": space.decode(np.full(space.dimension, 0.5))}
    for name, changes in CANDIDATES.items():
        config = {**(space.default or {}), **changes}
        configs[name] = {
            key: value for key, value in config.items() if key != "momentum" or config["optimizer"] == "sgd"
        }
        space.validate(configs[name])
    return {name: config for name, config in configs.items() if name in names or not names}


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    lines = options.out / "trainings.jsonl"
    rows = [json.loads(line) for line in lines.read_text("utf-8").splitlines()] if lines.is_file() else []
    done = {(row["data"], row["candidate"], row["seed"]) for row in rows}
    space = ecoml.load_space("cnn-small")
    wanted = candidates(space, options.candidates)
    for seed in range(options.seeds):
        for data in options.data:
            training = ecoml.CnnTraining(data_file(data, options.out), threads=1, seed=seed)
            training.prepare(space)
            for name, config in wanted.items():
                if (data, name, seed) in done:
                    continue
                row = {"data": data, "candidate": name, "seed": seed, **trained(training, config, seed, options.out)}
                rows.append(row)
                with lines.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
    print(table(rows, list(wanted), options.data))
    return 0


def table(rows: Sequence[Row], names: Sequence[str], data: Sequence[str]) -> str:
    """A row for each candidate: validation and test accuracy in percent, and joules; means over the seeds."""
    kinds = ", ".join(sorted({row["provenance"] for row in rows}))
    header = ["", *(f"{Path(name).name}: validation, test, J ({kinds})" for name in data)]
    told = ["| " + " | ".join(header) + " |", "|---" * len(header) + "|"]
    for name in names:
        cells = []
        for of in data:
            found = [row for row in rows if (row["data"], row["candidate"]) == (of, name)]
            means = [statistics.mean(row[key] for row in found) for key in ("validation", "test", "energy_j")]
            cells.append(f"{100 * means[0]:.1f}, {100 * means[1]:.1f}, {means[2]:.0f}")
        told.append("| " + " | ".join([name, *cells]) + " |")
    return "\n".join(told)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=_names, default=["digits", "fashion-mnist-2000"])
    parser.add_argument("--candidates", type=_names, default=[], help="only these")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/defaults"))
    return parser


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


if __name__ == "__main__":
    raise SystemExit(main())
