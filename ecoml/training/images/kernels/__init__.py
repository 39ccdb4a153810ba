"""Triton kernels for what PyTorch computes slowly on a GPU."""
