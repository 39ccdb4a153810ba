"""Sources of energy: one file per kind of counter, and the detection of other processes that share them."""
