"""A search over a PyTorch loop of your own: width, learning rate and optimiser of a small network on digits.

python examples/pytorch_loop.py [KWH]
"""

import sys

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

import ecoml

EPOCHS = 15
torch.optim.SGD([torch.zeros(1)])  # the first optimiser loads PyTorch's compiler: that is not the first trial's to pay
x, y = load_digits(return_X_y=True)
x_train, x_val, y_train, y_val = (
    torch.as_tensor(part) for part in train_test_split(x.astype("float32") / 16, y, test_size=0.2, random_state=0)
)

space = ecoml.Space(
    {
        "learning_rate": ecoml.Float(1e-4, 1e-1, log=True, default=3e-3),
        "width": ecoml.Int(8, 256, log=True, default=64),
        "depth": ecoml.Int(1, 3, default=1),
        "optimizer": ecoml.Choice(["sgd", "adam"], default="adam"),
    }
)


def train(config):
    """Yields the validation accuracy after each epoch; at each yield ecoml reads the meter."""
    width = config["width"]
    layers = [nn.Linear(64, width), nn.ReLU()]
    for _ in range(config["depth"] - 1):
        layers += [nn.Linear(width, width), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(width, 10))
    optimizers = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
    optimizer = optimizers[config["optimizer"]](model.parameters(), lr=config["learning_rate"])
    for _ in range(EPOCHS):
        model.train()
        for batch in torch.randperm(len(x_train)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x_train[batch]), y_train[batch]).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            yield (model(x_val).argmax(1) == y_val).float().mean().item()


if __name__ == "__main__":
    budget_kwh = float(sys.argv[1]) if len(sys.argv) > 1 else 0.0002
    result = ecoml.search(space, train, budget_kwh=budget_kwh, metric=ecoml.Metric(low=0, high=1, step="epoch"))
    for trial in result.front:
        print(f"{trial.score:.1%} after {trial.step} epochs: {trial.energy.energy_j:.2f} J, {dict(trial.config)}")
    print(f"recommended: trial {result.recommended.number}; all of it took {result.energy.total_j:.0f} J")
    print(f"the page: ecoml report {result.directory}")
