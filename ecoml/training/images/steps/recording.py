"""Steps of an epoch, replayed from recordings (CUDA graphs) if this is worth it.

    the first steps     run on the recording's own stream: what libraries allocate on first use, and what cuDNN
    searches, must not be part of the recording
    one more step       runs with waiting for the device forbidden: recording a step that waits would fail, and damage
    torch's allocator for good
    the recording       computes nothing; one call replays it, and a recording of several steps saves the gaps between
    them

All of them are steps of the training. Each recording has its own stream: when a graph is destroyed, cuBLAS's workspaces
of its stream are freed, and another graph of that stream would continue to write to them (pytorch #193402).
"""

from __future__ import annotations

import contextlib
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

WORTH_STEPS = 30
"""Number of steps of one shape, past and future, from which recording is worth it; a recording costs about as much as
ten steps.
"""

UNROLLED = 4
"""Number of short steps in one recording."""

UNROLLED_BELOW_FLOP = 5e10
"""FLOP of a batch's forward pass below which a step is short: about a millisecond on a large GPU."""

_WARM_UP = 2

_cuda: Any = torch.cuda  # untyped in some versions


class StepRecorder(Protocol):
    """Records steps on a device."""

    bytes: int
    """Bytes of memory that its recordings reserve."""

    def aside(self, step: Callable[[], None]) -> None:
        """Run a step on the recording's stream."""

    def strictly(self, step: Callable[[], None]) -> None:
        """Run a step with waiting for the device forbidden.

        Raises:
            RuntimeError: The step waited.
        """

    def record(self, step: Callable[[], None], count: int) -> Callable[[], None]:
        """A recording of `count` steps, without running them; calling it runs them."""

    def release(self) -> None:
        """Destroy the recordings. May be called twice."""


class Player:
    """Runs the steps of a training: one by one, or from recordings once these are worth it.

    Args:
        step: Runs the next step.
        clear: Clears the gradients that a step leaves.
        state: Everything that a step changes; it is restored if a step had to be abandoned.
        recorder: Records steps; None: no recording is possible.
        unrolled: Number of steps per recording.

    Attributes:
        refused: Why the steps could not be recorded; empty if they could, or were not to be.
    """

    def __init__(
        self,
        step: Callable[[], None],
        clear: Callable[[], None],
        state: Sequence[Tensor],
        recorder: StepRecorder | None,
        unrolled: int = UNROLLED,
    ) -> None:
        self.refused = ""
        self._step = step
        self._clear = clear
        self._state = state
        self._recorder = recorder
        self._unrolled = unrolled
        self._taken = 0
        self._warm = 0
        self._recordings: dict[int, Callable[[], None]] = {}  # by their steps

    @property
    def recorded(self) -> bool:
        """Whether there is a recording."""
        return bool(self._recordings)

    def take(self, coming: int) -> int:
        """Run one or several of the epoch's remaining steps; returns how many."""
        worth = self._recorder is not None and not self.refused and self._taken + coming >= WORTH_STEPS
        count = self._play(self._recorder, coming) if worth and self._recorder is not None else self._one()
        self._taken += count
        return count

    def release(self) -> None:
        """Destroy the recordings; they are made again for further steps."""
        self._recordings.clear()
        self._warm = 0
        if self._recorder is not None:
            self._recorder.release()

    def _one(self) -> int:
        self._step()
        return 1

    def _play(self, recorder: StepRecorder, coming: int) -> int:
        if self._warm < _WARM_UP:
            self._warm += 1
            recorder.aside(self._step)
            return 1
        if self._warm == _WARM_UP:
            self._warm += 1
            return self._try_out(recorder)
        count = self._unrolled if coming >= self._unrolled else 1
        if count not in self._recordings:
            self._clear()  # a recording's gradients lie in its own memory
            with self._refusing():
                self._recordings[count] = recorder.record(self._step, count)
            self._clear()
        if self.refused:
            self.release()
            return self._one()
        self._recordings[count]()
        return count

    def _try_out(self, recorder: StepRecorder) -> int:
        before = [value.detach().clone() for value in self._state]
        with self._refusing():
            recorder.strictly(self._step)
        if self.refused:
            with torch.no_grad():
                for value, kept in zip(self._state, before, strict=True):
                    value.copy_(kept)
            return self._one()
        return 1

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        """Store the reason why something cannot be recorded. A failed device and exhausted memory are not such
        reasons.
        """
        try:
            yield
        except (torch.AcceleratorError, torch.OutOfMemoryError):
            raise
        except (RuntimeError, NotImplementedError) as error:  # a caller's model that looks at values, for one
            self.refused = str(error).partition("\n")[0] or type(error).__name__


class CudaRecorder:
    """Records CUDA graphs on the current device, in their own memory and on their own stream."""

    def __init__(self) -> None:
        self.bytes = 0
        self._stream: Any = None
        self._graphs: list[Any] = []
        _recorders.add(self)

    def aside(self, step: Callable[[], None]) -> None:
        if self._stream is None:
            self._stream = _streams.pop() if _streams else _cuda.Stream()
        self._stream.wait_stream(torch.cuda.current_stream())
        try:
            with torch.cuda.stream(self._stream):
                step()
        finally:
            torch.cuda.current_stream().wait_stream(self._stream)

    def strictly(self, step: Callable[[], None]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that this is a prototype
            torch.cuda.set_sync_debug_mode("error")
            try:
                self.aside(step)
            finally:
                torch.cuda.set_sync_debug_mode("default")

    def record(self, step: Callable[[], None], count: int) -> Callable[[], None]:
        torch.cuda.empty_cache()  # entering a graph does it too; here it shows what the graph takes
        before, graph = torch.cuda.memory_reserved(), torch.cuda.CUDAGraph()
        shared = {"pool": self._graphs[0].pool()} if self._graphs else {}
        try:
            # The stream around it: a recording that fails may leave its own behind as the current one.
            with torch.cuda.stream(self._stream), torch.cuda.graph(graph, stream=self._stream, **shared):
                for _ in range(count):
                    step()
        except torch.AcceleratorError:
            raise
        except Exception:
            self._stream = None  # it may still be recording: nobody is to have it again
            torch.cuda.synchronize()
            raise
        self._graphs.append(graph)
        self.bytes += max(0, torch.cuda.memory_reserved() - before)
        play: Callable[[], None] = graph.replay
        return play

    def release(self) -> None:
        self._graphs.clear()
        self.bytes = 0
        if self._stream is not None:
            _streams.append(self._stream)
            self._stream = None


def recorder_of(device: torch.device) -> StepRecorder | None:
    """The recorder of a device; None if steps cannot be recorded there."""
    return CudaRecorder() if device.type == "cuda" else None


_streams: list[Any] = []  # those that no recording uses any more
_recorders: weakref.WeakSet[CudaRecorder] = weakref.WeakSet()


def recorded_bytes() -> int:
    """Bytes of memory that all recordings reserve and that torch counts as free."""
    return sum(recorder.bytes for recorder in _recorders)
