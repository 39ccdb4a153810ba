"""Tests of whether a host's counters can be trusted."""
