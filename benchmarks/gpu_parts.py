"""The parts of `gpu_check.py` that train. Each yields its findings one by one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import executor_steps as steps
import executor_ways as ways
import numpy as np
from gpu_finding import ROOT, Finding, Where

from ecoml.training.base import NoAccount

RECIPES: dict[str, dict[str, Any]] = {
    "sgd": {},
    "adamw": {"optimizer": "adamw", "learning_rate": 0.002},
    "separable": {"block": "separable", "schedule": "triangle"},
    "residual": {"block": "residual", "skip_easy": 0.5, "start_resolution": 0.7},
    "augmentation": {"shift": 2, "cutout": 4, "dropout": 0.2},
}
BASE = {**ways.RECIPE, "width": 16, "depth": 3, "batch_size": 512, "epochs": 3, **ways.FULL}
ON_A_CPU = {"width": 8, "depth": 2, "batch_size": 64}
BUDGET_KWH = {"mo-asha": 0.002, "bayes": 0.001}


def config_of(where: Where, **changes: Any) -> dict[str, Any]:
    """The configuration of most parts; smaller without a GPU."""
    return BASE | ({} if where.cuda else ON_A_CPU) | changes


def task_of(where: Where, *, deterministic: bool = False) -> Any:
    """The data on the device."""
    from ecoml.training.images.data.loader import load
    from ecoml.training.images.worker import device
    from ecoml.training.images.worker.workload import Workload

    device.set_determinism(deterministic)
    workload = Workload(where.data, where.data_dir, False, where.device, 0, 1, True, 0.2, deterministic)
    folder = None if where.data_dir is None else Path(where.data_dir)
    return device.task_of(load(where.data, folder, download=False), workload)


def executor_of(where: Where) -> Any:
    """The built-in training, prepared."""
    import ecoml

    executor = ecoml.CnnTraining(where.data, data_dir=where.data_dir, download=False, device=where.device)
    executor.prepare()
    return executor


def the_same_steps(where: Where) -> Iterator[Finding]:
    """Recorded against eager steps, suspended against uninterrupted trainings, tensor by tensor; bfloat16 against
    float32.
    """
    from ecoml.training.images.worker.loop import Training

    task = task_of(where, deterministic=True)
    recipes = ["sgd", "residual"] if where.quick else list(RECIPES)
    for recipe in recipes:
        config = config_of(where, **RECIPES[recipe])
        pair = [steps.training_of(task, config, recorded=recorded) for recorded in (True, False)]
        for training in pair:
            while training.advance() is not None:
                pass
        apart = steps.apart(*pair)
        figure = "bit for bit" if apart == 0 else f"{apart:.1g} apart"
        figure += "" if pair[0].recorded else f", not recorded: {pair[0].unrecorded or 'too few steps'}"
        yield Finding(f"recorded = eager, {recipe}", figure, "bit for bit", apart == 0 and pair[0].recorded)
        left = steps.training_of(task, config, recorded=True)
        while left.advance() is not None:
            left.checkpoint(where.out / "left")
            left.release()
            left = steps.training_of(task, config, recorded=True)
            left.restore(where.out / "left")
        apart = steps.apart(left, pair[0])
        figure = "bit for bit" if apart == 0 else f"{apart:.1g} apart"
        yield Finding(f"left = never left, {recipe}", figure, "bit for bit", apart == 0)
    (where.out / "left").unlink(missing_ok=True)
    task = task_of(where)
    accuracies = {}
    for bf16 in (True, False):
        training = Training(replace(task, bf16=bf16), 0, config_of(where, width=32), NoAccount())
        found = [each.accuracy for each in iter(training.advance, None)]
        accuracies[bf16] = found[-1]
    close = abs(accuracies[True] - accuracies[False]) <= 0.02
    yield Finding("bfloat16, float32", f"{accuracies[True]:.1%}, {accuracies[False]:.1%}", "within 2 points", close)


def random_configurations(where: Where) -> Iterator[Finding]:
    """Thirty random configurations, an epoch each: are all recorded, how long does it take, does memory stay taken?"""
    from ecoml import load_space
    from ecoml.training.images.steps.recording import WORTH_STEPS
    from ecoml.training.images.worker.loop import Training

    task, space = task_of(where), load_space("cnn" if where.cuda else "cnn-small")
    random, count = np.random.default_rng(0), 3 if where.quick else 30
    took_s: list[float] = []
    held: list[float] = []
    enough, recorded, epochs = 0, 0, 1 if where.cuda else 6
    failed: list[str] = []
    for number in range(count):
        config = {**space.sample(random), "epochs": epochs}
        training: Any = Training(task, number, config, NoAccount())
        training.equal_batches = True
        training.recorder = Timed(training.recorder or steps.Repeating(), took_s)
        while training.advance() is not None:
            pass
        batch = min(config.get("batch_size", 128), len(task.train))
        if epochs * (len(task.train) // batch) >= 2 * WORTH_STEPS:  # because skip_easy leaves some images out
            enough += 1
            recorded += training.recorded
            failed += [training.unrecorded] * bool(training.unrecorded)
        training.release()
        del training
        held.append(_held_mib(where))
    why = f": {failed[0]}" if failed else ""
    all_of_them = recorded == enough if enough else None
    yield Finding("recorded, of those long enough", f"{recorded} of {enough}{why}", "all", all_of_them)
    third = max(1, count // 3)
    growth = max(held[-third:]) - max(held[:third])
    yield Finding("memory that stays taken", f"{growth:+.0f} MiB from first to last third", "≤ 64 MiB", growth <= 64)
    if took_s:
        yield Finding("a recording", f"{1000 * float(np.median(took_s)):.0f} ms, at most {1000 * max(took_s):.0f} ms")


class Timed:
    """A recorder that stores the time of each recording."""

    def __init__(self, recorder: Any, took_s: list[float]) -> None:
        self._recorder = recorder
        self._took_s = took_s
        self.aside, self.strictly, self.release = recorder.aside, recorder.strictly, recorder.release

    def record(self, step: Callable[[], None], count: int) -> Callable[[], None]:
        began_s = time.perf_counter()
        play: Callable[[], None] = self._recorder.record(step, count)
        self._took_s.append(time.perf_counter() - began_s)
        return play


def _held_mib(where: Where) -> float:
    """The device's memory in use; on a CPU, the memory of this process."""
    if where.cuda:
        import torch

        return float(torch.cuda.memory_allocated()) / 2**20
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def marked_tests(where: Where) -> Iterator[Finding]:
    """The tests that need a GPU: killed worker, device assertion, exhausted memory, budget, meters."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-vv",
        "-m",
        "gpu",
        "-p",
        "no:cacheprovider",
        "tests/training/test_gpu.py",
    ]
    environment = {**os.environ, "ECOML_TEST_DEVICE": where.device}
    ran = 0
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None, "it is a pipe"
        for line in child.stdout:
            print(line, end="", flush=True)
            if told := re.match(r"\S+::test_(\S+) (PASSED|FAILED|ERROR|SKIPPED)", line):
                ran += told[2] != "SKIPPED"
                holds = None if told[2] == "SKIPPED" else told[2] == "PASSED"
                yield Finding(told[1].replace("_", " "), told[2].lower(), "passed", holds)
    yield Finding("tests marked gpu", f"{ran} ran", "≥ 1", child.returncode == 0 and ran > 0)


def search(strategy: str, where: Where) -> Iterator[Finding]:
    """A search of `BUDGET_KWH`; a hundredth of it without a GPU."""
    import ecoml
    from ecoml.energy import J_PER_KWH, Purpose
    from ecoml.format import format_energy, percent

    executor = ecoml.CnnTraining(where.data, data_dir=where.data_dir, download=False, device=where.device)
    budget_j = BUDGET_KWH[strategy] * J_PER_KWH * (1.0 if where.cuda else 0.01 if where.quick else 0.03)
    folder = where.out / f"run-{strategy}-{time.strftime('%H%M%S')}"
    space = ecoml.load_space("cnn" if where.cuda else "cnn-small")
    searcher = ecoml.Searcher(space, executor, budget_j=budget_j, strategy=strategy, directory=folder, spend_all=True)
    try:
        result = searcher.run()
    except KeyboardInterrupt:  # its time limit has passed
        result = ecoml.Result.load(folder)
    energy = result.energy
    total_j = energy.total_j
    yield Finding(f"spent of {format_energy(budget_j)}", format_energy(total_j), "no more", total_j <= budget_j)
    for purpose in Purpose:
        part_j = energy.by_purpose[purpose].energy_j
        yield Finding(f"{purpose.value}", f"{format_energy(part_j)}, {percent(part_j / total_j, 1)}")
    yield Finding("the account's source", energy.provenance.value, "measured", energy.provenance == "measured" or None)
    failed = sum(trial.state == "failed" for trial in result.trials)
    yield Finding("trials, failed of them", f"{len(result.trials)}, {failed}", "none failed", failed == 0)
    zero = sum(point.energy.energy_j <= 0 for trial in result.trials for point in trial.curve)
    yield Finding("points without joules", str(zero), "0", zero == 0)
    best = max((trial.score for trial in result.trials if trial.curve), default=0.0)
    yield Finding("best validation accuracy", f"{best:.1%}", "≥ 80 %", best >= 0.8 or (None if where.quick else False))
    for gap in energy.gaps:
        yield Finding("said in the result", gap)


def against_loops(where: Where) -> Iterator[Finding]:
    """Joules and accuracy of ecoml against the plain and the tuned loop, each in a process of its own."""
    import argparse
    import tempfile

    import executor

    given = argparse.Namespace(device=where.device, threads=None, least_seconds=0.0 if where.quick else 5.0)
    config = config_of(where, epochs=1 if where.quick else 2)
    for key in ways.FULL:
        del config[key]
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "data.npz"
        executor._write(where.data, None if where.data_dir is None else Path(where.data_dir), None, file)
        for way in ("plain", "tuned", "ecoml"):
            run = found[way] = executor._apart(way, file, config, 0, given)
            ratio = run["energy_j"] / found["plain"]["energy_j"]
            wanted, holds = ("≤ 1/8", ratio <= 1 / 8) if way == "ecoml" and where.cuda else ("", None)
            figure = f"{run['energy_j']:.1f} J, {run['wall_s']:.2f} s, {run['accuracy']:.1%}; {ratio:.3f}"
            yield Finding(f"{way}: J, s, accuracy; J/plain", figure, wanted, holds)
    gained = found["ecoml"]["accuracy"] - found["plain"]["accuracy"]
    wanted = ("≥ −1 point", gained >= -0.01) if where.cuda else ("", None)
    yield Finding("accuracy, ecoml − plain", f"{100 * gained:+.1f} points", *wanted)


def widths(where: Where) -> Iterator[Finding]:
    """Images per second, share of the peak, and the cost of a further trial beside its epochs."""
    import ecoml

    training = executor_of(where)
    prepared = training._prepared
    yield Finding("peak of large products", f"{prepared.peak_flop_per_s / 1e12:.3g} TFLOP/s")
    least_s = 0.2 if where.quick else 5.0
    for width in (4, 8) if where.quick else (16, 64, 128, 256) if where.cuda else (4, 8, 16):
        config = config_of(where, width=width, epochs=10_000, schedule="constant")
        firsts_s = [_first_epoch_s(training, number, config) for number in range(4)]
        run = training.start(ecoml.Trial(width, config), NoAccount())
        next(run), next(run)
        measured = ways.repeated(partial(_score, run), {"device": where.device, "least_s": least_s})
        run.close()
        rate = prepared.about.train_images / measured["wall_s"]
        floor_j = training.floor_j(config | {"epochs": 1}, 1) or float("nan")
        share = floor_j / prepared.peak_power_w / measured["wall_s"]
        joules = floor_j / measured["energy_j"]
        wanted = ("≥ 25 % of J", joules >= 0.25) if where.cuda and width >= 64 else ("", None)
        figure = f"{rate:,.0f}/s, {share:.1%} of peak, {joules:.1%} of J"
        yield Finding(f"width {width}", figure, *wanted)
        fixed_ms = 1000 * (float(np.median(firsts_s[1:])) - measured["wall_s"])
        holds = fixed_ms <= 100 if where.cuda else None
        yield Finding(f"a further trial, width {width}", f"{fixed_ms:.0f} ms", "≤ 100 ms" if where.cuda else "", holds)


def _first_epoch_s(training: Any, number: int, config: dict[str, Any]) -> float:
    """Seconds of a trial that ends after its first epoch."""
    import ecoml

    began_s = time.perf_counter()
    run = training.start(ecoml.Trial(number, config), NoAccount())
    next(run)
    run.close()
    return time.perf_counter() - began_s


def _score(run: Any) -> float:
    score: float = next(run).score
    return score


PARTS: dict[str, Callable[[Where], Iterator[Finding]]] = {
    "steps": the_same_steps,
    "random": random_configurations,
    "tests": marked_tests,
    "mo-asha": partial(search, "mo-asha"),
    "bayes": partial(search, "bayes"),
    "loops": against_loops,
    "widths": widths,
}
