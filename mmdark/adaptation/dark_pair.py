"""The record of one training step: both images of each pair and all that the losses of DAI-Net compare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from .retinex_net import Decomposition


@dataclass(frozen=True)
class Networks:
    """What a pair is looked at with.

    Attributes:
        enhancer: Retinex teacher, images to their decomposition; None without a teacher.
        decoder: shallow features and the size of the image to its reflectance.
        stem: images to their shallow features.
        recomposition: whose reflectance an image is recomposed with: ``interchanged``, ``own``, or None.
    """

    enhancer: Callable[[Tensor], Decomposition] | None
    decoder: Callable[[Tensor, tuple[int, int]], Tensor]
    stem: Callable[[Tensor], Tensor]
    recomposition: str | None


class View:
    """The light images of a batch, or the dark ones; what no loss asks for is not computed.

    Attributes:
        image: RGB in [0, 1], ``(B, 3, H, W)``.
        shallow: the detector's features at the tap, ``(B, C, h, w)``.
        given: the reflectance that a recomposed image was made with, ``(B, 3, H, W)``; None for the images themselves.
    """

    def __init__(self, image: Tensor, shallow: Tensor, networks: Networks, given: Tensor | None = None) -> None:
        self.image = image
        self.shallow = shallow
        self.given = given
        self._networks = networks

    @cached_property
    def teacher(self) -> Decomposition:
        """What the teacher sees: reflectance ``(B, 3, H, W)`` and illumination ``(B, 1, H, W)``."""
        return self._networks.enhancer(self.image)

    @cached_property
    def reflectance(self) -> Tensor:
        """What the reflectance decoder makes of the shallow features, ``(B, 3, H, W)``."""
        return self._networks.decoder(self.shallow, self.image.shape[-2:])


class DarkPair:
    """Light and dark views of the same scenes; every loss of DAI-Net takes one and returns a scalar.

    Attributes:
        light: view of the light images.
        dark: view of their dark versions.
    """

    def __init__(self, light: View, dark: View, networks: Networks) -> None:
        self.light = light
        self.dark = dark
        self._networks = networks

    @cached_property
    def recomposed(self) -> DarkPair | None:
        """Both images made again of illumination and reflectance, by default the other one's, and looked at once more.

        They are the ends of their gradients. None where the model has no teacher, or recomposes nothing.
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
