"""A search over a Lightning module: one epoch of the trainer between two yields.

pip install lightning
python examples/lightning_training.py [KWH]
"""

import logging
import sys
import warnings

import lightning
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

import ecoml

EPOCHS = 10
torch.optim.SGD([torch.zeros(1)])  # the first optimiser loads PyTorch's compiler: that is not the first trial's to pay
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", module="lightning")
x, y = load_digits(return_X_y=True)
data = TensorDataset(torch.as_tensor(x.astype("float32") / 16), torch.as_tensor(y))
train_part, validation_part = random_split(data, [0.8, 0.2], generator=torch.Generator().manual_seed(0))

space = ecoml.Space(
    {
        "learning_rate": ecoml.Float(1e-4, 1e-1, log=True, default=3e-3),
        "width": ecoml.Int(8, 256, log=True, default=64),
        "dropout": ecoml.Float(0.0, 0.5, default=0.1),
    }
)


class Digits(lightning.LightningModule):
    """A perceptron with one hidden layer."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        width = config["width"]
        self.network = nn.Sequential(
            nn.Linear(64, width), nn.ReLU(), nn.Dropout(config["dropout"]), nn.Linear(width, 10)
        )

    def training_step(self, batch):
        images, labels = batch
        return nn.functional.cross_entropy(self.network(images), labels)

    def validation_step(self, batch):
        images, labels = batch
        self.log("accuracy", (self.network(images).argmax(1) == labels).float().mean())

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.config["learning_rate"])


def train(config):
    """Yields the validation accuracy after each epoch. The trainer goes on with the same optimiser each time."""
    model = Digits(config)
    trainer = lightning.Trainer(
        max_epochs=0, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    for _ in range(EPOCHS):
        trainer.fit_loop.max_epochs += 1
        trainer.fit(model, DataLoader(train_part, batch_size=64, shuffle=True), DataLoader(validation_part, 400))
        yield float(trainer.callback_metrics["accuracy"])


if __name__ == "__main__":
    budget_kwh = float(sys.argv[1]) if len(sys.argv) > 1 else 0.0003
    result = ecoml.search(space, train, budget_kwh=budget_kwh, metric=ecoml.Metric(low=0, high=1, step="epoch"))
    print(f"recommended: {dict(result.recommended.config)}, for {result.recommended.step} epochs")
    print(f"accuracy: {result.recommended.score:.1%}; energy: {result.recommended.energy.energy_j:.1f} J")
