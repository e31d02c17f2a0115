"""The data preprocessor of DAI-Net: batches (light, dark) pairs as the detector's own does, and can darken."""

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
    """A detector's data preprocessor for training inputs ``dict(light=[...], dark=[...])``; others it takes as ever.

    Light and dark images are one batch to it, so its batch augments treat both alike. The detector gets images as its
    own preprocessor makes them; DarkISP and the Retinex teacher want RGB in [0, 1], see :meth:`to_unit`.

    Args:
        preprocessor: config of the detector's, a ``DetDataPreprocessor``; it takes BGR images, as mmdet loads them.
        dark_isp: a DarkISP preset; the dark partner of each training image is then made here, on the device and for
            the whole batch at once, and the pipeline gives the light images alone. Its darkness depends on the
            ``random_seed`` of the data sample (see ``CountedDataset``) and the kind of device alone, not on the
            batch; samples without one get a seed from torch's global generator.

    Raises:
        InputError: it is another preprocessor, or there is no such preset.
    """

    def __init__(self, preprocessor: ConfigType, dark_isp: str | None = None) -> None:
        super().__init__()
        self.preprocessor = MODELS.build(preprocessor)
        name, forward = type(self.preprocessor).__name__, type(self.preprocessor).forward
        if forward is not DetDataPreprocessor.forward:  # what another one does to images cannot be undone
            raise InputError(
                f'{name} cannot prepare pairs: the detector needs a DetDataPreprocessor as data_preprocessor'
            )
        if dark_isp is not None and dark_isp not in PRESETS:
            raise InputError(f'unknown DarkISP preset {dark_isp!r}; choose one of {", ".join(PRESETS)}')
        self.dark_isp = dark_isp
        # From the config, so that no step waits for a device to tell whether there is anything to do.
        mean, std = preprocessor.get('mean') or [0.0], preprocessor.get('std') or [1.0]
        self.is_unit = self.preprocessor._channel_conversion and {*mean} == {0} and {*std} == {255}
        self.register_buffer('shift', torch.tensor(mean).view(-1, 1, 1) / 255.0, False)
        self.register_buffer('scale', torch.tensor(std).view(-1, 1, 1) / 255.0, False)

    @property
    def device(self) -> torch.device:
        """Where batches go; mmdet's ``inference_detector`` asks for it."""
        return self.preprocessor.device

    def forward(self, data: dict, training: bool = False) -> dict:
        """Batch, pad, scale; pairs become ``inputs = dict(light=(B, 3, H, W), dark=(B, 3, H, W))``."""
        inputs = data['inputs']
        if not isinstance(inputs, Mapping):
            batch = self.preprocessor(data, training)
            if training and self.dark_isp:
                light = batch['inputs']
                unit = self.to_unit(light)
                dark = self.darken(unit, *self.sample(unit, batch['data_samples']))
                batch['inputs'] = dict(light=light, dark=self.from_unit(dark))
            return batch
        samples = data.get('data_samples')
        # Batch augments change samples in place, so the dark images need some of their own.
        both = None if samples is None else [*samples, *deepcopy(samples)]
        batch = self.preprocessor(dict(inputs=[*inputs['light'], *inputs['dark']], data_samples=both), training)
        light, dark = batch['inputs'].chunk(2)
        samples = None if samples is None else batch['data_samples'][: len(light)]
        return dict(inputs=dict(light=light, dark=dark), data_samples=samples)

    def to_unit(self, images: Tensor) -> Tensor:
        """Images as the detector gets them, ``(B, 3, H, W)``, to RGB in [0, 1]."""
        if self.is_unit:
            return images
        unit = (images * self.scale + self.shift).clamp(0.0, 1.0)
        return unit if self.preprocessor._channel_conversion else unit.flip(1)

    def from_unit(self, images: Tensor) -> Tensor:
        """RGB in [0, 1], ``(B, 3, H, W)``, to images as the detector gets them."""
        if self.is_unit:
            return images
        return ((images if self.preprocessor._channel_conversion else images.flip(1)) - self.shift) / self.scale

    def sample(self, light: Tensor, data_samples: SampleList) -> tuple[ISPParameters, ISPNoise]:
        """Draw the darkness of each image by a generator of its own.

        Args:
            light: the batch, shape ``(B, 3, H, W)``.
            data_samples: of the batch; ``pad_shape`` is the size of the image before the batch filled it up.

        Returns:
            Parameters on the CPU, and noise on the device of the images, zero where the batch filled them up.
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
        """Dark partners of a batch of light images, on their device.

        Args:
            light: RGB in [0, 1], shape ``(B, 3, H, W)``.
            parameters: of DarkISP, on the CPU.
            noise: of DarkISP, on the device of the images.
        """
        with torch.no_grad():
            return darken(light.clamp(0.0, 1.0), parameters, noise, self.dark_isp)


def _draw_seed(source: torch.Generator | None = None) -> int:
    return int(torch.randint(2**63 - 1, (), generator=source))


def _filled_up(noise: Tensor, size: torch.Size) -> Tensor:
    """``(1, 3, h, w)`` noise with zeros at the right and at the bottom, to the size ``(H, W)`` of the batch."""
    if noise.shape[-2:] in (size, (1, 1)):  # (1, 1): one number a channel
        return noise
    return F.pad(noise, (0, size[1] - noise.shape[-1], 0, size[0] - noise.shape[-2]))
