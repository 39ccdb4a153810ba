"""The process that trains: optimiser, steps, loop and evaluation. Its files are imported in it alone."""
