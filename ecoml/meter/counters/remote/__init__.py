"""Energy that another service counts, read over HTTP."""
