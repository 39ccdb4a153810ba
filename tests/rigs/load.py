"""A load on a simulated host, for the probe."""

from contextlib import contextmanager


@contextmanager
def loaded(host, busy):
    """While it lasts, the counters in `busy` have their power under load; yields the CPU seconds of two busy CPUs."""
    rest = {counter: counter.power_w for counter in busy}
    began_s = host.now_s
    for counter, power_w in busy.items():
        counter.power_w = power_w
    yield lambda: 2.0 * (host.now_s - began_s)
    for counter, power_w in rest.items():
        counter.power_w = power_w
