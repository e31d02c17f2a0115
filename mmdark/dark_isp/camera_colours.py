"""Conversion between linear RGB and the sensor colours of four cameras, for DarkISP.

The tables are those of "Unprocessing Images for Learned Raw Denoising" (arXiv:1811.11127).
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

RGB_TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
"""Linear sRGB to CIE XYZ (D65)."""

XYZ_TO_CAMERA = (
    ((1.0234, -0.2969, -0.2266), (-0.5625, 1.6328, -0.0469), (-0.0703, 0.2188, 0.6406)),
    ((0.4913, -0.0541, -0.0202), (-0.613, 1.3513, 0.2906), (-0.1564, 0.2151, 0.7183)),
    ((0.838, -0.263, -0.0639), (-0.2887, 1.0725, 0.2496), (-0.0627, 0.1427, 0.5438)),
    ((0.6596, -0.2079, -0.0562), (-0.4782, 1.3016, 0.1933), (-0.097, 0.1581, 0.5181)),
)
"""CIE XYZ to the sensor colours of four cameras."""

PUBLISHED_CAMERA_TO_RGB = (
    (
        (1.262272, -0.18766351, 0.0988423899),
        (-0.367268294, 1.1334672, 0.0209955797),
        (-0.0210718606, -0.293963403, 1.37298894),
    ),
    (
        (2.12077475, -0.348472327, -0.0706614256),
        (-0.349064499, 1.58615351, -0.588745356),
        (0.108283378, -0.345311821, 1.39168406),
    ),
    (
        (1.70548868, -0.230853602, -0.118933007),
        (-0.673749685, 1.81680393, -0.831311524),
        (0.0468912013, -0.311357737, 1.46112835),
    ),
    (
        (1.63424265, -0.147975624, -0.111841895),
        (-0.5434587, 1.50240672, -0.534664452),
        (0.0718105137, -0.255993247, 1.38892078),
    ),
)
"""Inverses of the published colour matrices in float32: LU decomposition with row pivots, each operation rounded.

The last digits of a library's inverse differ between machines, which the last root enlarges to 2e-5 near the lower
clamp. With these matrices the ``dainet`` preset reproduces the published code.
"""


@cache
def colour_matrices(normalise_rows: bool) -> tuple[Tensor, Tensor]:
    """Linear RGB to sensor colours and back for each camera, both float32 on the CPU, shape ``(4, 3, 3)``.

    Args:
        normalise_rows: normalise the rows, so that white stays white. The published code normalises the columns (it
            lacks ``keepdims``).
    """
    to_camera, to_xyz = (torch.tensor(m, dtype=torch.float64, device='cpu') for m in (XYZ_TO_CAMERA, RGB_TO_XYZ))
    matrices = to_camera @ to_xyz
    if normalise_rows:
        matrices = matrices / matrices.sum(-1, keepdim=True)
        return matrices.float(), torch.linalg.inv(matrices).float()
    to_rgb = torch.tensor(PUBLISHED_CAMERA_TO_RGB, dtype=torch.float32, device='cpu')
    return (matrices / matrices.sum(-1)[:, None]).float(), to_rgb
