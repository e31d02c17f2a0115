"""Data of one training step: both images of each pair and everything that the losses of DAI-Net compare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from .retinex_net import Decomposition


@dataclass(frozen=True)
class Networks:
    """The networks that a pair goes through.

    Attributes:
        enhancer: Retinex teacher, images → decomposition.
        decoder: (shallow features, image size) → reflectance.
        stem: images → shallow features.
        recomposition: ``interchanged``, ``own`` or None; see :class:`DAINet`.
    """

    enhancer: Callable[[Tensor], Decomposition] | None
    decoder: Callable[[Tensor, tuple[int, int]], Tensor] | None
    stem: Callable[[Tensor], Tensor]
    recomposition: str | None


class View:
    """The light or the dark images of a batch; decomposition and reflectance are computed on first use.

    Attributes:
        image: RGB in [0, 1], ``(B, 3, H, W)``.
        shallow: the detector's features at the tap, ``(B, C, h, w)``.
        given: reflectance that a recomposed image was made with, ``(B, 3, H, W)``; None for original images.
    """

    def __init__(self, image: Tensor, shallow: Tensor, networks: Networks, given: Tensor | None = None) -> None:
        self.image = image
        self.shallow = shallow
        self.given = given
        self._networks = networks

    @cached_property
    def teacher(self) -> Decomposition:
        """Decomposition by the teacher: reflectance ``(B, 3, H, W)`` and illumination ``(B, 1, H, W)``."""
        assert self._networks.enhancer is not None, 'the loss needs a teacher'
        return self._networks.enhancer(self.image)

    @cached_property
    def reflectance(self) -> Tensor:
        """Reflectance decoded from the shallow features, ``(B, 3, H, W)``."""
        assert self._networks.decoder is not None, 'the loss needs a teacher'
        return self._networks.decoder(self.shallow, self.image.shape[-2:])


class DarkPair:
    """Light and dark views of the same scenes; every loss of DAI-Net takes one and returns a scalar."""

    def __init__(self, light: View, dark: View, networks: Networks) -> None:
        self.light = light
        self.dark = dark
        self._networks = networks

    @cached_property
    def recomposed(self) -> DarkPair | None:
        """Both images recomposed from illumination and (interchanged) reflectance, which receive no gradients.

        None if the model has no teacher or no recomposition.
        """
        networks, light, dark = self._networks, self.light, self.dark
        if networks.enhancer is None or networks.recomposition is None:
            return None
        illuminations = light.teacher.illumination, dark.teacher.illumination
        in_light, in_dark = light.reflectance, dark.reflectance
        if networks.recomposition == 'interchanged':
            in_light, in_dark = in_dark, in_light
        image_light, image_dark = (
            (illumination * given).detach()
            for illumination, given in zip(illuminations, (in_light, in_dark), strict=True)
        )
        shallow_light, shallow_dark = networks.stem(torch.cat([image_light, image_dark])).chunk(2)
        return DarkPair(
            View(image_light, shallow_light, networks, in_light),
            View(image_dark, shallow_dark, networks, in_dark),
            networks,
        )
