"""Sources of energy: one file for each counter, and what tells whose joules they are."""
