"""The steps of a training: batches, one step and its optimiser, and recordings of steps on a GPU."""
