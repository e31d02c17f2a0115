"""What mmdark takes from torchvision, from its definition and with the signatures of torchvision 0.28.

Bilinear interpolation is a product of one along y and one along x, so a box is two small matrices on its features.
"""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest
import torch
from torch import Tensor

from mmdark.compat.torchvision_ops import find_torchvision


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """All overlaps at once, then the best of what is left again and again."""
    top_left = torch.maximum(boxes[:, None, :2], boxes[None, :, :2])
    bottom_right = torch.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    overlap = (bottom_right - top_left).clamp(min=0).prod(dim=2)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
    far = ~(overlap / (area[:, None] + area[None] - overlap) > iou_threshold)
    left = scores.argsort(descending=True, stable=True)
    kept = []
    while len(left):
        kept.append(int(left[0]))
        left = left[1:][far[left[0], left[1:]]]
    return torch.tensor(kept, dtype=torch.long)


def roi_align(
    input: Tensor,
    boxes: Tensor,
    output_size: tuple[int, int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
) -> Tensor:
    """Means of bilinear samples in each cell; boxes are ``(N, 5)``, image number first."""
    if input.dtype not in (torch.float32, torch.float64) or boxes.dtype != input.dtype:
        raise RuntimeError('expected features and boxes of one type, float32 or float64')
    cells = []
    for number, x1, y1, x2, y2 in boxes.tolist():
        matrices = [
            _axis(start, end, size, length, spatial_scale, sampling_ratio, aligned).to(input)
            for start, end, size, length in ((y1, y2, output_size[0], -2), (x1, x2, output_size[1], -1))
            for length in [input.shape[length]]
        ]
        cells.append(torch.einsum('hy,cyx,wx->chw', matrices[0], input[int(number)], matrices[1]))
    return torch.stack(cells) if cells else input.new_zeros(0, input.shape[1], *output_size)


def _axis(start: float, end: float, cells: int, length: int, scale: float, ratio: int, aligned: bool) -> Tensor:
    """Weights of the pixels of an axis in each cell, ``(cells, length)``."""
    start, end = (torch.tensor(place * scale - 0.5 * aligned, dtype=torch.float64) for place in (start, end))
    side = end - start if aligned else (end - start).clamp(min=1)
    samples = ratio if ratio > 0 else int((side / cells).ceil())
    inside = (torch.arange(samples) + 0.5) / max(samples, 1)
    places = start + side / cells * (torch.arange(cells)[:, None] + inside)
    seen = (places >= -1) & (places <= length)
    weights = 1 - (places.clamp(0, length - 1)[..., None] - torch.arange(length)).abs()
    return (weights.clamp(min=0) * seen[..., None]).sum(1) / max(samples, 1)


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put it where ``import torchvision`` finds it."""
    package, ops = ModuleType('torchvision'), ModuleType('torchvision.ops')
    package.__spec__, package.__version__, package.ops = ModuleSpec('torchvision', None), '0.28.0', ops
    ops.nms, ops.roi_align = nms, roi_align
    monkeypatch.setitem(sys.modules, 'torchvision', package)
    monkeypatch.setitem(sys.modules, 'torchvision.ops', ops)
    find_torchvision.cache_clear()
