"""A hard energy budget for what is no search: a loop of one's own (`loop`), a command and all it starts (`command`)."""

from ecoml.budget.loop import EnergyBudget, energy_budget

__all__ = ["EnergyBudget", "energy_budget"]
