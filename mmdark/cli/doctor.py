"""``mmdark doctor``: what is installed, what is missing, and how to mend it; it needs Python and ``packaging``."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import warnings
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import mmdark
from mmdark.cli import ERROR, register_everything
from mmdark.errors import InputError
from mmdark.families import installed_packages

OK, NOTE, WRONG = 'ok', 'note', 'WRONG'
"""States of a finding: fine; an optional feature does not work; detection does not run."""

PACKAGES = {
    'torch': ('torch',),
    'numpy': ('numpy',),
    'cv2': ('opencv-python', 'opencv-python-headless'),
    'torchmetrics': ('torchmetrics',),
    'scipy': ('scipy',),
    'PIL': ('pillow',),
    'matplotlib': ('matplotlib',),
    'rich': ('rich',),
    'yaml': ('pyyaml',),
    'mmengine': ('mmengine', 'onedl-mmengine'),
    'mmcv': ('mmcv', 'mmcv-lite', 'onedl-mmcv'),
    'mmdet': ('mmdet', 'onedl-mmdetection'),
}
"""Module → packages that provide it, in the order of their dependencies."""

EXTRAS = {
    'safetensors': ('files *.safetensors', 'pip install safetensors'),
    'onnxruntime': ('mmdark export --format onnx', "pip install 'mmdark[onnx]'"),
    'tensorboard': ('mmdark train --tensorboard', 'pip install tensorboard'),
    'av': ('videos', "pip install 'mmdark[video]'"),
}
"""Package → what it is used for, and how to install it."""

ANY = SpecifierSet()
PYTHON = (3, 10)
DATA = {'WIDER FACE': 'data/wider', 'DARK FACE': 'data/dark_face', 'ExDark': 'data/exdark'}
"""Data set → its image folder in the configs, relative to the current folder."""
LITTLE_SPACE = 2**30
"""Free space in bytes below which a note is printed; a training writes checkpoints of a few hundred megabytes."""


class Finding(NamedTuple):
    """One line of the table: ``ok``, ``note`` or ``WRONG``; the subject; what was found; what to do."""

    state: str
    what: str
    found: str
    remedy: str = ''


def run(arguments: list[str]) -> int:
    """Print the table.

    Returns:
        0 if detection can run, otherwise 1.
    """
    parsed = argparse.ArgumentParser('mmdark doctor', description=__doc__.split(': ', 1)[1])
    parsed.parse_args(arguments)
    wrong = 0
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        for finding in findings():
            wrong += finding.state == WRONG
            print(f'{finding.state:<6}{finding.what:<14}{finding.found}', flush=True)
            if finding.remedy:
                print(f'{"":<20}-> {finding.remedy}', flush=True)
    print()
    print(
        f'Detection cannot run: mend the {wrong} marked WRONG, the first one first.' if wrong else 'Detection can run.'
    )
    return ERROR if wrong else 0


def findings() -> Iterator[Finding]:
    """Check everything and yield each finding immediately."""
    yield from _this()
    yield from _packages()
    try:
        register_everything()
    except InputError as error:
        yield Finding(WRONG, 'mmdark starts', f'no: {error}', 'mend what is marked above; nothing more can be checked')
    else:
        yield Finding(OK, 'mmdark starts', 'yes, all its modules are registered')
        yield _device()
        yield from _torchvision()
        yield _weights()
    yield from _extras()
    yield from _places()


def _this() -> Iterator[Finding]:
    python = f'{platform.python_version()}, {platform.system()} {platform.machine()}, {sys.executable}'
    old = sys.version_info[:2] < PYTHON
    yield Finding(WRONG if old else OK, 'Python', python, 'Python 3.10 or newer is needed' if old else '')
    place = f'{mmdark.__version__}, {Path(mmdark.__file__).parent}'
    try:
        version('mmdark')
        yield Finding(OK, 'mmdark', place)
    except PackageNotFoundError:
        yield Finding(NOTE, 'mmdark', f'{place}, not installed', 'pip install -e . in its folder')


def _packages() -> Iterator[Finding]:
    """Check that each package is installed, has a supported version, and can be imported."""
    families = installed_packages()
    if len(families) > 1:
        both = ' and '.join(', '.join(packages) for packages in families.values())
        remedy = 'make a fresh environment with one of them: bash tools/setup_env.sh in a clone'
        yield Finding(WRONG, 'two families', f'{both} own the same import names', remedy)
    elif families:
        yield Finding(OK, 'family', next(iter(families)))
    bounds = required_versions()
    for module, names in PACKAGES.items():
        yield _package(module, names, bounds)


def required_versions() -> dict[str, SpecifierSet]:
    """Package → version bounds of the installed mmdark and its extras; empty if mmdark is not installed."""
    try:
        needed = map(Requirement, requires('mmdark') or [])
    except PackageNotFoundError:
        return {}
    return {each.name: each.specifier for each in needed if each.specifier}


def shown(bounds: SpecifierSet) -> str:
    """The bounds as text, lower bound first."""
    return ','.join(sorted(map(str, bounds), reverse=True))


def _package(module: str, names: tuple[str, ...], bounds: dict[str, SpecifierSet]) -> Finding:
    there = {name: number for name in names if (number := _version(name))}
    if not there:
        wanted = 'mmdark[openmmlab]' if module.startswith('mm') else names[0] + shown(bounds.get(names[0], ANY))
        return Finding(WRONG, module, 'not installed', f"pip install '{wanted}', or bash tools/setup_env.sh in a clone")
    found = ', '.join(f'{name} {number}' for name, number in there.items())
    for name, number in there.items():
        if not bounds.get(name, ANY).contains(number, prereleases=True):
            return Finding(WRONG, module, f'{found} does not fit', f"pip install '{name}{shown(bounds[name])}'")
    try:
        import_module(module)
    except Exception as error:  # a broken package can raise any exception at import
        reason = next(iter(str(error).splitlines()), '')
        again = ' '.join(f'{name}=={number.split("+")[0]}' for name, number in there.items())
        remedy = f'pip install --force-reinstall --no-deps {again}'
        if 'torchvision' in reason:
            remedy = 'install the torchvision for this torch (see pytorch.org), or pip uninstall torchvision'
        return Finding(WRONG, module, f'{found} does not import ({type(error).__name__}: {reason})', remedy)
    return Finding(OK, module, found + (_ops() if module == 'mmcv' else ''))


def _ops() -> str:
    if find_spec('mmcv._ext') is None:
        return ', without compiled ops (detection needs none)'
    return ', with compiled ops'


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _device() -> Finding:
    import torch

    if torch.cuda.is_available():
        cards = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
        return Finding(OK, 'device', ', '.join(f'{card.name} {card.total_memory / 2**30:.0f} GiB' for card in cards))
    found = f'CPU, {torch.get_num_threads()} threads'
    if shutil.which('nvidia-smi'):
        return Finding(
            NOTE, 'device', f'{found}; torch {torch.__version__} sees no GPU', 'install torch built for CUDA'
        )
    return Finding(OK, 'device', found)


def _torchvision() -> Iterator[Finding]:
    """Check torchvision, which two-stage detectors need if mmcv has no compiled ops."""
    from mmdark.compat.torchvision_ops import find_torchvision, remedy

    extension = find_spec('mmcv._ext')
    if extension and extension.loader is None:
        ops, found = find_torchvision()
        if ops is not None:
            yield Finding(OK, 'torchvision', f'{found.split()[-1]}, gives mmcv its nms and roi_align')
        else:
            yield Finding(NOTE, 'torchvision', f'{found}; for two-stage detectors', f'{remedy()}, or full mmcv')


def _weights() -> Finding:
    from mmdark.inference.weights import shipped_weights

    try:
        return Finding(OK, 'weights', f'{shipped_weights()} (come with mmdark)')
    except InputError as error:
        return Finding(WRONG, 'weights', 'missing', str(error))


def _extras() -> Iterator[Finding]:
    for name, (what_for, remedy) in EXTRAS.items():
        if number := _version(name):
            yield Finding(OK, name, number)
        else:
            yield Finding(NOTE, name, f'not installed; for {what_for}', remedy)


def _places() -> Iterator[Finding]:
    for what, folder in DATA.items():
        if os.path.isdir(folder):
            yield Finding(OK, what, folder)
        else:
            yield Finding(
                NOTE,
                what,
                f'not in {folder}; for training and testing only',
                'see Data and weights in docs/getting_started.md',
            )
    free = shutil.disk_usage('.').free
    size = f'{free / 2**30:.1f} GiB free here'
    if not os.access('.', os.W_OK):
        yield Finding(NOTE, 'disk', f'{size}, but this folder cannot be written', 'go elsewhere, or use --out-dir')
    elif free < LITTLE_SPACE:
        yield Finding(NOTE, 'disk', size, 'free some: results are not written to a full disk')
    else:
        yield Finding(OK, 'disk', size)
