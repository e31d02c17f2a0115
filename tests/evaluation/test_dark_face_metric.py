"""The metric against the protocol's function and the official number, and its zip read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.evaluator import Evaluator
from mmengine.structures import InstanceData

from mmdark.errors import InputError
from mmdark.evaluation.dark_face_metric import DarkFaceMetric
from mmdark.evaluation.dark_face_protocol import evaluate_dark_face
from mmdark.evaluation.prediction_files import read_dark_face_predictions

from .face_samples import numbers, sample, samples
from .official_faces import DARK_FACE, corners, official_dark_faces, random_data

DARK = {'type': 'DarkFaceMetric'}


@pytest.mark.skipif(not DARK_FACE.is_dir(), reason=f'golden numbers are not at {DARK_FACE}')
def test_the_official_number_and_its_zip(tmp_path: Path) -> None:
    found, faces = official_dark_faces()
    ours = numbers({**DARK, 'outfile_prefix': str(tmp_path / 'submission')}, samples(found, faces, '.png'))
    assert ours['dark_face/AP'] == pytest.approx(0.648250, abs=6e-7)
    read, _ = read_dark_face_predictions(tmp_path / 'submission.zip', faces)
    score = evaluate_dark_face(read, faces)
    assert [score.official.average_precision, score.exact.average_precision] == list(ours.values())


@pytest.mark.parametrize('seed', range(3))
def test_the_metric_equals_the_function(seed: int) -> None:
    """Faces marked as ignored count, since the protocol knows none."""
    predictions, faces, _ = random_data(seed)
    found, faces = ({key.split('/')[1]: corners(rows) for key, rows in part.items()} for part in (predictions, faces))
    none = np.zeros((0, 5))
    images = [sample(f'dark/{key}.png', found.get(key, none), rows[:1], rows[1:]) for key, rows in faces.items()]
    score = evaluate_dark_face(found, faces)
    expected = {'AP': score.official.average_precision, 'exact_AP': score.exact.average_precision}
    assert numbers({**DARK, 'prefix': 'night'}, images) == {f'night/{name}': value for name, value in expected.items()}


def test_images_without_labels_can_be_written_but_not_scored(tmp_path: Path) -> None:
    images = [sample('dark/7.png', np.array([[1, 2, 3, 4, 0.25]]), None)]
    assert numbers({**DARK, 'format_only': True, 'outfile_prefix': str(tmp_path / 'a.zip')}, images) == {}
    read, problems = read_dark_face_predictions(tmp_path / 'a.zip', ['7'])
    assert read['7'].tolist() == [[1, 2, 3, 4, 0.25]] and problems == []
    with pytest.raises(InputError, match=r'dark/7.png comes without faces'):
        DarkFaceMetric().process({}, images)


def test_through_mmengines_evaluator() -> None:
    """With what a detector gives: DetDataSample, float32, boxes in mmdet's box type; one face of two is found."""
    image = DetDataSample(metainfo={'img_path': 'dark/image/7.png'})
    boxes = torch.tensor([[10, 10, 30, 30.0], [50, 50, 70, 70]])
    image.gt_instances = InstanceData(bboxes=HorizontalBoxes(boxes), labels=torch.zeros(2))
    image.ignored_instances = InstanceData()
    image.pred_instances = InstanceData(bboxes=boxes[:1].requires_grad_(), scores=torch.ones(1), labels=torch.zeros(1))
    evaluator = Evaluator(DARK)
    evaluator.process([image])
    assert evaluator.evaluate(1) == {'dark_face/AP': 0.5, 'dark_face/exact_AP': 0.5}
