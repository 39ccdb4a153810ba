"""What a training costs: a plain PyTorch loop, the same with the obvious tuning, and ecoml, side by side.

    python benchmarks/executor.py compare --data fashion-mnist --width 32 --depth 3 --epochs 10 --seeds 5
    python benchmarks/executor.py widths  --data fashion-mnist
    python benchmarks/executor.py fixed   --data digits

The same data, division, layers, batches and epochs. `plain` is what one writes first: a DataLoader with a transform
per image, convolution, batch norm, activation, pooling, torch's SGD and OneCycleLR, float32. `tuned` keeps the images
as one normalised tensor, is channels_last, has a fused optimiser, never reads the loss and evaluates in large batches.
`ecoml` is `CnnTraining` as it comes; `ecoml-full` without `skip_easy` and `start_resolution`: every image at full size
in every epoch. Each training has a process of its own; ways take turns, so that a busy host is busy for all. Imports
and the loading of data are left out. `--threads 1` keeps OpenMP from waiting busily beside other processes.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np

Way = Callable[[Path, dict[str, Any], int, str | None], float]
RECIPE = {"learning_rate": 0.2, "momentum": 0.9, "weight_decay": 5e-4, "label_smoothing": 0.05, "batch_size": 128}
FULL = {"skip_easy": 0.0, "start_resolution": 1.0}


def main() -> None:
    """Read the command line, run, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["compare", "widths", "fixed", "one"])
    parser.add_argument("--data", default="digits", help="a name, an .npz, or `cifar-shaped` (made up, to be learnt)")
    parser.add_argument("--images", type=int, help="only so many of the training images")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--depth", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, help="CPU threads; by default torch's choice, and ecoml's")
    parser.add_argument("--device", help="cpu or cuda; by default a GPU if there is one")
    parser.add_argument("--ways", default="plain,tuned,ecoml-full,ecoml")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.what == "one":
        print(json.dumps(_one(json.loads(arguments.one))))
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "data.npz"
        _write(arguments.data, arguments.images, file)
        _REPORTS[arguments.what](arguments, file)


def _compare(arguments: argparse.Namespace, file: Path) -> None:
    ways = arguments.ways.split(",")
    config = {"width": arguments.width, "depth": arguments.depth, "epochs": arguments.epochs}
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
    for seed in range(arguments.seeds):
        for way in ways:
            found[way].append(_apart(way, file, config, seed, arguments))
            print(f"seed {seed} {way}: {json.dumps(found[way][-1])}", file=sys.stderr, flush=True)
    print(f"{arguments.data}, {config}, {arguments.seeds} seeds, medians; energy is {found[ways[0]][0]['provenance']}")
    print(
        f"{'way':<12}{'CPU s':>9}{'wall s':>9}{'joules':>9}{'accuracy (mean ± sd)':>24}{'CPU ratio':>11}{'J ratio':>9}"
    )
    first = {key: statistics.median(run[key] for run in found[ways[0]]) for key in ("cpu_s", "energy_j")}
    for way, runs in found.items():
        middle = {key: statistics.median(run[key] for run in runs) for key in ("cpu_s", "wall_s", "energy_j")}
        accuracies = [100 * run["accuracy"] for run in runs]
        spread = statistics.stdev(accuracies) if len(runs) > 1 else float("nan")
        print(
            f"{way:<12}{middle['cpu_s']:9.1f}{middle['wall_s']:9.1f}{middle['energy_j']:9.1f}"
            f"{statistics.mean(accuracies):17.2f} ± {spread:4.2f}"
            f"{middle['cpu_s'] / first['cpu_s']:11.2f}{middle['energy_j'] / first['energy_j']:9.2f}"
        )


def _widths(arguments: argparse.Namespace, file: Path) -> None:
    ways = arguments.ways.split(",")
    images = len(np.load(file)["y"]) * 0.8
    print(f"{arguments.data}, depth {arguments.depth}: training images per CPU second (an epoch, evaluation included)")
    print(f"{'width':<8}" + "".join(f"{way:>14}" for way in ways))
    for width in (4, 8, 16, 32, 64):
        config = {"width": width, "depth": arguments.depth, "epochs": 2}
        rates = [config["epochs"] * images / _apart(way, file, config, 0, arguments)["cpu_s"] for way in ways]
        print(f"{width:<8}" + "".join(f"{rate:14.0f}" for rate in rates), flush=True)


def _fixed(arguments: argparse.Namespace, file: Path) -> None:
    run = _apart("fixed", file, {"width": arguments.width, "depth": arguments.depth}, 0, arguments)
    print(
        f"{arguments.data}, width {arguments.width}, depth {arguments.depth}: {1000 * run['fixed_cpu_s']:.1f} ms CPU"
        f" a trial beside its epochs ({1000 * run['epoch_cpu_s']:.1f} ms CPU each); 20 trials of 1 epoch against 20 of"
        f" 4\nasking the host: {1e6 * run['look_cpu_s']:.0f} µs CPU a batch, both processes together"
    )


_REPORTS = {"compare": _compare, "widths": _widths, "fixed": _fixed}


def _apart(way: str, file: Path, config: dict[str, Any], seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """One training in a process of its own."""
    where = {"device": arguments.device, "threads": arguments.threads}
    task = json.dumps({"way": way, "file": str(file), "config": config, "seed": seed, "where": where})
    done = subprocess.run([sys.executable, __file__, "one", "--one", task], stdout=subprocess.PIPE, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _one(task: dict[str, Any]) -> dict[str, Any]:
    arguments = Path(task["file"]), {**RECIPE, **task["config"]}, task["seed"], task["where"]
    if task["way"] == "fixed":
        return _fixed_cost(*arguments)
    result: dict[str, Any] = _WAYS[task["way"]](*arguments)
    return result


class _Measured:
    """CPU seconds, wall seconds and joules of what happens inside."""

    def __enter__(self) -> Self:
        from ecoml.meter import open_meter

        self.accuracy = 0.0
        self._meter = open_meter()
        self._before = _cpu_s(), time.perf_counter()
        self._window = self._meter.window()
        return self

    def __exit__(self, *error: object) -> None:
        energy = self._window.lap()
        self.result = {
            "cpu_s": _cpu_s() - self._before[0],
            "wall_s": time.perf_counter() - self._before[1],
            "energy_j": energy.energy_j,
            "provenance": energy.provenance.value,
            "accuracy": self.accuracy,
        }
        self._meter.close()


def _ecoml(file: Path, config: dict[str, Any], seed: int, where: dict[str, Any], full: bool = False) -> dict[str, Any]:
    import ecoml

    executor = ecoml.CnnTraining(file, seed=seed, **where)
    executor.prepare()
    time.sleep(0.3)  # the worker, which has just been started, has been noticed by then
    with _Measured() as measured:
        run = executor.start(ecoml.Trial(0, config | (FULL if full else {})), _Free())
        for _ in range(config["epochs"]):
            measured.accuracy = next(run).accuracy
        run.close()
    return measured.result


def _ecoml_full(file: Path, config: dict[str, Any], seed: int, where: dict[str, Any]) -> dict[str, Any]:
    return _ecoml(file, config, seed, where, full=True)


def _fixed_cost(file: Path, config: dict[str, Any], seed: int, where: dict[str, Any]) -> dict[str, Any]:
    import ecoml

    executor = ecoml.CnnTraining(file, seed=seed, **where)
    executor.prepare()
    time.sleep(0.3)
    took_s: dict[int, list[float]] = {1: [], 4: []}
    for number in range(41):
        epochs = 1 if number % 2 else 4
        before_s = _cpu_s()
        run = executor.start(ecoml.Trial(number, {**config, "epochs": epochs}), _Free())
        for _ in range(epochs):
            next(run)
        run.close()
        took_s[epochs].append(_cpu_s() - before_s)
    one_s, four_s = (statistics.mean(took_s[epochs][1:]) for epochs in (1, 4))
    from ecoml.executor.cnn.process import shared_worker

    before_s = _cpu_s()
    for _ in range(2000):
        shared_worker()._request("drop")
    look_cpu_s = (_cpu_s() - before_s) / 2000
    return {
        "fixed_cpu_s": one_s - (four_s - one_s) / 3,
        "epoch_cpu_s": (four_s - one_s) / 3,
        "trials": 20,
        "look_cpu_s": look_cpu_s,
    }


def _cpu_s() -> float:
    """CPU seconds of this process and of the training's worker."""
    from ecoml.executor.cnn.process import shared_worker

    pid, total_s = shared_worker().pid, time.process_time()
    if pid is not None:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total_s += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total_s


class _Free:
    """An account without a budget."""

    def look(self) -> None:
        pass

    def enter(self, purpose: object) -> None:
        pass


def _plain(file: Path, config: dict[str, Any], seed: int, where: dict[str, Any]) -> dict[str, Any]:
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, Dataset
    from torchvision import transforms

    train, validation = _parts(file, seed)
    mean, std = train.statistics()
    device = _torch_device(where, seed)

    class Images(Dataset):  # type: ignore[type-arg]  # generic for type checkers alone
        def __init__(self, part: Any) -> None:
            self.images = np.ascontiguousarray(part.images.transpose(0, 2, 3, 1))
            self.labels = part.labels
            self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(mean, std)])

        def __len__(self) -> int:
            return len(self.labels)

        def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
            return self.transform(self.images[index]), int(self.labels[index])

    with _Measured() as measured:
        network = _layers(config, train).to(device)
        loader = DataLoader(Images(train), batch_size=config["batch_size"], shuffle=True)
        others = DataLoader(Images(validation), batch_size=config["batch_size"])
        optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=config["momentum"], nesterov=True)
        optimiser.param_groups[0]["weight_decay"] = config["weight_decay"]
        steps = config["epochs"] * len(loader)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, config["learning_rate"], steps, pct_start=0.25, anneal_strategy="linear", cycle_momentum=False
        )
        criterion = nn.CrossEntropyLoss(label_smoothing=config["label_smoothing"])
        for _ in range(config["epochs"]):
            network.train()
            running = 0.0
            for images, labels in loader:
                images, labels = images.to(device), labels.to(device)
                optimiser.zero_grad()
                loss = criterion(network(images), labels)
                loss.backward()
                optimiser.step()
                schedule.step()
                running += loss.item()
            network.eval()
            correct = 0
            with torch.no_grad():
                for images, labels in others:
                    correct += (network(images.to(device)).argmax(1) == labels.to(device)).sum().item()
            measured.accuracy = correct / len(validation)
    return measured.result


def _tuned(file: Path, config: dict[str, Any], seed: int, where: dict[str, Any]) -> dict[str, Any]:
    import torch
    from torch import nn

    train, validation = _parts(file, seed)
    mean, std = train.statistics()
    device = _torch_device(where, seed)

    def tensors(part: Any) -> tuple[torch.Tensor, torch.Tensor]:
        images = torch.from_numpy(part.images.astype(np.float32) / 255)
        images = (images - torch.tensor(mean).view(-1, 1, 1)) / torch.tensor(std).view(-1, 1, 1)
        return images.to(device, memory_format=torch.channels_last), torch.from_numpy(part.labels).to(device)

    with _Measured() as measured:
        (x, y), (x_val, y_val) = tensors(train), tensors(validation)
        network = _layers(config, train).to(device, memory_format=torch.channels_last)
        optimiser = torch.optim.SGD(
            network.parameters(), lr=0.1, momentum=config["momentum"], nesterov=True, fused=True
        )
        optimiser.param_groups[0]["weight_decay"] = config["weight_decay"]
        size = config["batch_size"]
        steps = config["epochs"] * -(-len(y) // size)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, config["learning_rate"], steps, pct_start=0.25, anneal_strategy="linear", cycle_momentum=False
        )
        criterion = nn.CrossEntropyLoss(label_smoothing=config["label_smoothing"])
        for _ in range(config["epochs"]):
            network.train()
            for indices in torch.randperm(len(y), device=device).split(size):
                with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                    loss = criterion(network(x[indices]), y[indices])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
            network.eval()
            with torch.inference_mode():
                right = sum(
                    (network(a).argmax(1) == b).sum() for a, b in zip(x_val.split(1000), y_val.split(1000), strict=True)
                )
            measured.accuracy = int(right) / len(validation)
    return measured.result


_WAYS: dict[str, Any] = {"plain": _plain, "tuned": _tuned, "ecoml-full": _ecoml_full, "ecoml": _ecoml}


def _torch_device(where: dict[str, Any], seed: int) -> Any:
    """The device, with torch set up: its compiler, which the first optimiser imports, is an import too."""
    import torch

    if where["threads"]:
        torch.set_num_threads(where["threads"])
    torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    torch.manual_seed(seed)
    return torch.device(where["device"] or ("cuda" if torch.cuda.is_available() else "cpu"))


def _layers(config: dict[str, Any], train: Any) -> Any:
    """The plain network of `width` and `depth` in the order of the textbooks."""
    from torch import nn

    from ecoml.executor.cnn.plan import plan
    from ecoml.executor.cnn.settings import Settings

    shape = train.images.shape[1:]
    form = plan(Settings(width=config["width"], depth=config["depth"]), shape, int(train.labels.max()) + 1)
    layers: list[nn.Module] = []
    for block in form.blocks:
        layers += [
            nn.Conv2d(block.inputs, block.outputs, block.kernel, padding=block.kernel // 2, bias=False),
            nn.BatchNorm2d(block.outputs),
            nn.ReLU(),
        ]
        if block.pooled:
            layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(form.widths[0], form.widths[1]))


def _parts(file: Path, seed: int) -> tuple[Any, Any]:
    from ecoml.executor.cnn import data

    return data.load(str(file)).divided(0.2, seed)


def _write(name: str, images: int | None, file: Path) -> None:
    """The data as one file that all ways read."""
    arrays: dict[str, Any]
    if name == "cifar-shaped":
        random = np.random.default_rng(0)
        labels = random.integers(0, 10, 50_000)
        patterns = random.integers(0, 256, (10, 32, 32, 3))
        pixels = 0.3 * patterns[labels] + random.normal(90, 60, (50_000, 32, 32, 3))
        arrays = {"x": np.clip(pixels, 0, 255).astype(np.uint8), "y": labels}
        arrays |= {"x_test": arrays["x"][:1000], "y_test": labels[:1000]}
    else:
        from ecoml.executor.cnn import data

        found = data.load(name, download=False)
        arrays = {"x": found.train.images, "y": found.train.labels}
        arrays |= {"x_test": found.test.images, "y_test": found.test.labels}
    kept = {key: value[:images] if "test" not in key else value for key, value in arrays.items()}
    np.savez(file, allow_pickle=False, **kept)


if __name__ == "__main__":
    main()
