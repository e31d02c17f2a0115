"""What is left of a detector's boxes: those cut at the border that have something in them."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmdark.inference.detection import Detection

NOISE = np.random.default_rng(0)
PIPELINE = [dict(type='Resize', scale_factor=1.0, keep_ratio=True), dict(type='PackDetInputs')]
META = ('img_path', 'img_shape', 'ori_shape', 'scale_factor', 'flip', 'flip_direction', 'keep')


class Boxes(nn.Module):
    """Gives the same boxes for each image, whatever it shows."""

    def __init__(self, *boxes: tuple[float, ...]) -> None:
        super().__init__()
        self.boxes = torch.tensor(boxes, dtype=torch.float32)

    def test_step(self, data: dict) -> list[DetDataSample]:
        for sample in data['data_samples']:
            scores = torch.linspace(0.9, 0.5, len(self.boxes))
            labels = torch.zeros(len(self.boxes), dtype=torch.long)
            sample.pred_instances = InstanceData(bboxes=self.boxes.clone(), scores=scores, labels=labels)
        return data['data_samples']


def detection(*boxes: tuple[float, ...], **tta_model: object) -> Detection:
    dataset = dict(type='CocoDataset', pipeline=PIPELINE)
    views = dict(type='MultiScaleViews', preset='light', transforms=[dict(PIPELINE[1], meta_keys=META)])
    return Detection(
        Boxes(*boxes),
        Config(
            dict(
                test_dataloader=dict(dataset=dataset),
                test_pipeline=PIPELINE,
                tta_model=dict(type='MultiScaleTTA', **tta_model),
                tta_pipeline=[dict(type='LoadPhoto'), views],
            )
        ),
    )


def found(image: np.ndarray, *boxes: tuple[float, ...]) -> Tensor:
    return detection(*boxes).detect([image])[0][0].tolist()


@pytest.mark.parametrize(
    'image',
    [
        np.full((40, 60, 3), 2, np.uint8),
        np.full((40, 60, 3), (9, 90, 200), np.uint8),
        np.zeros((4, 300, 3), np.uint8),
        NOISE.integers(0, 3, (40, 60, 3), np.uint8),
    ],
    ids=['2 of 255', 'a colour', 'a black strip', 'noise of one level'],
)
def test_an_image_without_information_has_nothing(image: np.ndarray) -> None:
    assert found(image, (0, 0, 60, 40), (-5, -5, 3, 3), (20, 1, 29.5, 3.5)) == []


def test_a_box_on_a_black_border_is_left_out() -> None:
    image = np.zeros((60, 80, 3), np.uint8)
    image[20:40, 30:50] = NOISE.integers(0, 4, (20, 20, 3))
    image[25, 33, 1] = 4
    boxes = (0.0, 0.0, 80.0, 60.0), (1.0, 1.0, 28.0, 19.0), (32.5, 24.5, 34.0, 26.0), (60.0, 50.0, 90.0, 70.0)
    assert found(image, *boxes) == [[0, 0, 80, 60], [32.5, 24.5, 34, 26]]


def test_one_differing_pixel_in_a_large_box_is_enough() -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    image[101, 77, 2] = 3
    assert found(image, (0, 0, 200, 200)) == [[0, 0, 200, 200]]


@pytest.mark.parametrize(('tta_model', 'count'), [({}, 1), (dict(max_nested=1.0), 2), (dict(min_inside=0.0), 3)])
def test_several_views_give_neither_nested_boxes_nor_boxes_from_outside(tta_model: dict, count: int) -> None:
    image = NOISE.integers(0, 255, (100, 100, 3), np.uint8)
    boxes = (30.0, 30, 70, 70), (44, 44, 56, 56), (60, -400, 560, 300)
    looking = detection(*boxes, **tta_model)
    looking.prepare_views()
    assert len(looking.detect([image], tta=True)[0][0]) == count


@pytest.mark.parametrize(('height', 'width'), [(1, 600_000), (8200, 8200)])
def test_what_is_too_large_for_one_piece_is_not_given_to_the_detector(height: int, width: int) -> None:
    """A strip is filled up to 128 pixels, so that one of a megabyte took five gigabytes."""
    looking = detection((0.0, 0.0, 1.0, 1.0))
    looking.model.test_step = pytest.fail
    (found,) = looking.detect_each([np.zeros((height, width, 3), np.uint8)])
    assert re.match(rf"too large to be looked at in one piece \({width} x {height} pixels.*tile='auto'", str(found))


def test_pixels_are_counted_as_the_detector_sees_them() -> None:
    """Where the config makes photographs smaller, any size will do."""
    looking = detection((0.0, 0.0, 50.0, 1.0))
    looking.steps = looking._built([dict(type='Resize', scale=(96, 96), keep_ratio=True), PIPELINE[1]])
    image = np.zeros((8200, 8200, 3), np.uint8)
    image[0, ::2] = 255
    assert len(looking.detect([image])[0][0]) == 1
