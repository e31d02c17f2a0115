"""Where a benchmark ran: device, versions, commit, load."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import datetime, timezone
from pathlib import Path

import torch

import mmdark
from mmdark.errors import InputError

from .settings import Settings

CPU_INFO = Path('/proc/cpuinfo')
PEAKS = {
    'NVIDIA H200': (989.0, 495.0),
    'NVIDIA H100 80GB HBM3': (989.0, 495.0),
    'NVIDIA H100 PCIe': (756.0, 378.0),
    'NVIDIA A100-SXM4-80GB': (312.0, 156.0),
    'NVIDIA A100-SXM4-40GB': (312.0, 156.0),
}
"""The device's name → dense TFLOP/s in bfloat16 and in TF32, from NVIDIA's data sheets, which print twice as much, for
sparse matrices. Long matrix products reach less: about 790 on an H200."""


def check_device(device: str) -> None:
    """Whether there is such a device.

    Raises:
        InputError: CUDA is asked for and there is none.
    """
    if device == 'cuda' and not torch.cuda.is_available():
        raise InputError('--device cuda: torch finds no CUDA device here; take --device cpu')


def device_name(device: str) -> str:
    """What the maker calls it."""
    if device == 'cuda':
        return torch.cuda.get_device_name()
    if CPU_INFO.exists():
        named = [line for line in CPU_INFO.read_text().splitlines() if line.startswith('model name')]
        if named:
            return f'{named[0].split(":", 1)[1].strip()}, {os.cpu_count()} cores'
    return f'{platform.processor() or platform.machine()}, {os.cpu_count()} cores'


def peak_tflops(name: str, amp: bool) -> float | None:
    """The most dense TFLOP/s of a known GPU in the precision that its convolutions run in; None for all else.

    Float32 convolutions run in TF32, which is what torch lets cuDNN do unless it is forbidden.

    Example:
        >>> peak_tflops('NVIDIA H200', amp=True)
        989.0
    """
    return PEAKS[name][0 if amp else 1] if name in PEAKS else None


def commit() -> str:
    """Of the checkout that mmdark runs from, with ``+`` where its code has changed since; the version otherwise."""
    root = Path(mmdark.__file__).resolve().parents[1]
    try:
        head = _git(root, 'rev-parse', '--short', 'HEAD')
        changed = _git(root, 'status', '--porcelain', '--untracked-files=no', 'mmdark', 'configs', 'tools')
    except (OSError, subprocess.CalledProcessError):
        return f'mmdark {mmdark.__version__}'
    return head + ('+' if changed else '')


def _git(root: Path, *words: str) -> str:
    said = subprocess.run(['git', *words], cwd=root, capture_output=True, text=True, check=True)
    return said.stdout.strip()


def machine(settings: Settings) -> dict[str, object]:
    """What a figure means nothing without."""
    return dict(
        device=device_name(settings.device),
        torch=torch.__version__,
        python=platform.python_version(),
        mmdark=mmdark.__version__,
        commit=commit(),
        date=datetime.now(timezone.utc).isoformat(timespec='minutes'),
        threads=settings.threads,
        load=round(os.getloadavg()[0], 1),
    )
