"""A hard energy budget for any program that is not a search: a loop in Python (`loop`), or a command (`command`)."""

from ecoml.budget.loop import EnergyBudget, energy_budget

__all__ = ["EnergyBudget", "energy_budget"]
