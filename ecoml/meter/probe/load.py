"""A known load for testing counters: busy CPUs, and GPUs that multiply matrices."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_BLOCK = bytes(1 << 20)  # hashing a block this large takes about a millisecond, in which the GIL is free
_MATRIX = 4096


@contextmanager
def busy_cpus(threads: int) -> Iterator[Callable[[], float]]:
    """Keep this many CPUs busy; the context gives a function that returns the CPU seconds spent so far."""
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            hashlib.sha256(_BLOCK)

    workers = [threading.Thread(target=work, name="ecoml-load", daemon=True) for _ in range(threads)]
    for worker in workers:
        worker.start()
    clocks = [time.pthread_getcpuclockid(worker.ident) for worker in workers if worker.ident is not None]
    try:
        yield lambda: sum(time.clock_gettime(clock) for clock in clocks)
    finally:
        stop.set()
        for worker in workers:
            worker.join()


@contextmanager
def busy_gpus() -> Iterator[None]:
    """Keep every GPU that torch sees busy with matrix products; without a GPU, do nothing."""
    import torch

    stop, busy = threading.Event(), threading.Semaphore(0)

    def work(device: int) -> None:
        try:
            with torch.inference_mode():
                matrix = torch.randn(_MATRIX, _MATRIX, device=f"cuda:{device}", dtype=torch.bfloat16)
                while not stop.is_set():
                    for _ in range(8):
                        matrix @ matrix
                    torch.cuda.synchronize(device)
                    busy.release()
        finally:
            busy.release()

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    workers = [threading.Thread(target=work, args=(n,), name="ecoml-load", daemon=True) for n in range(count)]
    for worker in workers:
        worker.start()
        busy.acquire()  # the first use of a GPU takes seconds
    try:
        yield
    finally:
        stop.set()
        for worker in workers:
            worker.join()
