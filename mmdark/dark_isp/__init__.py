"""DarkISP: simulate how a camera would have taken a daylight photograph in the dark.

The low-light synthesis of MAET (ICCV 2021) as used by DAI-Net (arXiv:2312.01220): the image is converted to the linear
sensor signal, darkened, given sensor noise, and converted back.

Parameters and noise are sampled separately from their application, so that a darkening can be repeated exactly.
"""

from mmdark.dark_isp.camera_colours import PUBLISHED_CAMERA_TO_RGB, RGB_TO_XYZ, XYZ_TO_CAMERA
from mmdark.dark_isp.pixels import FLOOR, PixelSteps, darken, linear_signal, pixel_steps
from mmdark.dark_isp.sampling import (
    PRESETS,
    ISPNoise,
    ISPParameters,
    Preset,
    find_preset,
    sample_noise,
    sample_parameters,
    sample_parameters_each,
)

__all__ = [
    'FLOOR',
    'PRESETS',
    'PUBLISHED_CAMERA_TO_RGB',
    'RGB_TO_XYZ',
    'XYZ_TO_CAMERA',
    'ISPNoise',
    'ISPParameters',
    'PixelSteps',
    'Preset',
    'darken',
    'find_preset',
    'linear_signal',
    'pixel_steps',
    'sample_noise',
    'sample_parameters',
    'sample_parameters_each',
]
