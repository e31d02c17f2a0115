"""Find ExDark's images and labels, in the official folders and in copies with another layout."""

from __future__ import annotations

import os
from collections.abc import Sequence

from mmdark.datasets.exdark_annotation import CLASSES, ExDarkImage
from mmdark.datasets.label_files import names_in

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png')
"""Image suffixes in the official list, in lower case; the list also contains ``.JPG`` and ``.JPEG``."""

Paths = tuple[list[str], dict[int, str]]
"""The path of each file, and the paths of the missing files by their index in the list."""


def find_images(images: Sequence[ExDarkImage], root: str, listed: bool = True) -> Paths:
    """Find the images in the class folders of ``root`` or in ``root`` itself.

    Case is ignored, and any of :data:`IMAGE_SUFFIXES` is accepted.

    Args:
        images: entries of the official list.
        root: the folder ``ExDark``.
        listed: whether to list the folders; if not, the official layout is assumed.
    """
    return _find([(image.class_name, _names(image)) for image in images], root, listed)


def find_labels(images: Sequence[ExDarkImage], root: str, listed: bool = True) -> Paths:
    """Find the labels of the images, ``2015_00001.png.txt`` or ``2015_00001.txt``; otherwise as :func:`find_images`."""
    wanted = [
        (image.class_name, [*(f'{name}.txt' for name in _names(image)), f'{os.path.splitext(image.name)[0]}.txt'])
        for image in images
    ]
    return _find(wanted, root, listed)


def _names(image: ExDarkImage) -> list[str]:
    return [image.name, *(f'{os.path.splitext(image.name)[0]}{suffix}' for suffix in IMAGE_SUFFIXES)]


def _find(wanted: Sequence[tuple[str, list[str]]], root: str, listed: bool) -> Paths:
    """The first existing file of each (class, names); each folder is listed once."""
    folders = {name: names_in(os.path.join(root, name)) if listed else set() for name in ('', *CLASSES)}
    spelt = {folder: {name.lower(): name for name in sorted(names)} for folder, names in folders.items()}
    paths, missing = [], {}
    for place, (class_name, names) in enumerate(wanted):
        found = (
            os.path.join(root, folder, name if name in folders[folder] else spelt[folder][name.lower()])
            for folder in (class_name, '')
            for name in names
            if name.lower() in spelt[folder]
        )
        path = next(found, None)
        paths.append(path or os.path.join(root, class_name, names[0]))
        if listed and path is None:
            missing[place] = paths[-1]
    return paths, missing
