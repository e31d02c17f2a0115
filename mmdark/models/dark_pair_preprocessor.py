"""The data preprocessor of DAI-Net: batches (light, dark) pairs, and can darken on the device."""

from __future__ import annotations

import torch
from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from torch import Tensor
from torch.nn import functional as F

from mmdark.dark_isp import PRESETS, ISPNoise, ISPParameters, darken, sample_noise, sample_parameters_each


@MODELS.register_module()
class DarkPairPreprocessor(DetDataPreprocessor):
    """``DetDataPreprocessor`` for training inputs ``dict(light=[...], dark=[...])``; test inputs stay as they are.

    Without mean and std it would leave pixels on the 0-255 scale; the networks here want ``mean=[0, 0, 0]``,
    ``std=[255, 255, 255]``, ``bgr_to_rgb=True``.

    Args:
        dark_isp: a DarkISP preset; the dark partner of each training image is then made here, on the device and for
            the whole batch at once, and the pipeline gives the light images alone. Its darkness depends on the
            ``random_seed`` of the data sample (see ``CountedDataset``) and the kind of device alone, not on the
            batch; samples without one get a seed from torch's global generator.
        **kwargs: of ``DetDataPreprocessor``.
    """

    def __init__(self, dark_isp: str | None = None, **kwargs: object) -> None:
        super().__init__(**kwargs)
        if dark_isp is not None and dark_isp not in PRESETS:
            raise ValueError(f'unknown DarkISP preset {dark_isp!r}; choose one of {", ".join(PRESETS)}')
        self.dark_isp = dark_isp

    def forward(self, data: dict, training: bool = False) -> dict:
        """Batch, pad, scale; pairs become ``inputs = dict(light=(B, 3, H, W), dark=(B, 3, H, W))``."""
        inputs = data['inputs']
        if not isinstance(inputs, dict):
            batch = super().forward(data, training)
            if training and self.dark_isp:
                light = batch['inputs']
                dark = self.darken(light, *self.sample(light, batch['data_samples']))
                batch['inputs'] = dict(light=light, dark=dark)
            return batch
        light = super().forward({**data, 'inputs': inputs['light']}, training)
        dark = super().forward(dict(inputs=inputs['dark'], data_samples=None), training)
        return dict(inputs=dict(light=light['inputs'], dark=dark['inputs']), data_samples=light['data_samples'])

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
