"""One implementation at work in a process of its own, so that neither sees the other's modules, patches or memory."""

from __future__ import annotations

import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType

import cv2
import torch
from mmengine.registry import init_default_scope

from mmdark.engine import keep_freed_memory
from mmdark.errors import InputError

from .settings import Settings

STATUS = Path('/proc/self/status')
FORGET_PEAK = '5'
"""What ``/proc/self/clear_refs`` takes to set the peak of the memory back to what is used now; see proc(5)."""


@dataclass(frozen=True)
class Work:
    """What is measured.

    Attributes:
        call: does it once; a number or a tensor of one that it returns is compared with the other implementation's.
        images: how many images one call takes.
        flops: floating-point operations of one call, if they are known.
    """

    call: Callable[[], object]
    images: int
    flops: float | None = None


@dataclass(frozen=True)
class Turn:
    """A few calls without a pause: seconds of one call, and what the last one returned, if that is a number."""

    seconds: float
    result: float | None


Build = Callable[[Settings], Work]
"""Prepares the work; a function of a module, or a ``functools.partial`` of one, so that it can be sent."""


class Side:
    """A process that prepares its work and then does a turn whenever it is told to.

    Args:
        build: prepares the work, in that process.
        settings: given to ``build``.
        keep_memory: keep what is freed, as ``KeepFreedMemory`` does in every training and test of ours.

    Attributes:
        images: in one call.
        flops: of one call.

    Raises:
        InputError: what ``build`` raised.
    """

    def __init__(self, build: Build, settings: Settings, keep_memory: bool = False) -> None:
        context = get_context('spawn')
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, build, settings, keep_memory))
        self._process.start()
        other.close()
        try:
            self.images, self.flops = self._answer()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Side:
        """The side itself."""
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Let the process end."""
        self.close()

    def turn(self, calls: int, warm: bool) -> Turn:
        """``calls`` calls in a row, after one that does not count if ``warm``."""
        self._pipe.send((calls, warm))
        return self._answer()

    def memory(self) -> int | None:
        """The most bytes that the work has taken: on the GPU, or of the process beyond what its imports take."""
        self._pipe.send(None)
        return self._answer()

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.join(timeout=30)
        if self._process.is_alive():
            self._process.terminate()

    def _answer(self) -> object:
        try:
            answer = self._pipe.recv()
        except EOFError:
            self._process.join()
            raise InputError(
                f'a measuring process died (exit code {self._process.exitcode}; -9: out of memory): '
                'take a smaller --batch-size or --size'
            ) from None
        if isinstance(answer, BaseException):
            raise answer
        return answer


def _serve(pipe: Connection, build: Build, settings: Settings, keep_memory: bool) -> None:
    """Prepare the work, then answer: a turn for (calls, warm), the peak of the memory for None."""
    warnings.simplefilter('ignore')
    try:
        if keep_memory:
            keep_freed_memory()
        torch.set_num_threads(settings.threads)
        cv2.setNumThreads(settings.threads)
        init_default_scope('mmdet')
        base = _start_counting_memory(settings.device)
        work = build(settings)
        pipe.send((work.images, work.flops))
        while True:
            order = pipe.recv()
            pipe.send(_peak(settings.device, base) if order is None else take_turn(work, *order, settings.device))
    except EOFError:
        return
    except InputError as error:
        pipe.send(error)
    except Exception:
        pipe.send(RuntimeError(traceback.format_exc()))


def take_turn(work: Work, calls: int, warm: bool, device: str) -> Turn:
    """See :meth:`Side.turn`; a GPU has finished before the clock starts and before it stops."""
    result = work.call() if warm else None
    finish(device)
    start = time.perf_counter()
    for _ in range(calls):
        result = work.call()
    finish(device)
    seconds = (time.perf_counter() - start) / calls
    number = isinstance(result, (int, float)) or (isinstance(result, torch.Tensor) and result.numel() == 1)
    return Turn(seconds, float(result) if number else None)


def finish(device: str) -> None:
    """Wait until a GPU has done what it was told."""
    if device == 'cuda':
        torch.cuda.synchronize()


def _start_counting_memory(device: str) -> int:
    """Bytes that are in use before the work begins."""
    if device == 'cuda':
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    if not STATUS.exists():
        return 0
    Path('/proc/self/clear_refs').write_text(FORGET_PEAK)
    return _status('VmRSS')


def _peak(device: str, base: int) -> int | None:
    if device == 'cuda':
        return torch.cuda.max_memory_allocated() - base
    return max(_status('VmHWM') - base, 0) if STATUS.exists() else None


def _status(name: str) -> int:
    """A line of ``/proc/self/status``, which is in KiB, in bytes. getrusage would tell the parent's peak, too."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f'{name}:'))
    return int(line.split()[1]) * 1024
