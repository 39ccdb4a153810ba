"""Short searches by strategies of other libraries."""

from ecoml.space import Float, Int, Space
from ecoml.testing.recorder import record_search
from ecoml.testing.strategies import train

LINE = Space({"x": Float(0.0, 1.0), "n": Int(1, 9)})


def trials_of(strategy, space, decisions, train=train):
    """What becomes of so many decisions, in order."""
    return list(record_search(strategy, space, train, decisions=decisions).trials.values())
