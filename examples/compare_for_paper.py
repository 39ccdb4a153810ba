"""Which search needs the least energy on your own training? Medians, tests, curves, a page and a tidy table.

    python examples/compare_for_paper.py [SEEDS] [KWH]

Every strategy gets the same seeds and the same budget, and the searches of a seed take turns. Searches that are done
are not run again.
"""

import subprocess
import sys
import warnings
from pathlib import Path

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import ecoml

STRATEGIES = ("random", "mo-asha", "bayes")
TARGETS = (0.95, 0.97)
OUT = Path("runs/for-paper")
x, y = load_digits(return_X_y=True)
x_train, x_val, y_train, y_val = train_test_split(x / 16, y, test_size=0.3, random_state=0)

space = ecoml.Space(
    {
        "width": ecoml.Int(8, 256, log=True, default=64),
        "alpha": ecoml.Float(1e-6, 1.0, log=True, default=1e-4),
        "learning_rate_init": ecoml.Float(1e-4, 1e-1, log=True, default=1e-3),
        "batch_size": ecoml.Choice([32, 64, 128], default=64),
    }
)


def train(config):
    """Validation accuracy after each of 15 epochs."""
    others = {key: value for key, value in config.items() if key != "width"}
    network = MLPClassifier((config["width"],), max_iter=1, warm_start=True, random_state=0, **others)
    for _ in range(15):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that one more epoch would lower the loss is known
            network.fit(x_train, y_train)
        yield network.score(x_val, y_val)


def searched(strategy, seed, budget_kwh):
    """The folder of a search, which is run unless it has come to its end."""
    folder = OUT / strategy / f"seed-{seed}"
    if not folder.exists():
        ecoml.search(space, train, budget_kwh=budget_kwh, strategy=strategy, seed=seed, directory=folder)
    elif not ecoml.Result.load(folder).complete:
        ecoml.Searcher.resume(folder, train).run()
    return folder


if __name__ == "__main__":
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    budget_kwh = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0001
    folders = []
    for seed in range(seeds):
        turns = STRATEGIES[seed % len(STRATEGIES) :] + STRATEGIES[: seed % len(STRATEGIES)]
        folders += [searched(strategy, seed, budget_kwh) for strategy in turns]
    targets = [word for target in TARGETS for word in ("--target", str(target))]
    subprocess.run([sys.executable, "-m", "ecoml", "compare", *folders, *targets, "--out", OUT / "all"], check=True)
