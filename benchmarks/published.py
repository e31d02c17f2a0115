"""Load the published implementation from a checkout that the user has: ``git clone https://github.com/ZPDu/DAI-Net``.

Nothing of it is part of mmdark. Its modules have names such as ``utils`` and ``data``, it calls ``.cuda()`` on
everything, and it was written for an older torch: the replacements are made at run time, in a process of its own.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import torch

from mmdark.errors import InputError

FILES = {
    'data/config.py': 'cfg',
    'data/widerface.py': 'WIDERDetection',
    'layers/functions/detection.py': 'Detect',
    'layers/functions/prior_box.py': 'PriorBox',
    'layers/modules/enhance_loss.py': 'EnhanceLoss',
    'layers/modules/multibox_loss.py': 'MultiBoxLoss',
    'models/enhancer.py': 'RetinexNet',
    'models/factory.py': 'build_net',
    'utils/DarkISP.py': 'Low_Illumination_Degrading',
}
"""The files that are used → what is used of each."""


class AttributeDict(dict):
    """As much of ``easydict.EasyDict`` as a table of settings needs."""

    __getattr__ = dict.__getitem__
    __setattr__ = dict.__setitem__


def check_checkout(folder: str) -> Path:
    """The absolute path of a checkout of the published code.

    Raises:
        InputError: a file that is used is missing, or does not define what it should.
    """
    root = Path(folder).resolve()
    for name, word in FILES.items():
        if not (root / name).is_file():
            clone = 'git clone https://github.com/ZPDu/DAI-Net'
            raise InputError(f'--against {folder}: {name} is not there; name a folder that {clone} made')
        if word not in (root / name).read_text(encoding='utf-8', errors='replace'):
            raise InputError(f'--against {folder}: {name} defines no {word}; is it the published DAI-Net?')
    return root


def use_checkout(root: Path, device: str) -> None:
    """Make the checkout importable in this process, which is then of no use for anything else.

    On a CPU, ``.cuda()`` leaves everything where it is. ``Variable`` has wrapped nothing since torch 0.4 and is left
    out, because its old arguments warn or fail. Where easydict or torchvision is missing it is replaced: the one is a
    dict, of the other nothing is used.
    """
    sys.path.insert(0, str(root))
    if find_spec('easydict') is None:
        sys.modules['easydict'] = _module('easydict', EasyDict=AttributeDict)
    if find_spec('torchvision') is None:
        transforms = sys.modules['torchvision.transforms'] = _module('torchvision.transforms')
        sys.modules['torchvision'] = _module('torchvision', transforms=transforms)
    torch.autograd.Variable = lambda value, **_: value
    if device == 'cpu':
        torch.Tensor.cuda = torch.nn.Module.cuda = lambda value, *_, **__: value


def published_part(file: str) -> object:
    """What is used of a file of the checkout: ``published_part('models/enhancer.py')`` is the class ``RetinexNet``.

    Raises:
        InputError: a package that it needs is not installed.
    """
    try:
        module = import_module(file.removesuffix('.py').replace('/', '.'))
    except ModuleNotFoundError as error:
        raise InputError(f'the published code imports {error.name}, which is missing: pip install it') from None
    return getattr(module, FILES[file])


def _module(name: str, **content: object) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(content)
    return module
