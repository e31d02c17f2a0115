"""The data preprocessor of DAI-Net: batches pairs like the detector's preprocessor and can darken the light images."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy

import torch
from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from mmdet.utils import ConfigType
from torch import Tensor, nn
from torch.nn import functional as F

from mmdark.dark_isp import PRESETS, ISPNoise, ISPParameters, darken, sample_noise, sample_parameters_each
from mmdark.errors import InputError


@MODELS.register_module()
class DarkPairPreprocessor(nn.Module):
    """Wrap a detector's data preprocessor so that it also takes pairs, ``dict(light=[...], dark=[...])``.

    Light and dark images are preprocessed as one batch, so batch augments treat both alike. Pairs are RGB in [0, 1], as
    DarkISP and the Retinex teacher need them; :meth:`from_unit` converts them to the detector's input.

    Args:
        preprocessor: config of the detector's ``DetDataPreprocessor``, which takes BGR images as mmdet loads them. A
            derived class with its own ``forward`` needs a method ``from_unit``, which applies the same steps to
            ``(B, 3, H, W)`` images in [0, 1] with the detector's channel order.
        dark_isp: a DarkISP preset to darken each batch on its device; the pipeline must then return light images only.
            The result depends only on the ``random_seed`` of the data sample (see ``CountedDataset``) and the device
            type, not on the other images; for samples without a seed, torch's global generator draws one.

    Raises:
        InputError: the preprocessor cannot be used, or the preset is unknown.
    """

    def __init__(self, preprocessor: ConfigType, dark_isp: str | None = None) -> None:
        super().__init__()
        self.preprocessor = MODELS.build(preprocessor)
        name, forward = type(self.preprocessor).__name__, type(self.preprocessor).forward
        self._finish = getattr(self.preprocessor, 'from_unit', None)
        finished = forward is DetDataPreprocessor.forward or self._finish  # other steps would be left out
        if not (isinstance(self.preprocessor, DetDataPreprocessor) and finished):
            raise InputError(
                f'{name} cannot prepare pairs: the detector needs a DetDataPreprocessor as data_preprocessor, '
                'or one of your own derived from it, with a method from_unit'
            )
        if dark_isp is not None and dark_isp not in PRESETS:
            raise InputError(f'unknown DarkISP preset {dark_isp!r}; choose one of {", ".join(PRESETS)}')
        self.dark_isp = dark_isp
        # Read from the config: reading the buffers in each step would synchronise with the GPU.
        mean, std = preprocessor.get('mean') or [0.0], preprocessor.get('std') or [1.0]
        self.is_unit = self.preprocessor._channel_conversion and {*mean} == {0} and {*std} == {255}
        self.register_buffer('shift', torch.tensor(mean).view(-1, 1, 1) / 255.0, False)
        self.register_buffer('scale', torch.tensor(std).view(-1, 1, 1) / 255.0, False)

    @property
    def device(self) -> torch.device:
        """Device of the batches, which mmdet's ``inference_detector`` reads."""
        return self.preprocessor.device

    def forward(self, data: dict, training: bool = False) -> dict:
        """Batch and pad; pairs become ``inputs = dict(light=(B, 3, H, W), dark=(B, 3, H, W))``, RGB in [0, 1]."""
        inputs = data['inputs']
        pairs = isinstance(inputs, Mapping)
        if not pairs and not (training and self.dark_isp):
            return self.preprocessor(data, training)
        samples = data.get('data_samples')
        if pairs:  # batch augments change samples in place, so the dark images need copies
            samples = None if samples is None else [*samples, *deepcopy(samples)]
            inputs = [*inputs['light'], *inputs['dark']]
        batch = DetDataPreprocessor.forward(self.preprocessor, dict(inputs=inputs, data_samples=samples), training)
        unit, samples = self.to_unit(batch['inputs']), batch['data_samples']
        if pairs:
            light, dark = unit.chunk(2)
            samples = None if samples is None else samples[: len(light)]
        else:
            light, dark = unit, self.darken(unit, *self.sample(unit, samples))
        return dict(inputs=dict(light=light, dark=dark), data_samples=samples)

    def to_unit(self, images: Tensor) -> Tensor:
        """Convert images normalised for the detector, ``(B, 3, H, W)``, to RGB in [0, 1]."""
        if self.is_unit:
            return images
        unit = (images * self.scale + self.shift).clamp(0.0, 1.0)
        return unit if self.preprocessor._channel_conversion else unit.flip(1)

    def from_unit(self, images: Tensor) -> Tensor:
        """Convert RGB in [0, 1], ``(B, 3, H, W)``, to the detector's input."""
        if self.is_unit:
            return images
        ordered = images if self.preprocessor._channel_conversion else images.flip(1)
        return (ordered - self.shift) / self.scale if self._finish is None else self._finish(ordered)

    def sample(self, light: Tensor, data_samples: SampleList) -> tuple[ISPParameters, ISPNoise]:
        """Draw parameters (on the CPU) and noise (on the device) for ``(B, 3, H, W)`` images, seeded per image.

        The noise is zero in the padding of the batch; ``pad_shape`` of a sample is the size without it.
        """
        seeds = [sample.get('random_seed') for sample in data_samples]
        sources = [torch.Generator().manual_seed(_draw_seed() if seed is None else seed) for seed in seeds]
        parameters = sample_parameters_each(sources, self.dark_isp)
        on_device, noises = torch.Generator(light.device), []
        for source, sample in zip(sources, data_samples, strict=True):
            on_device.manual_seed(_draw_seed(source))
            noises.append(sample_noise((1, 3, *sample.pad_shape[:2]), self.dark_isp, on_device, light.device))
        size = light.shape[-2:]
        shot_read = torch.cat([_filled_up(noise.shot_read, size) for noise in noises])
        return parameters, ISPNoise(shot_read, torch.cat([_filled_up(noise.quantisation, size) for noise in noises]))

    def darken(self, light: Tensor, parameters: ISPParameters, noise: ISPNoise) -> Tensor:
        """Darken RGB images in [0, 1], ``(B, 3, H, W)``, on their device; see :func:`mmdark.dark_isp.darken`."""
        with torch.no_grad():
            return darken(light.clamp(0.0, 1.0), parameters, noise, self.dark_isp)


def _draw_seed(source: torch.Generator | None = None) -> int:
    return int(torch.randint(2**63 - 1, (), generator=source))


def _filled_up(noise: Tensor, size: torch.Size) -> Tensor:
    """``(1, 3, h, w)`` noise, padded with zeros at the right and at the bottom to ``(H, W)``."""
    if noise.shape[-2:] in (size, (1, 1)):  # (1, 1): one number per channel
        return noise
    return F.pad(noise, (0, size[1] - noise.shape[-1], 0, size[0] - noise.shape[-2]))
