"""AP of each class on ExDark against sums by hand and mmdet's ``eval_map`` as MAET calls it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from mmdet.evaluation import eval_map
from mmdet.registry import METRICS
from mmdet.structures.bbox import HorizontalBoxes

from mmdark.errors import InputError
from mmdark.evaluation.exdark_metric import ExDarkMetric

CLASSES = ('Bicycle', 'Boat', 'Bottle')
Boxes = list[tuple[int, float, float, float, float]]
"""label, x1, y1, x2, y2; of a detection with a score behind them."""


def instances(rows: list[tuple]) -> dict[str, Any]:
    values = torch.from_numpy(np.array(rows, np.float32)).reshape(len(rows), len(rows[0]) if rows else 6)
    found = {'labels': values[:, 0].long(), 'bboxes': values[:, 1:5]}
    return found | ({'scores': values[:, 5]} if values.shape[1] > 5 else {})


def sample(detections: list[tuple], objects: Boxes, ignored: Boxes = (), **meta: str) -> dict:
    counted = instances(objects)
    counted['bboxes'] = HorizontalBoxes(counted['bboxes'])  # as the pipelines pack them
    found = {'img_path': 'a.jpg', 'pred_instances': instances(detections), 'gt_instances': counted, **meta}
    return found | {'ignored_instances': instances(list(ignored))}


def scores_of(samples: list[dict], classes: tuple[str, ...] = CLASSES, **options: Any) -> dict[str, float]:
    metric = METRICS.build({'type': 'ExDarkMetric', **options})
    metric.dataset_meta = {'classes': classes}
    for each in samples:
        metric.process(None, [each])
    return metric.evaluate(len(samples))


HAND = [
    # Bicycle: found at 0.9; again at 0.8, which is false
    sample([(0, 0, 0, 10, 10, 0.9), (0, 0, 0, 10, 9, 0.8)], [(0, 0, 0, 10, 10)], light='Low', place='Indoor'),
    # Bicycle: found with IoU 0.5 exactly at 0.7. Boat: not found, since what lies on it is called a bicycle
    sample(
        [(0, 0, 0, 10, 5, 0.7), (0, 50, 50, 60, 60, 0.1)],
        [(0, 0, 0, 10, 10), (1, 50, 50, 60, 60)],
        light='Window',
        place='Indoor',
    ),
    # Bottles where there are none: no object, so no class
    sample([(2, 0, 0, 10, 10, 0.5)], [], light='Low', place='Outdoor'),
]


def test_an_example_by_hand() -> None:
    """Bicycle, 2 objects: right, wrong, right, wrong. Recall 1/2 at precision 1, then 1 at 2/3: (1 + 2/3) / 2."""
    numbers = scores_of(HAND)
    assert numbers == {
        'exdark/mAP': pytest.approx(5 / 12),
        'exdark/AP_Bicycle': pytest.approx(5 / 6),
        'exdark/AP_Boat': 0.0,
    }


def test_by_light_and_place() -> None:
    numbers = scores_of(HAND, group_by=('light', 'place'))
    groups = {name.removeprefix('exdark/mAP_'): value for name, value in numbers.items() if 'mAP_' in name}
    # In the light Low: the bicycle at 0.9, then a false one. Window: bicycle right, then wrong; the boat not found.
    assert groups == {
        'light_Low': 1.0,
        'light_Window': 0.5,
        'place_Indoor': pytest.approx(5 / 12),
        'place_Outdoor': pytest.approx(math.nan, nan_ok=True),
    }


def random_samples(seed: int, num_images: int = 30) -> list[dict]:
    """Objects and detections around them; half of the classes confused now and then, no two scores alike."""
    rng = np.random.default_rng(seed)
    samples = []
    for _ in range(num_images):
        corners = rng.uniform(0, 60, (rng.integers(0, 5), 2))
        boxes = np.hstack([corners, corners + rng.uniform(5, 40, corners.shape)])
        labels = rng.integers(0, 3, len(boxes))
        picked = rng.integers(0, len(boxes), 8) if len(boxes) else np.zeros(0, int)
        moved = boxes[picked] + rng.normal(0, 3, (len(picked), 4))
        called = np.where(rng.random(len(picked)) < 0.8, labels[picked], rng.integers(0, 3, len(picked)))
        detections = [(*row, score) for row, score in zip(np.c_[called, moved], rng.random(len(picked)), strict=True)]
        ignored = [(int(rng.integers(0, 3)), 0, 0, 30, 30)] if rng.random() < 0.3 else []
        samples.append(sample(detections, [*np.c_[labels, boxes]], ignored))
    return samples


def by_mmdet(samples: list[dict]) -> tuple[float, list[float]]:
    """As MAET evaluates: over all points, without the +1 of the old coordinates."""
    found, annotations = [], []
    for each in samples:
        pred, counted, ignored = (each[key] for key in ('pred_instances', 'gt_instances', 'ignored_instances'))
        rows = torch.cat([pred['bboxes'], pred['scores'][:, None]], 1) if len(pred['bboxes']) else torch.zeros(0, 5)
        found.append([rows[pred['labels'] == label].numpy() for label in range(3)])
        annotations.append(
            {
                'bboxes': counted['bboxes'].tensor.numpy(),
                'labels': counted['labels'].numpy(),
                'bboxes_ignore': ignored['bboxes'].numpy(),
                'labels_ignore': ignored['labels'].numpy(),
            }
        )
    mean, classes = eval_map(found, annotations, iou_thr=0.5, logger='silent', eval_mode='area', nproc=1)
    return mean, [one['ap'] for one in classes]


@pytest.mark.parametrize('seed', [0, 1])
def test_agrees_with_the_code_that_the_papers_use(seed: int) -> None:
    samples = random_samples(seed)
    mean, precisions = by_mmdet(samples)
    numbers = scores_of(samples)
    assert 0.2 < mean < 0.9  # neither all nor nothing is found
    assert numbers['exdark/mAP'] == pytest.approx(mean, abs=1e-6)
    assert [numbers[f'exdark/AP_{name}'] for name in CLASSES] == pytest.approx(precisions, abs=1e-6)


def test_the_order_of_equal_scores_does_not_matter() -> None:
    """One object, one detection on it and one beside it, equally sure: precision 1/2 at recall 1 either way."""
    right, wrong = (0, 0, 0, 10, 10, 0.5), (0, 50, 50, 60, 60, 0.5)
    for detections in ([right, wrong], [wrong, right]):
        assert scores_of([sample(detections, [(0, 0, 0, 10, 10)])])['exdark/mAP'] == 0.5


def test_ignored_objects_count_neither_way() -> None:
    detections = [(0, 50, 50, 60, 60, 0.9), (0, 0, 0, 10, 10, 0.5)]
    with_it = sample(detections, [(0, 0, 0, 10, 10)], [(0, 50, 50, 60, 60)])
    assert scores_of([with_it])['exdark/mAP'] == 1
    assert scores_of([sample(detections, [(0, 0, 0, 10, 10)])])['exdark/mAP'] == 0.5
    only = scores_of([sample(detections, [], [(0, 50, 50, 60, 60)])])
    assert only.keys() == {'exdark/mAP'} and math.isnan(only['exdark/mAP'])


def test_nothing_found_is_zero() -> None:
    assert scores_of([sample([], [(0, 0, 0, 10, 10)]), sample([], [])]) == {'exdark/mAP': 0, 'exdark/AP_Bicycle': 0}


def test_what_a_pipeline_lacks_is_said() -> None:
    metric = ExDarkMetric(group_by=('light',))
    with pytest.raises(InputError, match=r'^ExDarkMetric: a\.jpg comes without light: add it to the meta_keys of the'):
        metric.process(None, [sample([], [])])
    with pytest.raises(InputError, match=r'comes without objects: add LoadAnnotations to the pipeline$'):
        metric.process(None, [{'img_path': 'a.jpg', 'light': 'Low', 'pred_instances': instances([])}])


@pytest.mark.parametrize('value', [math.nan, math.inf])
@pytest.mark.parametrize('column', [1, 5])
def test_detections_that_are_no_numbers_are_left_out(column: int, value: float) -> None:
    """As by the metrics of faces: the numbers are those without them."""
    broken = [0, 30, 30, 40, 40, 0.95]
    broken[column] = value
    other = sample([tuple(broken)], [(0, 0, 0, 10, 10)], light='Low', place='Indoor')
    without = sample([], [(0, 0, 0, 10, 10)], light='Low', place='Indoor')
    assert scores_of([*HAND, other]) == scores_of([*HAND, without])
