"""The charts of a run, as Vega-Lite specifications."""
