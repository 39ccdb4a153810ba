"""The energy inside a network: joules, time, FLOP and bytes of each layer of one training step.

layers    the layers of a network, with their inputs in a forward pass
measure   repeated execution of many small tasks, in turns, under a meter or by CPU time
step      one training step, as a whole and in parts
subject   what is profiled: a configuration, a trial of a run, a function that builds a module
tables    the result as tables, as JSON and as a chart
"""
