"""The ledger: what was spent, on what, what is reserved, what is left; on disk, with one writer."""

from ecoml.ledger.ledger import Ledger, NeedsMeter
from ecoml.ledger.metering import Metering

__all__ = ["Ledger", "Metering", "NeedsMeter"]
