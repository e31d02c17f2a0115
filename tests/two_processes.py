"""Two processes that meet through gloo: forks of a server that has imported everything once."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import torch
from mmengine.config import config

from tests.meeting import meeting

PATIENCE = 900
"""Seconds."""


def fork_server() -> ForkServerContext:
    """Of whose forks none imports torch and mmdet again."""
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['tests.training_lives'])
    return context


def run_two_processes(main: Callable[..., None], *arguments: Any, statuses: tuple[int, int] = (0, 0)) -> list[str]:
    """Run a module's function as both of two processes, with one thread each, and wait until both have ended.

    Args:
        main: found by its name.
        arguments: for it; they are pickled.
        statuses: how the processes must end.

    Returns:
        What each has printed, errors too.
    """
    with meeting() as place, tempfile.TemporaryDirectory() as folder:
        outputs = [Path(folder, str(rank)) for rank in (0, 1)]
        processes = [
            fork_server().Process(target=_as_rank, args=(rank, place, str(output), main, arguments))
            for rank, output in enumerate(outputs)
        ]
        for process in processes:
            process.start()
        try:
            for process in processes:
                process.join(PATIENCE)
        finally:
            for process in processes:
                process.kill()
        said = [output.read_text() for output in outputs]
    assert tuple(process.exitcode for process in processes) == statuses, '\n'.join(text[-3000:] for text in said)
    return said


def _as_rank(rank: int, place: dict[str, str], output: str, main: Callable[..., None], arguments: tuple) -> None:
    os.environ.update(place, WORLD_SIZE='2', RANK=str(rank), LOCAL_RANK=str(rank), CUDA_VISIBLE_DEVICES='')
    with open(output, 'w') as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
    torch.set_num_threads(1)
    config.FormatCode = lambda text, **_: (text, True)  # a Runner formats its config five times
    main(*arguments)
