"""Energy that another service counts, asked for over HTTP."""
