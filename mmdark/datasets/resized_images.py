"""The images of a data set that were resized, found by the names that annotations give them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NamedTuple

from mmdark.errors import InputError

_SPLITS = {'train', 'training', 'val', 'valid', 'validation', 'test', 'testing'}


class Resized(NamedTuple):
    """Width and height of an image before and after, in pixels."""

    old: tuple[int, int]
    new: tuple[int, int]

    @property
    def factors(self) -> tuple[float, float]:
        """What x and y are multiplied by."""
        return self.new[0] / self.old[0], self.new[1] / self.old[1]


@dataclass
class Tally:
    """Counts over all annotations.

    Attributes:
        boxes: those written.
        below_pixel: those of them that became smaller than 1 px; they are kept.
        absent_images: annotated images without a file; they are left out, but for VOC files, which stay as they are.
        masks: run-length masks, which cannot be scaled; they are emptied.
    """

    boxes: int = 0
    below_pixel: int = 0
    absent_images: int = 0
    masks: int = 0

    def scaled(self, box: list[float], factors: tuple[float, float], corners: bool = False) -> list[float]:
        """Scale four numbers, ``x y width height`` or with ``corners`` ``x1 y1 x2 y2``, and count the box."""
        x, y, *ends = (value * factor for value, factor in zip(box, factors * 2, strict=True))
        sides = (ends[0] - x, ends[1] - y) if corners else ends
        self.boxes += 1
        self.below_pixel += 0 < min(sides) < 1
        return [x, y, *ends]


class ResizedImages:
    """The images of a data set, found by the names that annotations give them.

    Args:
        images: each image's name, relative to the data set, and its sizes; None for one that is broken.
    """

    def __init__(self, images: Mapping[str, Resized | None]) -> None:
        self.images = images
        self.by_name: dict[str, list[str]] = {}
        for path in images:
            self.by_name.setdefault(PurePosixPath(path).name, []).append(path)

    def find(self, name: str, annotation: str, size: tuple[int, int] | None = None) -> Resized | None:
        """The image that shares most trailing folders with ``name``; None where there is none, or where it is broken.

        Where several do, the size that the annotation gives decides, then "train", "val" or "test" in the annotation's
        own path.

        Raises:
            InputError: several images remain, of different sizes.
        """
        name = name.replace('\\', '/')
        paths = self.by_name.get(PurePosixPath(name).name, [])
        shared = [_shared_end(path, name) for path in paths]
        paths = [path for path, count in zip(paths, shared, strict=True) if count == max(shared)]
        for rule in (
            lambda path: self.images[path] and self.images[path].old == size,
            lambda path: _splits(path) & _splits(annotation),
        ):
            if len({self.images[path] for path in paths}) > 1:
                paths = [path for path in paths if rule(path)] or paths
        found = {self.images[path] for path in paths}
        if len(found) > 1:
            raise InputError(
                f'{annotation}: {name} may be {paths[0]} or {paths[1]}, of different sizes: give the folder in the '
                'annotation too, or shrink the two folders apart'
            )
        return found.pop() if found else None


def _shared_end(path: str, name: str) -> int:
    """How many last parts two paths share."""
    pairs = zip(reversed(PurePosixPath(path).parts), reversed(PurePosixPath(name).parts), strict=False)
    count = 0
    for first, second in pairs:
        if first != second:
            break
        count += 1
    return count


def _splits(path: str) -> set[str]:
    """The words of a path that name a part of a data set."""
    return _SPLITS & set(re.split(r'[\W_\d]+', path.lower()))
