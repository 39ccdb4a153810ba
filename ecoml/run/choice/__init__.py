"""Which model of a run to use: the best, a cheaper one, or the cheapest over its life."""
