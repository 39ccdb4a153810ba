"""Energy counters of processors."""
