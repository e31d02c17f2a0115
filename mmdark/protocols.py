"""Attributes that mmdark asks of a network besides being a module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class OwnWeights(Protocol):
    """A module whose weights may come from a file of its own, so that a detector's checkpoint may lack them.

    Attributes:
        weights_of_its_own: whether they do.
        needs_weights: whether they are still to be loaded, by ``init_weights``.
    """

    weights_of_its_own: bool
    needs_weights: bool


class HasPublishedNames(Protocol):
    """A module that the published code's weight files can fill."""

    def published_names(self) -> dict[str, str]:
        """Key in the published file → key in this module."""


class PublishedBackbone(HasPublishedNames, Protocol):
    """A backbone that whole published detectors contain.

    Attributes:
        published_prefix: start of its keys in such a detector, without the dot.
    """

    published_prefix: str


@runtime_checkable
class TranslatesPublished(HasPublishedNames, Protocol):
    """A module whose weights are computed from the published ones."""

    def translate_published(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Published weights to those of this module."""
