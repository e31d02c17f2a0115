"""What is found on an image, and so AP, does not depend on the images it is batched with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.registry import DATASETS
from mmdet.structures import DetDataSample
from mmengine.dataset import pseudo_collate
from mmengine.runner import Runner
from torch import Tensor, nn

from tests.deploy.lite_detector import lite_detector
from tests.tiny_wider import lite_config, photo, write_annotation, write_wider

from .tiny_models import tiny_dai_net, tiny_dsfd

SIZES = [(96, 80), (130, 100), (70, 150), (64, 64)]
"""Width and height."""


def images(sizes: Sequence[tuple[int, int]]) -> list[Tensor]:
    """Noise with a bright rectangle, uint8 ``(3, H, W)``."""
    return [torch.from_numpy(np.array(photo(seed, size)).transpose(2, 0, 1)) for seed, size in enumerate(sizes)]


def found(model: nn.Module, batch: list[Tensor]) -> list[DetDataSample]:
    """By the way on which MMDetection tests."""
    samples = [
        DetDataSample(metainfo=dict(img_shape=size, ori_shape=(2 * size[0], size[1]), scale_factor=(1.0, 0.5)))
        for size in (tuple(image.shape[-2:]) for image in batch)
    ]
    with torch.no_grad():
        return model.eval().test_step(dict(inputs=batch, data_samples=samples))


def group_norm(divisor: int = 1) -> nn.Module:
    detector = lite_detector({'model.detector.data_preprocessor.pad_size_divisor': divisor})
    assert any(isinstance(module, nn.GroupNorm) for module in detector.modules())
    return detector


@pytest.mark.parametrize('build', [group_norm, lambda: group_norm(32), tiny_dsfd, tiny_dai_net])
@pytest.mark.parametrize('batch_size', [2, 4])
def test_an_image_is_seen_as_if_alone(build: Callable[[], nn.Module], batch_size: int) -> None:
    model, each = build(), images(SIZES)
    together = [
        sample for first in range(0, 4, batch_size) for sample in found(model, each[first : first + batch_size])
    ]
    for image, (width, height), sample in zip(each, SIZES, together, strict=True):
        (alone,) = found(model, [image])
        assert sample.img_shape == (height, width) and len(alone.pred_instances) > 5
        for name in ('scores', 'bboxes'):
            one, other = (each.pred_instances[name] for each in (alone, sample))
            torch.testing.assert_close(other, one, rtol=1e-6, atol=1e-6)


def test_images_of_one_size_go_through_the_network_together() -> None:
    model, seen, each = group_norm(), [], images([*SIZES[:2], *SIZES[:2], SIZES[3]])
    alone = [found(model, [image])[0] for image in each]
    model.detector.backbone.register_forward_pre_hook(lambda _, args: seen.append(tuple(args[0].shape)))
    together = found(model, each)
    assert seen == [(2, 3, 80, 96), (2, 3, 100, 130), (1, 3, 64, 64)]
    for one, other in zip(alone, together, strict=True):
        torch.testing.assert_close(other.pred_instances.scores, one.pred_instances.scores, rtol=0, atol=1e-5)


def test_average_precision_is_that_of_single_images(tmp_path: Path) -> None:
    """Through the test loop; what counts as faces is every third detection, so that AP is not 0."""
    root, detector, scores = write_wider(tmp_path / 'wider', train=1, val=len(SIZES)), group_norm(), {}
    for number, size in enumerate(SIZES):
        photo(number, size).save(root / 'WIDER_val' / 'images' / '0--Noise' / f'val_{number}.jpg')
    dataset = DATASETS.build(lite_config(root, tmp_path).test_dataloader.dataset)
    rows = []
    for index in range(len(SIZES)):
        with torch.no_grad():
            (sample,) = detector.test_step(pseudo_collate([dataset[index]]))
        boxes = sample.pred_instances.bboxes[:120:3]
        boxes = torch.cat([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], 1).round().int()
        rows.append((f'0--Noise/val_{index}.jpg', boxes[(boxes[:, 2:] > 8).all(1)].tolist()))
    write_annotation(root, 'val', rows)
    for batch_size in (1, 2, 4):
        options = {'test_dataloader.batch_size': batch_size}
        runner = Runner.from_cfg(lite_config(root, tmp_path, options=options))
        runner.model.load_state_dict(detector.state_dict())
        scores[batch_size] = runner.test()['dark/wider/AP']
    assert 0.02 < scores[1] < 0.9
    assert [scores[2], scores[4]] == pytest.approx([scores[1]] * 2, rel=0, abs=1e-6)
