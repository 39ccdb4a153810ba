"""Checks of a host's counters before they are trusted."""
