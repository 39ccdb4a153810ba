"""The ledger of a search: the energy spent by purpose, reserved, and left."""

from ecoml.ledger.ledger import Ledger
from ecoml.ledger.metering import Metering

__all__ = ["Ledger", "Metering"]
