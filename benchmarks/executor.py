"""Compare the cost of a training by a plain PyTorch loop, by a tuned loop, and by ecoml.

    python benchmarks/executor.py compare --data fashion-mnist --width 32 --depth 3 --epochs 10 --seeds 5
    python benchmarks/executor.py widths  --data fashion-mnist
    python benchmarks/executor.py fixed   --data digits
    python benchmarks/executor.py precisions --data digits --seeds 3   # on a CPU: bfloat16 against float32
    python benchmarks/executor.py graph   --data cifar-shaped      # on a GPU: recorded steps against eager ones
    python benchmarks/executor.py gpu     --data-dir FOLDER        # all of these on a GPU

All use the same data, split, layers, batch size and number of epochs.

- `plain` is the loop of a tutorial: a DataLoader with a transform per image, convolution, batch norm, activation,
  pooling, torch's SGD and OneCycleLR, float32.
- `tuned` keeps the images as one normalised tensor, uses channels_last, bfloat16 where the hardware has it, and a fused
  optimiser, never reads the loss, and evaluates in large batches.
- `ecoml` is `CnnTraining` with its defaults.
- `ecoml-full` is without `skip_easy` and `start_resolution`: every image at full size in every epoch.

Each training has a process of its own. The ways take turns, so that other load on the host affects all of them. The
figures leave out imports, the loading of data, and a short training beforehand that loads context, libraries and
kernels. A window contains as many trainings as fit into five seconds. `--threads 1` prevents OpenMP's threads from
waiting busily beside other processes. Nothing is downloaded. `cifar-shaped` is synthetic: 50,000 colour images of
32×32, in ten classes that can be told apart.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import executor_steps as steps
import executor_ways as ways_to
import numpy as np

WAYS = {
    "plain": ways_to.plain,
    "tuned": ways_to.tuned,
    "ecoml-full": ways_to.ecoml_full,
    "ecoml": ways_to.ecoml_as_it_comes,
    "fixed": ways_to.fixed_cost,
    "graph": steps.recorded_and_eager,
    "precisions": steps.both_precisions,
}
WIDTHS = (4, 8, 16, 32, 64)
WIDTHS_OF_A_GPU = (8, 16, 32, 64, 128, 256)

ON_A_GPU: tuple[tuple[str, dict[str, Any]], ...] = (
    ("graph", {"data": "cifar-shaped", "depth": 3, "epochs": 4}),
    ("fixed", {"data": "fashion-mnist", "width": 32, "depth": 3}),
    ("widths", {"data": "cifar-shaped", "depth": 3, "ways": "tuned,ecoml-full,ecoml"}),
    ("compare", {"data": "fashion-mnist", "width": 32, "depth": 3, "epochs": 10}),
    ("compare", {"data": "cifar-shaped", "width": 64, "depth": 3, "epochs": 10}),
)
"""What `gpu` runs. Short runs come first, because they show whether the long ones are worth the time."""


def main() -> None:
    """Run the command, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=[*_REPORTS, "gpu", "one"])
    parser.add_argument("--data", default="digits", help="a name, an .npz, or `cifar-shaped`")
    parser.add_argument("--data-dir", type=Path, help="folder with the files of a named data set")
    parser.add_argument("--images", type=int, help="use only this number of training images")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--depth", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, help="CPU threads; by default torch's choice, and ecoml's")
    parser.add_argument("--device", help="cpu or cuda; by default a GPU if there is one")
    parser.add_argument("--least-seconds", type=float, default=5.0, help="a window is filled with trainings")
    parser.add_argument("--ways", default="plain,tuned,ecoml-full,ecoml")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.what == "one":
        print(json.dumps(_one(json.loads(arguments.one))))
    elif arguments.what == "gpu":
        for what, changes in ON_A_GPU:
            print(f"\n== {what} {json.dumps(changes)}", flush=True)
            _report(argparse.Namespace(**(vars(arguments) | {"device": "cuda:0", **changes, "what": what})))
    else:
        _report(arguments)


def _report(arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "data.npz"
        _write(arguments.data, arguments.data_dir, arguments.images, file)
        _REPORTS[arguments.what](arguments, file)


def _compare(arguments: argparse.Namespace, file: Path) -> None:
    ways = arguments.ways.split(",")
    config = {"width": arguments.width, "depth": arguments.depth, "epochs": arguments.epochs}
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
    for seed in range(arguments.seeds):
        for way in ways:
            found[way].append(_apart(way, file, config, seed, arguments))
            print(f"seed {seed} {way}: {json.dumps(found[way][-1])}", file=sys.stderr, flush=True)
    print(f"{arguments.data}, {config}, {arguments.seeds} seeds, medians; energy: {found[ways[0]][0]['provenance']}")
    print(
        f"{'way':<12}{'CPU s':>9}{'wall s':>9}{'joules':>9}{'of it GPU':>11}{'accuracy (mean ± sd)':>23}"
        f"{'CPU ratio':>11}{'J ratio':>9}"
    )
    first = {key: statistics.median(run[key] for run in found[ways[0]]) for key in ("cpu_s", "energy_j")}
    for way, runs in found.items():
        middle = {key: statistics.median(run[key] for run in runs) for key in ("cpu_s", "wall_s", "energy_j")}
        gpu_j = statistics.median(_gpu_j(run) for run in runs)
        accuracies = [100 * run["accuracy"] for run in runs]
        spread = statistics.stdev(accuracies) if len(runs) > 1 else float("nan")
        print(
            f"{way:<12}{middle['cpu_s']:9.1f}{middle['wall_s']:9.1f}{middle['energy_j']:9.1f}{gpu_j:11.1f}"
            f"{statistics.mean(accuracies):16.2f} ± {spread:4.2f}"
            f"{middle['cpu_s'] / first['cpu_s']:11.2f}{middle['energy_j'] / first['energy_j']:9.2f}"
        )


def _widths(arguments: argparse.Namespace, file: Path) -> None:
    ways = arguments.ways.split(",")
    images = len(np.load(file)["y"]) * 0.8
    gpu = _on_a_gpu(arguments)
    unit = "second" if gpu else "CPU second"
    print(f"{arguments.data}, depth {arguments.depth}: training images per {unit} (epochs, evaluation included);")
    print("ecoml's arithmetic as a share of the device's peak, and its floor as a share of the joules")
    print(f"{'width':<8}" + "".join(f"{way:>14}" for way in ways) + f"{'of peak':>10}{'of joules':>11}")
    for width in WIDTHS_OF_A_GPU if gpu else WIDTHS:
        config = {"width": width, "depth": arguments.depth, "epochs": 4 if gpu else 2}
        runs = {way: _apart(way, file, config, 0, arguments) for way in ways}
        rates = [config["epochs"] * images / run["wall_s" if gpu else "cpu_s"] for run in runs.values()]
        shares = [100 * runs.get("ecoml", {}).get(key, float("nan")) for key in ("share_of_peak", "share_of_energy")]
        print(
            f"{width:<8}" + "".join(f"{rate:14.0f}" for rate in rates) + f"{shares[0]:9.1f}%{shares[1]:10.1f}%",
            flush=True,
        )


def _fixed(arguments: argparse.Namespace, file: Path) -> None:
    run = _apart("fixed", file, {"width": arguments.width, "depth": arguments.depth}, 0, arguments)
    ms = {key: 1000 * value for key, value in run.items()}
    print(
        f"{arguments.data}, width {arguments.width}, depth {arguments.depth}: a further trial takes"
        f" {ms['fixed_cpu_s']:.1f} ms CPU, {ms['fixed_wall_s']:.1f} ms wall beside its epochs"
        f" ({ms['epoch_cpu_s']:.1f} ms CPU, {ms['epoch_wall_s']:.1f} ms wall each); 20 trials of 1 epoch against 20 of"
        f" 4\nasking the host: {1000 * ms['look_cpu_s']:.0f} µs CPU a batch, both processes together"
    )


def _graph(arguments: argparse.Namespace, file: Path) -> None:
    if not _on_a_gpu(arguments):
        raise SystemExit("graph: there is no GPU here")
    images = len(np.load(file)["y"]) * 0.8
    print(f"{arguments.data}, depth {arguments.depth}: images per second, joules of an epoch;")
    print(f"how far apart the weights are after {arguments.epochs} epochs, in units of the largest of their tensor")
    print(f"{'width':<8}{'recorded':>30}{'eager':>30}{'faster':>9}{'apart':>10}")
    for width in WIDTHS_OF_A_GPU:
        config = {"width": width, "depth": arguments.depth, "epochs": arguments.epochs}
        found = _apart("graph", file, config, 0, arguments)
        cells = [
            f"{images / run['wall_s']:12.0f}/s{run['energy_j']:10.2f} J" for run in (found["recorded"], found["eager"])
        ]
        print(
            f"{width:<8}" + "".join(f"{cell:>30}" for cell in cells),
            f"{found['eager']['wall_s'] / found['recorded']['wall_s']:8.2f}{found['apart']:10.1g}",
            "" if found["recorded"]["was_recorded"] else "  it could not be recorded",
            flush=True,
        )


def _precisions(arguments: argparse.Namespace, file: Path) -> None:
    print(f"{arguments.data}, depth {arguments.depth}, {arguments.seeds} seeds: CPU seconds of bfloat16 / of float32")
    print("without the first epoch, medians; mean accuracies")
    print(f"{'width':<8}{'MFLOP a batch':>15}{'training':>10}{'evaluation':>12}{'bfloat16':>10}{'float32':>10}")
    for width in WIDTHS:
        config = {"width": width, "depth": arguments.depth, "epochs": arguments.epochs}
        runs = [_apart("precisions", file, config, seed, arguments) for seed in range(arguments.seeds)]
        ratios = [
            statistics.median(run["bfloat16"][part] / run["float32"][part] for run in runs)
            for part in ("training", "evaluation")
        ]
        means = [statistics.mean(run[way]["accuracy"] for run in runs) for way in ("bfloat16", "float32")]
        print(
            f"{width:<8}{runs[0]['batch_flop'] / 1e6:15.0f}{ratios[0]:10.2f}{ratios[1]:12.2f}"
            f"{means[0]:10.1%}{means[1]:10.1%}",
            flush=True,
        )


_REPORTS = {"compare": _compare, "widths": _widths, "fixed": _fixed, "graph": _graph, "precisions": _precisions}


def _gpu_j(run: dict[str, Any]) -> float:
    from ecoml.meter.counters.nvml import MODULE

    return float(sum(j for domain, j in run["by_domain"].items() if domain.startswith(("gpu:", MODULE))))


def _on_a_gpu(arguments: argparse.Namespace) -> bool:
    import torch

    return torch.cuda.is_available() and (arguments.device or "cuda").startswith("cuda")


def _apart(way: str, file: Path, config: dict[str, Any], seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """One training in a process of its own."""
    where = {"device": arguments.device, "threads": arguments.threads, "least_s": arguments.least_seconds}
    task = json.dumps({"way": way, "file": str(file), "config": config, "seed": seed, "where": where})
    done = subprocess.run([sys.executable, __file__, "one", "--one", task], stdout=subprocess.PIPE, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _one(task: dict[str, Any]) -> dict[str, Any]:
    config = {**ways_to.RECIPE, **task["config"]}
    result: dict[str, Any] = WAYS[task["way"]](Path(task["file"]), config, task["seed"], task["where"])
    return result


def _write(name: str, folder: Path | None, images: int | None, file: Path) -> None:
    """The data as one file, which all ways read."""
    arrays: dict[str, Any]
    if name == "cifar-shaped":
        random = np.random.default_rng(0)
        labels = random.integers(0, 10, 50_000)
        patterns = random.integers(0, 256, (10, 32, 32, 3))
        pixels = 0.3 * patterns[labels] + random.normal(90, 60, (50_000, 32, 32, 3))
        arrays = {"x": np.clip(pixels, 0, 255).astype(np.uint8), "y": labels}
        arrays |= {"x_test": arrays["x"][:1000], "y_test": labels[:1000]}
    else:
        from ecoml.training.images.data.loader import load

        found = load(name, folder, download=False)
        arrays = {"x": found.train.images, "y": found.train.labels}
        arrays |= {"x_test": found.test.images, "y_test": found.test.labels}
    kept = {key: value[:images] if "test" not in key else value for key, value in arrays.items()}
    np.savez(file, allow_pickle=False, **kept)


if __name__ == "__main__":
    main()
