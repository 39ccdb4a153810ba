"""The ledger: what was spent, on what, what is reserved, what is left; on disk, with one writer."""

from ecoml.run.ledger import Ledger, NeedsMeter
from ecoml.run.metering import Metering

__all__ = ["Ledger", "Metering", "NeedsMeter"]
