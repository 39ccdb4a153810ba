"""BoTorch is imported once, quietly: it uses parts of torch that are declared deprecated."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import botorch  # noqa: F401
