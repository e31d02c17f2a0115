"""Pack a light image and its dark partner into one training input."""

from __future__ import annotations

import numpy as np
import torch
from mmdet.datasets.transforms import PackDetInputs
from mmdet.registry import TRANSFORMS


@TRANSFORMS.register_module()
class PackDarkPair(PackDetInputs):
    """``PackDetInputs`` whose ``inputs`` are ``dict(light=..., dark=...)``, each ``(3, H, W)`` BGR, 0-255.

    Required keys: those of ``PackDetInputs`` and ``dark_img``.
    """

    def transform(self, results: dict) -> dict:
        """Pack the pair; the faces are the same in both."""
        packed = super().transform(results)
        dark = torch.from_numpy(np.ascontiguousarray(results['dark_img'].transpose(2, 0, 1)))
        packed['inputs'] = dict(light=packed['inputs'], dark=dark)
        return packed
