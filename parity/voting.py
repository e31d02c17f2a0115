"""Multi-scale testing and box voting beside the authors' code."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from mmdark.datasets.transforms.multi_scale_views import View, max_shrink, published_views
from mmdark.models.box_voting import box_voting, keeps_size

from .comparison import Comparison, compare
from .golden import GoldenCase

PIXEL = 1e-4
SCALE = 1e-6
"""The golden scales are printed with six decimals."""


def check_box_voting(case: GoldenCase, device: str = 'cpu') -> Iterator[Comparison]:
    """A ``box_voting`` case: scales of each image size, boxes that each group keeps, boxes after voting, on the CPU."""
    for index, record in enumerate(case.record):
        size = f'{record["height"]}x{record["width"]}'
        views = published_views(record['height'], record['width'])
        largest = max_shrink(record['height'], record['width'])
        yield compare(case.name, f'{size} max shrink', record['max_shrink'], largest, SCALE, absolute=True)
        scales = [view.scale for view in views]
        yield compare(case.name, f'{size} scales', record['scales'], scales, SCALE, absolute=True)
        flipped = [position for position, view in enumerate(views) if view.flip]
        yield compare(case.name, f'{size} flipped view', [record['flipped_call']], flipped, 0.0)
        if len(views) == len(record['scales']):
            yield from _check_boxes(case, index, record, views)


def _check_boxes(case: GoldenCase, index: int, record: dict, views: list[View]) -> Iterator[Comparison]:
    size = f'{record["height"]}x{record["width"]}'
    kept = [
        _kept(torch.from_numpy(case.arrays[f'raw_{index}_{call}']), view, record['width'])
        for call, view in enumerate(views)
    ]
    counts = [sum(len(boxes) for boxes, view in zip(kept, views, strict=True) if view.group == g) for g in range(5)]
    yield compare(case.name, f'{size} boxes kept in each group', record['kept'], counts, 0.0)
    merged = torch.cat(kept)
    pixels = dict(tolerance=PIXEL, absolute=True)
    yield compare(case.name, f'{size} boxes before voting', case.arrays[f'merged_in_{index}'], merged, **pixels)
    boxes, scores = box_voting(merged[:, :4], merged[:, 4], drop_singletons=True)
    voted = np.column_stack([boxes, scores])
    yield compare(case.name, f'{size} boxes after voting', case.arrays[f'voted_{index}'], voted, **pixels)


def _kept(boxes: Tensor, view: View, width: int) -> Tensor:
    """``(N, 5)`` boxes of one view: flipped back, and of the sizes that it may contribute."""
    if view.flip:
        boxes = torch.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3], boxes[:, 4]], dim=1)
    return boxes[keeps_size(boxes[:, :4], view.keep)]
