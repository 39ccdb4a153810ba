"""Thinking on one thread, and what others had is given back."""

from threadpoolctl import threadpool_info

from ecoml.strategies.quiet import one_thread


def blas_threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_within_it_blas_has_one_thread_and_afterwards_as_many_as_before():
    with one_thread():
        pass  # the libraries are loaded now
    before = blas_threads()
    with one_thread():
        within = blas_threads()
    assert before
    assert within == [1] * len(before)
    assert blas_threads() == before
