"""The models of `bayes`: scores and joules, as BoTorch models over (configuration, step)."""
