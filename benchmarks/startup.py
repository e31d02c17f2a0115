"""Start-up of ``tools/test.py``: from the command to the first convolution, with a checkpoint of the model's size."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from mmdark.errors import InputError

from .machine import ROOT, Settings
from .measure import Case, Work
from .model import build_model, read_config

REACHED = 42
"""Exit status of a process that reached a convolution."""
UNTIL_FIRST_FORWARD = f"""
import os, runpy, sys
import torch

def stop(part, _):
    if isinstance(part, torch.nn.Conv2d):
        os._exit({REACHED})

torch.nn.modules.module.register_module_forward_pre_hook(stop)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name='__main__')
"""


def ours(settings: Settings) -> Work:
    """The tool in a process of its own."""
    folder = TemporaryDirectory()
    checkpoint = Path(folder.name) / 'model.pth'
    torch.save(dict(state_dict=build_model(read_config(settings), settings).state_dict(), meta={}), checkpoint)
    options = {'data_root': f'{settings.data_root}/', **settings.cfg_options}
    tool = str(ROOT / 'tools' / 'test.py')
    command = [sys.executable, '-c', UNTIL_FIRST_FORWARD, tool, settings.config, str(checkpoint)]
    command += ['--work-dir', str(Path(folder.name) / 'work_dir')]
    command += ['--cfg-options', *(f'{key}={value}'.replace(' ', '') for key, value in options.items())]
    environment = {
        **os.environ,
        'PYTHONPATH': os.pathsep.join(filter(None, [str(ROOT), os.environ.get('PYTHONPATH')])),
        'OMP_NUM_THREADS': str(settings.threads),
        **({'CUDA_VISIBLE_DEVICES': ''} if settings.device == 'cpu' else {}),
    }

    def start(_: TemporaryDirectory = folder) -> None:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != REACHED:
            last = (done.stderr.strip().splitlines() or ['no message'])[-1]
            raise InputError(f'startup: tools/test.py ended before its first forward: {last.removeprefix("error: ")}')

    return Work(start, images=1)


STARTUP = Case('start-up of tools/test.py until its first forward', ours, reads_photographs=True)
