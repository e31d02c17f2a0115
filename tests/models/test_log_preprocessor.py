"""Logarithms of the pixels, standardised: against NumPy, and the same for a brighter and a darker exposure."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from torch import Tensor

from mmdark.models import LogPreprocessor
from mmdark.models.log_preprocessor import log_standardized


def batch_of(*images: Tensor, samples: bool = True) -> dict:
    metas = [dict(img_shape=tuple(image.shape[-2:])) for image in images]
    found = [DetDataSample(metainfo=meta) for meta in metas] if samples else None
    return dict(inputs=list(images), data_samples=found)


def by_hand(image: Tensor, knee: float) -> np.ndarray:
    logs = np.log(1 + np.maximum(image.double().numpy(), 0) / knee)
    return (logs - logs.mean()) / logs.std()


@pytest.mark.parametrize('knee', [1.0, 8.0])
@pytest.mark.parametrize('training', [True, False])
def test_each_image_by_itself(knee: float, training: bool) -> None:
    """Images of two sizes, 8 bits and floats with values that DarkISP may leave below 0 and above 255."""
    light = torch.randint(0, 256, (3, 10, 12), dtype=torch.uint8)
    dark = torch.randn(3, 8, 16) * 90 + 100
    preprocessor = MODELS.build(dict(type='LogPreprocessor', knee=knee, bgr_to_rgb=True))
    assert isinstance(preprocessor, LogPreprocessor)
    found = preprocessor(batch_of(light, dark), training)['inputs']
    assert found.shape == (2, 3, 10, 16) and found.dtype == torch.float32
    for out, image in zip(found, (light, dark), strict=True):
        height, width = image.shape[-2:]
        np.testing.assert_allclose(out[:, :height, :width], by_hand(image.flip(0), knee), atol=1e-5)
        assert not out[:, height:].any() and not out[:, :, width:].any()  # padding is the mean


def test_without_data_samples_nothing_is_padding() -> None:
    image = torch.rand(3, 6, 7) * 255
    found = LogPreprocessor()(batch_of(image, samples=False))['inputs']
    np.testing.assert_allclose(found[0], by_hand(image, 8.0), atol=1e-5)


def test_exposure_hardly_matters() -> None:
    """A quarter of the light: far above the knee the logarithms are only shifted; plain pixels change a lot more."""
    image = torch.rand(3, 40, 40) * 200 + 55
    assert (log_standardized(image, 0.01) - log_standardized(image / 4, 0.01)).abs().max() < 0.01
    assert log_standardized(image).std(correction=0) == pytest.approx(1, abs=1e-5)
    assert log_standardized(image).mean() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize('value', [0.0, 17.0, 255.0])
def test_one_colour_stays_finite(value: float) -> None:
    assert log_standardized(torch.full((3, 8, 8), value)).abs().max() < 1e-2
