"""The grid's carbon intensity: stated, from a table, or from a provider; and waiting until it is low."""
