"""DarkISP: a day photograph as a camera would have taken it in the dark.

The low-light synthesis of MAET (ICCV 2021) in the form DAI-Net (arXiv:2312.01220) uses it: the image is taken back to
the linear sensor signal, darkened there, given the noise of a sensor, and developed again.

Sampling of parameters and noise is separate from applying them, so that any darkening can be repeated exactly.
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
