"""Corrects raw counters: wraps, resets, late updates, duplicated dies, the clock."""
