"""Work that notes when it is called; a process of its own can import it."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.machine import Settings
from benchmarks.measure import Work, peak_memory, start_counting_memory
from mmdark.errors import InputError

DARK_ISP = """
import easydict, time, torchvision

def Low_Illumination_Degrading(img):
    time.sleep({seconds})
    assert img.shape == (3, {size}, {size}) and 0 <= img.min() and 0.5 < img.max() <= 1
    return img.cuda(), None
"""


def noting(settings: Settings, name: str, file: Path, seconds: float) -> Work:
    return Work(partial(_note, name, file, seconds), images=2, flops=1e9)


def _note(name: str, file: Path, seconds: float) -> float:
    with file.open('a') as notes:
        notes.write(name)
    time.sleep(seconds)
    return 0.5


def failing(settings: Settings, how: str) -> Work:
    if how == 'input':
        raise InputError('the config is wrong')
    os._exit(3)


def write_checkout(root: Path, size: int, seconds: float) -> Path:
    """A checkout that has all files that are used; one of them works, and takes its time."""
    from benchmarks.published import FILES

    for name, word in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f'class {word}: ...\n')
    (root / 'utils' / 'DarkISP.py').write_text(DARK_ISP.format(seconds=seconds, size=size))
    return root


def memory_of_64_mebibytes() -> int:
    """What is counted of them, in bytes, after four times as many have come and gone."""
    np.ones(2**28, np.uint8)
    base = start_counting_memory('cpu')
    np.ones(2**26, np.uint8)
    return peak_memory('cpu', base)
