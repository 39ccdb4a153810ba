"""A simulated host with GPUs, and an executor that trains on all of them; time goes by only when all wait for it."""

from __future__ import annotations

import threading
from concurrent.futures import FIRST_COMPLETED, wait

import ecoml
from ecoml.energy import Purpose
from ecoml.meter import open_meter
from ecoml.testing.hosts import SimulatedHost

GPU_W = (300.0, 700.0)
CPU_W = 100.0
LOOKS = 4
PATIENCE_S = 60.0


class Rig:
    """Lets the simulated time go by, to the end of the next thing that any lane is at.

    Attributes:
        meter: Its meter.
        taken_over: (trial, worker) wherever a worker went on with a run.
    """

    def __init__(self, folder, monkeypatch, *, counted=2):
        self.host = SimulatedHost(folder)
        self.host.add_package(power_w=CPU_W, period_s=1e-3)
        self.gpus = [self.host.add_gpu(power_w=power_w, period_s=1e-3) for power_w in GPU_W[:counted]]
        self.taken_over = []
        self.interrupt_at = None
        self._ends_s = {}
        self._changed = threading.Condition()
        self.meter = open_meter(
            root=self.host.root, nvml=self.host.nvml, clock=self.host.clock, gpus=tuple(range(counted))
        )
        monkeypatch.setattr("ecoml.searcher.workers.wait", self.conduct)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def spend(self, lane, seconds):
        """Called in a lane: come back when so much time has gone by."""
        with self._changed:
            end_s = self._ends_s[lane] = self.host.now_s + seconds
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self.host.now_s >= end_s - 1e-9, PATIENCE_S), "time stood still"
            del self._ends_s[lane]
            self._changed.notify_all()

    def _all_have_left(self):
        return all(end_s > self.host.now_s + 1e-9 for end_s in self._ends_s.values())

    def conduct(self, steps, return_when=FIRST_COMPLETED):
        """In place of waiting for the first of several steps."""
        while not any(step.done() for step in steps):
            with self._changed:
                if len(self._ends_s) < len(steps):
                    self._changed.wait(0.001)
                    continue
                if self.interrupt_at is not None and self.host.now_s >= self.interrupt_at:
                    self.interrupt_at = None
                    raise KeyboardInterrupt
                self.host.advance(max(0.0, min(self._ends_s.values()) - self.host.now_s))
                self._changed.notify_all()
                self._changed.wait_for(self._all_have_left, PATIENCE_S)
        return wait(steps, return_when=return_when)


class Alone(Rig):
    """One lane, in the loop's own thread."""

    def spend(self, lane, seconds):
        self.host.advance(seconds)


class Worker:
    """A GPU on which a step takes as many seconds as the configuration's width is tens."""

    def __init__(self, rig, gpu, outcome):
        self.rig, self.gpu, self.outcome = rig, gpu, outcome

    def start(self, trial, account):
        return Run(self, trial, account)

    def suspend(self, run):
        assert run.worker is self

    def take_over(self, run, account):
        self.rig.taken_over.append((run.trial.number, run.worker.gpu, self.gpu))
        run.worker, run.account = self, account


class Run:
    def __init__(self, worker, trial, account):
        self.worker, self.trial, self.account, self.steps, self.closed = worker, trial, account, 0, False

    def __next__(self):
        seconds = self.trial.config["width"] / 10
        for _ in range(LOOKS):
            self.account.check_budget()
            self.worker.rig.spend(self.worker.gpu, 0.8 * seconds / LOOKS)
        self.account.enter(Purpose.EVALUATION)
        self.worker.rig.spend(self.worker.gpu, 0.2 * seconds)
        self.steps += 1
        if self.steps > 4:
            raise StopIteration
        return ecoml.Measurement(self.worker.outcome(self.trial, self.steps))

    def close(self):
        self.closed = True


class OnAll:
    """The executor.

    Args:
        rig: Where it trains.
        outcome: trial, step → accuracy; it may raise.
        gpus: How many GPUs.
    """

    def __init__(self, rig, outcome=lambda trial, step: 0.1 * step, gpus=2):
        self.rig = rig
        self._workers = [Worker(rig, gpu, outcome) for gpu in range(gpus)]

    def prepare(self, space):
        pass

    def describe(self):
        return {"kind": "on-all"}

    def gpus(self):
        return tuple(worker.gpu for worker in self._workers)

    def workers(self):
        return self._workers

    def start(self, trial, account):
        return self._workers[0].start(trial, account)
