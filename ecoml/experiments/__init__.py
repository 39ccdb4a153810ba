"""Studies of many searches: comparisons, effects of parameters, profiles of a network, the paper's experiments."""
