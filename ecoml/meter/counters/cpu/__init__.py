"""The energy counters of processors."""
