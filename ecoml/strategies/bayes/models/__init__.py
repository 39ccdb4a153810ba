"""What `bayes` expects: scores and joules, as BoTorch models over (configuration, step)."""
