"""Which model of a run to take: the best, a cheaper one, or the cheapest over its life."""
