"""The data preprocessor of DAI-Net: batches (light, dark) pairs, and can darken on the device."""

from __future__ import annotations

import torch
from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmdet.registry import MODELS
from torch import Tensor

from mmdark.dark_isp import PRESETS, ISPNoise, ISPParameters, darken, sample_noise, sample_parameters


@MODELS.register_module()
class DarkPairPreprocessor(DetDataPreprocessor):
    """``DetDataPreprocessor`` for training inputs ``dict(light=[...], dark=[...])``; test inputs stay as they are.

    Without mean and std it would leave pixels on the 0-255 scale; the networks here want ``mean=[0, 0, 0]``,
    ``std=[255, 255, 255]``, ``bgr_to_rgb=True``.

    Args:
        dark_isp: a DarkISP preset; the dark partner of each training image is then made here, on the device and for
            the whole batch at once, and the pipeline gives the light images alone.
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
                batch['inputs'] = dict(light=batch['inputs'], dark=self.darken(batch['inputs']))
            return batch
        light = super().forward({**data, 'inputs': inputs['light']}, training)
        dark = super().forward(dict(inputs=inputs['dark'], data_samples=None), training)
        return dict(inputs=dict(light=light['inputs'], dark=dark['inputs']), data_samples=light['data_samples'])

    def darken(self, light: Tensor, parameters: ISPParameters | None = None, noise: ISPNoise | None = None) -> Tensor:
        """Dark partners of a batch of light images, on their device.

        Args:
            light: RGB in [0, 1], shape ``(B, 3, H, W)``.
            parameters: of DarkISP; drawn where they are not given.
            noise: of DarkISP; drawn where it is not given.
        """
        parameters = (parameters or sample_parameters(len(light), self.dark_isp)).to(light.device)
        with torch.no_grad():
            noise = noise or sample_noise(light.shape, self.dark_isp, device=light.device)
            return darken(light.clamp(0.0, 1.0), parameters, noise, self.dark_isp)
