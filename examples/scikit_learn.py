"""A search over a model of scikit-learn: the forest that classifies digits best for its energy.

    python examples/scikit_learn.py [KWH]

The training is a plain function that returns a score. Trees are added in steps, so a generator would do, too: see
`train_in_steps`, with which poor forests are left early.
"""

import sys

from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score, train_test_split

import ecoml

x, y = load_digits(return_X_y=True)
x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.3, random_state=0)

space = ecoml.Space(
    {
        "n_estimators": ecoml.Int(5, 200, log=True, default=100),
        "max_depth": ecoml.Int(3, 20, default=20),
        "max_features": ecoml.Float(0.05, 1.0, log=True, default=0.125),
        "criterion": ecoml.Choice(["gini", "entropy"], default="gini"),
    }
)


def train(config):
    """Accuracy, validated three times; that takes three trainings, and all of them are metered."""
    return cross_val_score(RandomForestClassifier(**config, random_state=0), x_train, y_train, cv=3).mean()


def train_in_steps(config):
    """Out-of-bag accuracy after each fifth of the trees."""
    forest = RandomForestClassifier(**config, random_state=0, warm_start=True, oob_score=True)
    for fifth in range(1, 6):
        forest.set_params(n_estimators=max(fifth * config["n_estimators"] // 5, 1)).fit(x_train, y_train)
        yield forest.oob_score_


if __name__ == "__main__":
    budget_kwh = float(sys.argv[1]) if len(sys.argv) > 1 else 0.0002
    result = ecoml.search(space, train, budget_kwh=budget_kwh)
    best = RandomForestClassifier(**result.recommended.config, random_state=0).fit(x_train, y_train)
    print(f"recommended: {dict(result.recommended.config)}")
    print(f"accuracy: {result.recommended.score:.1%} validated, {best.score(x_test, y_test):.1%} on the test data")
    print(f"energy: {result.recommended.energy.energy_j:.2f} J of {result.energy.total_j:.0f} J")
