"""Protocols that some modules of mmdark implement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class OwnWeights(Protocol):
    """A module whose weights may come from a separate file and may be missing in a detector's checkpoint.

    Attributes:
        weights_of_its_own: whether the weights come from a separate file.
        needs_weights: whether ``init_weights`` still has to load them.
    """

    weights_of_its_own: bool
    needs_weights: bool


class HasPublishedNames(Protocol):
    """A module that can load the published code's weight files."""

    def published_names(self) -> dict[str, str]:
        """Key in the published file → key in this module."""


class PublishedBackbone(HasPublishedNames, Protocol):
    """A backbone that is part of the published detectors.

    Attributes:
        published_prefix: prefix of its keys in a published detector, without the dot.
    """

    published_prefix: str


@runtime_checkable
class TranslatesPublished(HasPublishedNames, Protocol):
    """A module whose weights are computed from the published ones."""

    def translate_published(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Convert published weights to those of this module."""
