"""The ledger: what a search has spent, on what, what is reserved, what is left."""

from ecoml.ledger.ledger import Ledger
from ecoml.ledger.metering import Metering

__all__ = ["Ledger", "Metering"]
