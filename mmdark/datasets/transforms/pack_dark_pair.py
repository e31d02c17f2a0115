"""Pack a light image and its dark version into one training input."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import numpy as np
import torch
from mmdet.datasets.transforms import PackDetInputs
from mmdet.registry import TRANSFORMS

from mmdark.datasets.transforms.dark_isp import DarkISP
from mmdark.errors import InputError


@TRANSFORMS.register_module()
class PackDarkPair(PackDetInputs):
    """``PackDetInputs`` whose ``inputs`` are ``dict(light=..., dark=...)``, each ``(3, H, W)`` BGR, 0-255.

    Required keys: those of ``PackDetInputs``, and ``light_img`` and ``dark_img`` of :class:`DarkISP`.

    Raises:
        InputError: DarkISP is missing from the pipeline, or a later transform changed the dark image and the boxes but
            not the light image.
    """

    def transform(self, results: dict) -> dict:
        """Pack both images with one set of boxes."""
        if 'light_img' not in results:
            raise InputError('PackDarkPair needs DarkISP with keep_light=True, the default, before it in the pipeline')
        dark, light = results['dark_img'], results['light_img']
        if results['img'] is not dark:
            raise InputError(
                f'{", ".join(_steps_since_darkness(self)) or "a step"} between DarkISP and PackDarkPair changed the '
                'dark image but not the light one; put it before DarkISP'
            )
        packed = super().transform({**results, 'img': light})
        dark = torch.from_numpy(np.ascontiguousarray(dark.transpose(2, 0, 1)))
        packed['inputs'] = dict(light=packed['inputs'], dark=dark)
        return packed


def _steps_since_darkness(step: object) -> list[str]:
    """Names of the transforms between DarkISP and ``step``.

    A transform has no reference to its pipeline, so this searches the call stack; only used for an error message.
    """
    frame = inspect.currentframe()
    names: list[str] = []
    while frame := frame.f_back:
        steps = list(_single_steps(frame.f_locals.get('self')))
        if step in steps:
            before = steps[: steps.index(step)]
            darkness = [place for place, one in enumerate(before) if isinstance(one, DarkISP)]
            names = [type(one).__name__ for one in before[darkness[-1] + 1 :]] if darkness else names
    return names


def _single_steps(step: object) -> Iterator[object]:
    """The transforms of a pipeline, including those nested in ``RandomChoice``, ``RandomApply`` and others."""
    inner = getattr(step, 'transforms', None)
    if inner is None:
        yield step
        return
    for one in inner if isinstance(inner, (list, tuple)) else [inner]:
        yield from _single_steps(one)
