"""What a benchmark is asked for, and where it runs: device, versions, commit, load."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

import mmdark
from mmdark.errors import InputError

ROOT = Path(__file__).resolve().parents[1]
CPU_INFO = Path('/proc/cpuinfo')
PEAKS = {
    'NVIDIA H200': (989.0, 495.0),
    'NVIDIA H100 80GB HBM3': (989.0, 495.0),
    'NVIDIA H100 PCIe': (756.0, 378.0),
    'NVIDIA A100-SXM4-80GB': (312.0, 156.0),
    'NVIDIA A100-SXM4-40GB': (312.0, 156.0),
}
"""The device's name → dense TFLOP/s in bfloat16 and in TF32, from NVIDIA's data sheets, which print twice as much, for
sparse matrices."""


@dataclass(frozen=True)
class Settings:
    """The options of ``benchmark.py``, the same for both implementations except the batch size."""

    config: str
    cfg_options: dict[str, Any] = field(default_factory=dict)
    device: str = 'cpu'
    threads: int = 1
    batch_size: int | None = None
    published_batch_size: int | None = None
    size: int = 640
    faces: int = 40
    amp: bool = False
    channels_last: bool = False
    compile: bool = False
    images: int = 32
    data_root: str | None = None
    workers: int = 4
    seed: int = 0

    def batch(self, on_cpu: int, on_cuda: int, published: bool = False) -> int:
        """Images per call: as asked for, or the default of the device."""
        asked = (self.published_batch_size if published else None) or self.batch_size
        return asked or (on_cuda if self.device == 'cuda' else on_cpu)


def check_device(device: str) -> None:
    """Refuse CUDA where there is none.

    Raises:
        InputError: torch finds no CUDA device.
    """
    if device == 'cuda' and not torch.cuda.is_available():
        raise InputError('--device cuda: torch finds no CUDA device here; take --device cpu')


def device_name(device: str) -> str:
    """The maker's name of the GPU, or of the CPU and its cores."""
    if device == 'cuda':
        return torch.cuda.get_device_name()
    lines = CPU_INFO.read_text().splitlines() if CPU_INFO.exists() else []
    names = [line.split(':', 1)[1].strip() for line in lines if line.startswith('model name')]
    return f'{(names or [platform.processor() or platform.machine()])[0]}, {os.cpu_count()} cores'


def peak_tflops(name: str, amp: bool) -> float | None:
    """The dense TFLOP/s of a known GPU in bfloat16, or in TF32, in which cuDNN computes float32 convolutions.

    Example:
        >>> peak_tflops('NVIDIA H200', amp=True)
        989.0
    """
    return PEAKS[name][0 if amp else 1] if name in PEAKS else None


def commit() -> str:
    """The commit of this clone, with ``+`` where its code has changed since; the version outside of git."""
    try:
        changed = _git('status', '--porcelain', '--untracked-files=no', 'mmdark', 'configs', 'benchmarks')
        return _git('rev-parse', '--short', 'HEAD') + ('+' if changed else '')
    except (OSError, subprocess.CalledProcessError):
        return f'mmdark {mmdark.__version__}'


def _git(*words: str) -> str:
    return subprocess.run(['git', *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def machine(settings: Settings) -> dict[str, object]:
    """Where it runs, for the head of a table."""
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
