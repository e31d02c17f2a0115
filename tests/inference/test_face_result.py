"""Results hold what was put in, in the forms that others read."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from mmdark.errors import InputError
from mmdark.inference import FaceResult

RESULT = FaceResult(
    boxes=np.array([[10, 20, 30, 60], [1, 2, 3, 5]], np.float32),
    scores=np.array([0.75, 0.25], np.float32),
    width=100,
    height=80,
    source='a.jpg',
    illumination=np.ones((80, 100), np.float32),
)


def test_above_keeps_the_threshold_itself_and_everything_else() -> None:
    assert len(RESULT.above(0.25)) == 2
    high = RESULT.above(0.5)
    assert (high.boxes == [[10, 20, 30, 60]]).all() and (high.scores == [0.75]).all()
    assert (high.width, high.height, high.source) == (100, 80, 'a.jpg') and high.illumination is RESULT.illumination
    assert RESULT.above(0.9).boxes.shape == (0, 4)


def test_coco_reads_the_entries(tmp_path: object) -> None:
    """pycocotools itself is the oracle: a perfect answer has an AP of 1."""
    coco, evaluation = pytest.importorskip('pycocotools.coco'), pytest.importorskip('pycocotools.cocoeval')
    entries = RESULT.to_coco(7, category_id=3)
    assert entries[0] == dict(image_id=7, category_id=3, bbox=[10, 20, 20, 40], score=0.75)
    truth = coco.COCO()
    truth.dataset = dict(
        info={},
        images=[dict(id=7, width=100, height=80)],
        categories=[dict(id=3, name='face')],
        annotations=[
            dict(id=number + 1, image_id=7, category_id=3, iscrowd=0, area=box[2] * box[3], bbox=box)
            for number, box in enumerate(([10, 20, 20, 40], [1, 2, 2, 3]))
        ],
    )
    truth.createIndex()
    judge = evaluation.COCOeval(truth, truth.loadRes(entries), 'bbox')
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    assert judge.stats[0] == pytest.approx(1.0)


def test_supervision_gets_its_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType('supervision')
    module.Detections = SimpleNamespace
    monkeypatch.setitem(sys.modules, 'supervision', module)
    found = RESULT.to_supervision()
    assert (found.xyxy == RESULT.boxes).all() and (found.confidence == RESULT.scores).all()
    assert found.class_id.tolist() == [0, 0] and found.data['class_name'].tolist() == ['face', 'face']
    monkeypatch.setitem(sys.modules, 'supervision', None)
    with pytest.raises(InputError, match='pip install supervision'):
        RESULT.to_supervision()


def test_the_real_supervision_takes_them() -> None:
    pytest.importorskip('supervision')
    assert len(RESULT.to_supervision()) == 2
