"""The study's training as published, faults included, to reproduce its figures.

Differences from ecoml's own training: β2 does not reach Adam; the search sees the accuracy on the *test* set; the
network is never switched to evaluation mode, so its batch norms normalise each batch by its own statistics; there is no
warm-up; images are not normalised; a step is an ordinary PyTorch loop in the process of the search. The study's
hardware, and its sampling of GPU power by `nvidia-smi`, cannot be reproduced: energy comes from ecoml's meter.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecoml.energy import Purpose
from ecoml.experiments.paper.networks import build
from ecoml.metric import Metric
from ecoml.space import Space
from ecoml.training.base import Account
from ecoml.trial import Measurement, Trial

if TYPE_CHECKING:
    from torch import Tensor


class PublishedTraining:
    """Trains as the study did; implements `ecoml.training.base.Executor`.

    Args:
        data: A name, a folder or an `.npz` file, as in `CnnTraining`.
        data_dir: Folder of named data.
        device: A device of torch.
        threads: CPU threads.

    Attributes:
        metric: Its metric; a step is a complete training.
    """

    metric = Metric("test accuracy", low=0.0, high=1.0, step="training")

    def __init__(self, data: str, *, data_dir: str | Path | None = None, device: str = "cpu", threads: int = 1) -> None:
        self.data = data
        self.data_dir = data_dir
        self.device = device
        self.threads = threads
        self.seed = 0
        self._tensors: tuple[Tensor, Tensor, Tensor, Tensor] | None = None

    def prepare(self, space: Space) -> None:  # noqa: ARG002 - every space of the study suits
        """Load the data onto the device, pixels in [0, 1]. Further calls do nothing."""
        if self._tensors is not None:
            return
        import torch

        from ecoml.training.images.data.loader import load

        found = load(self.data, None if self.data_dir is None else Path(self.data_dir))
        parts = (found.train, found.test)
        images = [torch.from_numpy(part.images).to(self.device).float() / 255 for part in parts]
        labels = [torch.from_numpy(part.labels).to(self.device) for part in parts]
        self._tensors = images[0], labels[0], images[1], labels[1]

    def describe(self) -> Mapping[str, Any]:
        """Its description for `run.toml`; only `ecoml paper … --as-published` can continue it."""
        described = {"kind": "paper-as-published", "data": self.data, "device": self.device, "threads": self.threads}
        return described if self.data_dir is None else {**described, "data_dir": str(self.data_dir)}

    def start(self, trial: Trial, account: Account) -> Generator[Measurement, None, None]:
        """A run of one complete training, with one measurement at its end: the accuracy on the test set."""
        import torch
        from torch.nn.functional import cross_entropy

        assert self._tensors is not None, "the search prepares before it starts"
        images, labels, test_images, test_labels = self._tensors
        config = trial.config
        torch.set_num_threads(self.threads)
        torch.manual_seed(self.seed * 1_000_003 + trial.number)
        account.enter(Purpose.TRAINING)
        network = build(config).to(self.device)
        optimiser = torch.optim.Adam(
            network.parameters(),
            lr=config["learning_rate"],
            betas=(config["beta1"], 0.999),  # whatever config["beta2"] says
            eps=config.get("epsilon", 1e-8),
            weight_decay=config.get("weight_decay", 0.0),
        )
        batches = torch.split(torch.arange(len(labels), device=images.device), int(config["batch_size"]))
        for _ in range(int(config["epochs"])):
            network.train()
            for batch in batches:
                account.check_budget()
                optimiser.zero_grad()
                loss = cross_entropy(network(images[batch]), labels[batch])
                loss.item()  # the study kept every loss, and so waited for it
                torch.autograd.backward((loss,))
                optimiser.step()
        if images.is_cuda:
            torch.cuda.synchronize()
        account.enter(Purpose.EVALUATION)
        with torch.no_grad():
            right = sum(
                int((network(part).argmax(1) == wanted).sum().item())
                for part, wanted in zip(torch.split(test_images, 2000), torch.split(test_labels, 2000), strict=True)
            )
        yield Measurement(right / len(test_labels))
