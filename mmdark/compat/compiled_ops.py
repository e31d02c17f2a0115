"""mmcv's compiled extension is missing from mmcv-lite and from a pure Python onedl-mmcv.

Cause: ``mmcv.ops``, which ``mmdet.models`` imports as a whole, asks ``mmcv._ext`` for every op at import; the package
registries serve full mmcv only as source, a build of 20 minutes. End: when mmcv can be had compiled, or when mmdet
imports its ops where it uses them. Full mmcv, where it is installed, is used untouched.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmdark.compat.focal_loss import sigmoid_focal_loss_backward, sigmoid_focal_loss_forward
from mmdark.compat.torchvision_ops import find_torchvision, roi_align_backward, roi_align_forward, torchvision_nms
from mmdark.errors import InputError
from mmdark.families import installed_family, mmcv_without_ops

_EXTENSION = 'mmcv._ext'


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int = 0) -> Tensor:
    """Greedy non-maximum suppression with the results of mmcv 2.1.0's compiled op.

    The arithmetic is the op's: float32, in the same order, a box falls when its IoU with a kept one exceeds the
    threshold. With ``offset=0`` it is torchvision's where that loads, else it runs on the host for boxes on any device.

    Args:
        boxes: corners ``x1, y1, x2, y2``, shape ``(N, 4)``.
        scores: shape ``(N,)``.
        iou_threshold: compared as float32, as in the op.
        offset: 0, or 1 if the corners are inclusive pixel indices.

    Returns:
        Indices of the kept boxes in descending order of score, int64, on the device of ``boxes``.

    Example:
        >>> boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [1.0, 0.0, 11.0, 10.0], [50.0, 50.0, 60.0, 60.0]])
        >>> nms(boxes, torch.tensor([0.8, 0.9, 0.7]), iou_threshold=0.5)
        tensor([1, 2])
    """
    if boxes.numel() == 0:
        return torch.empty(0, dtype=torch.long, device=boxes.device)
    torchvision, _ = find_torchvision()
    if torchvision is not None and offset == 0:
        return torchvision_nms(torchvision, boxes, scores, iou_threshold)
    order = scores.detach().sort(0, descending=True)[1]
    corners = boxes.detach()[order].to('cpu', torch.float32).numpy()
    kept = _greedy(np.ascontiguousarray(corners.T), np.float32(iou_threshold), np.float32(offset))
    return order[torch.from_numpy(kept).to(order.device)]


@np.errstate(invalid='ignore', divide='ignore', over='ignore')
def _greedy(corners: np.ndarray, iou_threshold: np.float32, offset: np.float32) -> np.ndarray:
    """Indices of the boxes that NMS keeps; ``corners``, shape ``(4, N)``, are in descending order of score.

    A box is compared only with boxes that are near enough along x, which are found by sorting. The computed overlap is
    exactly symmetric, so a kept box cannot suppress one that was kept before it.
    """
    by_x = corners[0].argsort(kind='stable')
    order = by_x.argsort()
    starts, ends = np.ascontiguousarray(corners[:2, by_x]), np.ascontiguousarray(corners[2:, by_x])
    areas = np.multiply(*(ends - starts + offset))
    first, last = _within_reach(starts[0], ends[0], iou_threshold, offset)
    alive = np.ones(by_x.size, dtype=bool)
    nothing = np.float32(0)
    for own in order.tolist():
        if not alive[own]:
            continue
        near = slice(first[own], last[own])
        sides = np.minimum(ends[:, own, None], ends[:, near])
        sides -= np.maximum(starts[:, own, None], starts[:, near])
        sides += offset
        overlap = np.multiply(*np.maximum(sides, nothing, out=sides))
        union = areas[own] + areas[near]
        union -= overlap
        alive[near] &= ~(np.divide(overlap, union, out=union) > iou_threshold)
        alive[own] = True
    return np.flatnonzero(alive[order])


def _within_reach(
    x1: np.ndarray, x2: np.ndarray, iou_threshold: np.float32, offset: np.float32
) -> tuple[list[int], list[int]]:
    """First and last index of the boxes that each box may suppress; boxes are sorted by ``x1``.

    If the IoU of two boxes exceeds t > 0, so does their overlap along x divided by either width. So the other box is at
    most 1/t times as wide, begins at most that far to the left, and begins before this one ends. A margin of 1 % allows
    for rounding.
    """
    if not iou_threshold > 0:
        return [0] * x1.size, [x1.size] * x1.size
    left, right = x1.astype(np.float64), x2.astype(np.float64) + offset
    widths = np.maximum(right - left, 0)
    begins = np.searchsorted(left, left - 1.01 * widths / iou_threshold - offset, side='left')
    return begins.tolist(), np.searchsorted(left, right, side='right').tolist()


class _CompiledOps(ModuleType):
    """Replaces ``mmcv._ext``: provides NMS, RoIAlign and the focal loss; other ops raise an error when called."""

    nms = staticmethod(nms)
    roi_align_forward = staticmethod(roi_align_forward)
    roi_align_backward = staticmethod(roi_align_backward)
    sigmoid_focal_loss_forward = staticmethod(sigmoid_focal_loss_forward)
    sigmoid_focal_loss_backward = staticmethod(sigmoid_focal_loss_backward)

    def __init__(self) -> None:
        """Set the name and a spec: without a spec, ``find_spec`` raises an error."""
        super().__init__(_EXTENSION, __doc__)
        self.__spec__ = ModuleSpec(_EXTENSION, loader=None)

    @staticmethod
    def get_compiler_version() -> str:
        """What ``mmcv.utils.collect_env`` prints."""
        return 'n/a'

    get_compiling_cuda_version = get_compiler_version

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """The op ``name``, which raises when it is called."""
        if name.startswith('__'):
            raise AttributeError(f'{_EXTENSION} has no attribute {name}')

        def missing(*args: Any, **kwargs: Any) -> None:
            mmcv, remedy = mmcv_without_ops()
            raise InputError(f'{mmcv} has no compiled op {name}; {remedy}')

        missing.__name__ = missing.__qualname__ = name
        return missing


def provide_compiled_ops() -> None:
    """Install the replacement if ``mmcv._ext`` is missing; repeated calls have no effect.

    Raises:
        InputError: when mmcv is not installed, two families are, or the extension is there but does not load.
    """
    installed_family()
    if _EXTENSION in sys.modules:
        return
    try:
        missing = importlib.util.find_spec(_EXTENSION) is None
    except ModuleNotFoundError as error:
        raise InputError(f'mmcv cannot be imported ({error}): pip install mmcv-lite==2.1.0') from error
    if missing:
        sys.modules[_EXTENSION] = _CompiledOps()
        return
    try:
        importlib.import_module(_EXTENSION)
    except ImportError as error:
        raise InputError(
            f'the compiled ops of mmcv do not load with torch {torch.__version__} ({error}): '
            'install an mmcv built for this torch, or mmcv-lite in its place'
        ) from error
