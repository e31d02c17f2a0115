"""NMS and RoIAlign from torchvision, so that two-stage detectors train with mmcv-lite.

Cause: mmcv's compiled ops are missing, see :mod:`mmdark.compat.compiled_ops`; torchvision has a wheel for each torch.
End: as there. torchvision is imported when the first op is called; one that cannot be imported counts as missing.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmdark.errors import InputError
from mmdark.families import mmcv_without_ops

AVERAGE = 1
"""mmcv's ``pool_mode`` for average pooling; torchvision has no max pooling."""


@cache
def find_torchvision() -> tuple[ModuleType | None, str]:
    """Return ``torchvision.ops`` (None if its compiled part does not load) and a short description."""
    if find_spec('torchvision') is None:
        return None, 'torchvision is not installed'
    try:
        number = import_module('torchvision').__version__
        ops = import_module('torchvision.ops')
        ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    except Exception as error:  # a build for another torch can raise any exception
        reason = next(iter(str(error).splitlines()), '')
        return None, f'torchvision does not load with torch {torch.__version__} ({type(error).__name__}: {reason})'
    return ops, f'torchvision {number}'


def remedy() -> str:
    """How to get a torchvision that loads."""
    return f'install the torchvision for torch {torch.__version__} (see pytorch.org)'


def torchvision_nms(ops: ModuleType, boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """NMS of torchvision with the precision of mmcv's for ``offset=0``: boxes, scores and threshold in float32."""
    return ops.nms(boxes.detach().float(), scores.detach().float(), float(np.float32(iou_threshold)))


def roi_align_forward(
    input: Tensor, rois: Tensor, output: Tensor, argmax_y: Tensor, argmax_x: Tensor, **settings: Any
) -> None:
    """The op of mmcv of this name, which writes into ``output``.

    Args:
        input: features, ``(B, C, H, W)``.
        rois: image index and corners, ``(N, 5)``.
        output: ``(N, C, aligned_height, aligned_width)``.
        argmax_y: unused.
        argmax_x: unused.
        **settings: ``aligned_height``, ``aligned_width``, ``spatial_scale``, ``sampling_ratio``, ``pool_mode``,
            ``aligned``.

    Raises:
        InputError: torchvision is missing or does not load, or max pooling is requested.
    """
    output.copy_(_roi_align(input, rois, **settings))


def roi_align_backward(
    grad_output: Tensor, rois: Tensor, argmax_y: Tensor, argmax_x: Tensor, grad_input: Tensor, **settings: Any
) -> None:
    """The op of mmcv of this name, which writes into ``grad_input``; arguments as in :func:`roi_align_forward`.

    RoIAlign is linear in the features, so its gradient is the same for all features and is computed at zeros.
    """
    with torch.enable_grad():
        features = torch.zeros_like(grad_input, requires_grad=True)
        aligned = _roi_align(features, rois, **settings)
    grad_input.copy_(torch.autograd.grad(aligned, features, grad_output.to(aligned.dtype))[0])


def _roi_align(
    features: Tensor,
    rois: Tensor,
    *,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> Tensor:
    """Compute RoIAlign at least in float32, because torchvision has no bfloat16 on a CPU."""
    if pool_mode != AVERAGE:
        mmcv, compiled = mmcv_without_ops()
        raise InputError(f"{mmcv} has no compiled op roi_align, and torchvision none with pool_mode='max'; {compiled}")
    ops, found = find_torchvision()
    if ops is None:
        mmcv, compiled = mmcv_without_ops()
        raise InputError(f'{mmcv} has no compiled op roi_align, and {found}; {remedy()}, or {compiled}')
    dtype = torch.promote_types(features.dtype, torch.float32)
    size = (aligned_height, aligned_width)
    with torch.autocast(features.device.type, enabled=False):
        return ops.roi_align(features.to(dtype), rois.to(dtype), size, spatial_scale, sampling_ratio, aligned)
