"""Data samples as a detector hands them to a metric, and the metrics' numbers from two processes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from mmdet.registry import METRICS
from torch import distributed

Sample = dict


def sample(img_path: str, found: np.ndarray, faces: np.ndarray | None, ignored: np.ndarray | None = None) -> Sample:
    """Boxes x1 y1 x2 y2 [score], float64 so that official files lose no digit."""
    found = torch.as_tensor(np.asarray(found, float).reshape(-1, 5))
    given = {'img_path': img_path, 'pred_instances': {'bboxes': found[:, :4], 'scores': found[:, 4]}}
    for name, boxes in (('gt_instances', faces), ('ignored_instances', ignored)):
        if boxes is not None:
            given[name] = {'bboxes': torch.as_tensor(np.asarray(boxes, float).reshape(-1, 4))}
    return given


def samples(found: Mapping[str, np.ndarray], faces: Mapping[str, np.ndarray], suffix: str) -> list[Sample]:
    """One an image, boxes x1 y1 x2 y2; an image without detections is a sample, too."""
    return [sample(f'data/{name}{suffix}', found.get(name, np.zeros((0, 5))), rows) for name, rows in faces.items()]


def numbers(settings: dict, given: list[Sample], rank: int = 0, world: int = 1) -> dict[str, float]:
    """Of a metric built from ``settings``; each process gets every ``world``-th sample, all as many."""
    metric = METRICS.build(settings)
    share = -(-len(given) // world)
    own = [given[(rank + world * step) % len(given)] for step in range(share)]
    for start in range(0, share, 2):
        metric.process({}, own[start : start + 2])
    return metric.evaluate(len(given))


def in_a_process(jobs: list[tuple[dict, list[Sample]]], out: Path) -> None:
    """What each of two gloo processes does: the numbers of every (settings, samples)."""
    distributed.init_process_group('gloo')
    rank = distributed.get_rank()
    results = [numbers(settings, given, rank, 2) for settings, given in jobs]
    (out / f'{rank}.json').write_text(json.dumps(results))
    distributed.destroy_process_group()
