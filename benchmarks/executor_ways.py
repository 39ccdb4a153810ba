"""The ways to train that `benchmarks/executor.py` compares: each is a function that trains and returns the cost.

All take (data file, configuration, seed, {"device": …, "threads": …, "least_s": …}) and return `cpu_s`, `wall_s`,
`energy_j` of one training, and more. Each trains briefly before the measurement, so that the device's context, its
libraries and their kernels are loaded. Then it repeats the training until the window is `least_s` long.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from itertools import count, islice
from pathlib import Path
from typing import Any, Self

import numpy as np

RECIPE = {"learning_rate": 0.2, "momentum": 0.9, "weight_decay": 5e-4, "label_smoothing": 0.05, "batch_size": 128}
FULL = {"skip_easy": 0.0, "start_resolution": 1.0}


class Measured:
    """CPU seconds, wall seconds and joules of a block of code, on one device and the host."""

    def __init__(self, device: str | None) -> None:
        self._device = device
        self.accuracy = 0.0
        self.result: dict[str, Any] = {}

    def __enter__(self) -> Self:
        from ecoml.meter import open_meter
        from ecoml.meter.counters.ordinals import nvml_indices

        kind, _, number = (self._device or "cuda").partition(":")
        self._meter = open_meter(gpus=nvml_indices([int(number or 0)]) if kind == "cuda" else [])
        self._before = _cpu_s(), time.perf_counter()
        self._window = self._meter.window()
        return self

    def __exit__(self, *error: object) -> None:
        wall_s = time.perf_counter() - self._before[1]
        energy = self._window.lap()
        self.result = {
            "cpu_s": _cpu_s() - self._before[0],
            "wall_s": wall_s,
            "energy_j": energy.energy_j,
            "by_domain": energy.by_domain,
            "provenance": {name: part.provenance.value for name, part in energy.domains.items()},
            "accuracy": self.accuracy,
        }
        self._meter.close()


def repeated(once: Callable[[], float], where: dict[str, Any]) -> dict[str, Any]:
    """The cost of `once`, which returns an accuracy; it is repeated until a window of `where["least_s"]` is full."""
    times = 0
    with Measured(where["device"]) as measured:
        began_s = time.perf_counter()
        while not times or time.perf_counter() < began_s + where["least_s"]:
            measured.accuracy = once()
            times += 1
    each = {key: measured.result[key] / times for key in ("cpu_s", "wall_s", "energy_j")}
    by_domain = {domain: energy_j / times for domain, energy_j in measured.result["by_domain"].items()}
    return {**measured.result, **each, "by_domain": by_domain, "times": times}


def ecoml_as_it_comes(
    file: Path, config: dict[str, Any], seed: int, where: dict[str, Any], full: bool = False
) -> dict[str, Any]:
    """`CnnTraining`, with the amount of its arithmetic."""
    import ecoml
    from ecoml.training.base import NoAccount

    executor = ecoml.CnnTraining(file, seed=seed, device=where["device"], threads=where["threads"])
    executor.prepare()
    config = config | (FULL if full else {})
    trials = count()

    def once(most: int | None = None) -> float:
        run, accuracy = executor.start(ecoml.Trial(next(trials), config), NoAccount()), 0.0
        for _ in range(most or config["epochs"]):
            accuracy = next(run).score
        run.close()
        return accuracy

    once(1)
    time.sleep(0.3)  # by then the meter has noticed the new worker process
    took = repeated(once, where)
    assert executor._prepared is not None, "it was prepared"
    found, workload = executor._prepared, executor._workers[0].workload
    floor_j = executor.floor_j(config, config["epochs"]) or float("nan")
    # On a CPU the peak is that of all threads.
    peak = found.peak_flop_per_s / (1 if found.device.startswith("cuda") else workload.threads)
    seconds = took["wall_s" if found.device.startswith("cuda") else "cpu_s"]
    flop = floor_j * found.peak_flop_per_s / found.peak_power_w
    return took | {"share_of_peak": flop / seconds / peak, "share_of_energy": floor_j / took["energy_j"]}


def ecoml_full(file: Path, config: dict[str, Any], seed: int, where: dict[str, Any]) -> dict[str, Any]:
    """`CnnTraining` with every image at full size in every epoch."""
    return ecoml_as_it_comes(file, config, seed, where, full=True)


def fixed_cost(file: Path, config: dict[str, Any], seed: int, where: dict[str, Any]) -> dict[str, Any]:
    """The cost of a trial beside its epochs, at full size: 20 trials of one epoch against 20 of four."""
    import ecoml
    from ecoml.training.base import NoAccount

    executor = ecoml.CnnTraining(file, seed=seed, device=where["device"], threads=where["threads"])
    executor.prepare()
    time.sleep(0.3)
    took: dict[int, list[tuple[float, float]]] = {1: [], 4: []}
    for number in range(41):
        epochs = 1 if number % 2 else 4
        before = _cpu_s(), time.perf_counter()
        run = executor.start(ecoml.Trial(number, {**config, **FULL, "epochs": epochs}), NoAccount())
        for _ in range(epochs):
            next(run)
        run.close()
        took[epochs].append((_cpu_s() - before[0], time.perf_counter() - before[1]))
    found: dict[str, Any] = {}
    for place, unit in enumerate(("cpu_s", "wall_s")):
        one_s, four_s = (statistics.mean(each[place] for each in took[epochs][1:]) for epochs in (1, 4))
        found |= {f"fixed_{unit}": one_s - (four_s - one_s) / 3, f"epoch_{unit}": (four_s - one_s) / 3}
    from ecoml.training.images.worker.shared import shared_worker

    before_s = _cpu_s()
    for _ in range(2000):
        shared_worker()._started().request("drop", -1)
    return found | {"look_cpu_s": (_cpu_s() - before_s) / 2000}


def plain(file: Path, config: dict[str, Any], seed: int, where: dict[str, Any]) -> dict[str, Any]:
    """The loop of a tutorial."""
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

    def once(most: int | None = None) -> float:
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
        for _ in range(config["epochs"] if most is None else 1):
            network.train()
            running = 0.0
            for images, labels in islice(loader, most):
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
                for images, labels in islice(others, most):
                    correct += (network(images.to(device)).argmax(1) == labels.to(device)).sum().item()
        return correct / len(validation)

    once(3)
    return repeated(once, where)


def tuned(file: Path, config: dict[str, Any], seed: int, where: dict[str, Any]) -> dict[str, Any]:
    """The same with the usual tuning."""
    import torch
    from torch import nn

    from ecoml.training.images.worker.device import has_bf16

    train, validation = _parts(file, seed)
    mean, std = train.statistics()
    device = _torch_device(where, seed)

    def tensors(part: Any) -> tuple[torch.Tensor, torch.Tensor]:
        images = torch.from_numpy(part.images.astype(np.float32) / 255)
        images = (images - torch.tensor(mean).view(-1, 1, 1)) / torch.tensor(std).view(-1, 1, 1)
        return images.to(device, memory_format=torch.channels_last), torch.from_numpy(part.labels).to(device)

    def once(most: int | None = None) -> float:
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
        for _ in range(config["epochs"] if most is None else 1):
            network.train()
            for indices in torch.randperm(len(y), device=device).split(size)[:most]:
                with torch.autocast(device.type, torch.bfloat16, enabled=has_bf16(device)):
                    loss = criterion(network(x[indices]), y[indices])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
            network.eval()
            with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=has_bf16(device)):
                right = sum(
                    (network(a).argmax(1) == b).sum() for a, b in zip(x_val.split(1000), y_val.split(1000), strict=True)
                )
        return int(right) / len(validation)

    once(3)
    return repeated(once, where)


def _torch_device(where: dict[str, Any], seed: int) -> Any:
    """The device, with torch set up. Its compiler, which the first optimiser imports, is imported here."""
    import torch

    if where["threads"]:
        torch.set_num_threads(where["threads"])
    torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    torch.manual_seed(seed)
    return torch.device(where["device"] or ("cuda" if torch.cuda.is_available() else "cpu"))


def _layers(config: dict[str, Any], train: Any) -> Any:
    """The plain network of `width` and `depth`, with its layers in the usual order."""
    from torch import nn

    from ecoml.training.images.network.plan import plan
    from ecoml.training.images.settings import Settings

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
    from ecoml.training.images.data.loader import load

    return load(str(file)).divided(0.2, seed)


def _cpu_s() -> float:
    """CPU seconds of this process and of the training's worker."""
    from ecoml.training.images.worker.shared import shared_worker

    pid, total_s = shared_worker().pid, time.process_time()
    if pid is not None:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total_s += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total_s
