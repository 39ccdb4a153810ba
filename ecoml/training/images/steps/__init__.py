"""The steps of a training: batches, one step and its recipe, and how they are recorded on a GPU."""
