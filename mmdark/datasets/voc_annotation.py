"""VOC's files read into plain records, and what is wrong with them; knows nothing of images on disk."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from typing import NamedTuple

from mmdark.errors import InputError, shown
from mmdark.places import is_place

CORNERS = ('xmin', 'ymin', 'xmax', 'ymax')
_FLAGS = ('1', '0', '-1')
_NOT_SAID = ('', 'unspecified')


class VocObject(NamedTuple):
    """One object: its name, left, top, right and bottom in pixels counted from 1, as written, and ``difficult``."""

    name: str
    left: float
    top: float
    right: float
    bottom: float
    difficult: bool


class VocImage(NamedTuple):
    """What a file says of its image: width and height, None where it does not say them, and the objects."""

    size: tuple[int, int] | None
    objects: list[VocObject]


def parse_voc(content: bytes, source: str) -> VocImage:
    """Read one annotation file.

    Args:
        content: its bytes, so that the encoding it states counts.
        source: how messages name it, its path.

    Returns:
        The objects in the order of the file, also those without a size. ``difficult`` that is missing, empty or
        ``Unspecified`` is False.

    Raises:
        InputError: the file is not whole, of another kind, or an object is malformed; names ``source`` and the object.

    Example:
        >>> box = '<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox>'
        >>> text = f'<annotation><object><name>face</name>{box}</object></annotation>'
        >>> parse_voc(text.encode(), 'a.xml').objects
        [VocObject(name='face', left=1.0, top=2.0, right=3.0, bottom=4.0, difficult=False)]
    """
    root = voc_root(content, source)
    if root.tag != 'annotation':
        raise InputError(f'{source} holds <{shown(root.tag)[1:-1]}>, not <annotation>: it is no VOC file, name another')
    objects = []
    for place, element in enumerate(root.findall('object'), 1):
        try:
            objects.append(_object(element))
        except ValueError as error:
            name = (element.findtext('name') or '').strip()
            raise InputError(
                f'{source}: object {place}{f" ({shown(name)})" if name else ""} {error}; mend it or take it out'
            ) from None
    return VocImage(voc_size(root), objects)


def voc_root(content: bytes, source: str) -> ElementTree.Element:
    """The root of an XML file.

    Raises:
        InputError: the file is empty or not well-formed.
    """
    if not content.strip():
        raise InputError(f'{source} is empty: write it again, or take it away')
    try:
        return ElementTree.fromstring(content)
    except (ElementTree.ParseError, LookupError, ValueError):  # the latter two for an unknown encoding
        raise InputError(f'{source} is not well-formed XML: write it again, or take it away') from None


def voc_size(root: ElementTree.Element) -> tuple[int, int] | None:
    """Width and height that a file gives its image; None where there is no such size, or none above 0."""
    try:
        width, height = (int(_number(root.findtext(f'size/{side}'))) for side in ('width', 'height'))
    except ValueError:
        return None
    return (width, height) if width > 0 and height > 0 else None


def voc_corners(box: ElementTree.Element) -> list[float]:
    """``xmin ymin xmax ymax`` of a ``bndbox``, pixels counted from 1.

    Raises:
        ValueError: one is missing, no number, or no place in an image.
    """
    corners = []
    for tag in CORNERS:
        text = box.findtext(tag)
        try:
            corners.append(_number(text))
        except ValueError:
            what = 'has no' if text is None else f'has {shown(text)} for'
            raise ValueError(f'{what} {tag}, which should be a number of pixels') from None
    return corners


def parse_voc_list(text: str, source: str, is_name: Callable[[str], bool]) -> list[str]:
    r"""Read a list of images, ``ImageSets/Main/train.txt``.

    The lists of VOC's classes have a flag behind each name, ``2007_000027 -1``; it is dropped: all are in the set.

    Args:
        text: the whole list.
        source: how messages name it, its path.
        is_name: whether a name that ends like a flag is one as it stands.

    Raises:
        InputError: the list is empty.

    Example:
        >>> parse_voc_list('a  1\nb -1\nc d\n', 'train.txt', lambda name: False)
        ['a', 'b', 'c d']
    """
    names = []
    for line in filter(None, map(str.strip, text.splitlines())):
        name, *flag = line.rsplit(maxsplit=1)
        names.append(name if flag and flag[0] in _FLAGS and not is_name(line) else line)
    if not names:
        raise InputError(f'{source} is empty: it should hold the name of one image a line, without suffix')
    return names


def _object(element: ElementTree.Element) -> VocObject:
    """One object; ``ValueError`` says what is wrong with it."""
    name, box = (element.findtext('name') or '').strip(), element.find('bndbox')
    if not name:
        raise ValueError('has no name')
    if box is None:
        raise ValueError('has no bndbox')
    difficult = (element.findtext('difficult') or '').strip()
    if difficult not in ('0', '1') and difficult.lower() not in _NOT_SAID:
        raise ValueError(f'has {shown(difficult)} for difficult, which should be 0 or 1')
    corners = voc_corners(box)
    for low, high in ((0, 2), (1, 3)):
        if corners[low] > corners[high]:
            raise ValueError(
                f'has {CORNERS[low]} {corners[low]:g} above {CORNERS[high]} {corners[high]:g}: is it turned, or x y '
                'width height?'
            )
    return VocObject(name, *corners, difficult == '1')


def _number(text: str | None) -> float:
    """The text as a number that can be a place in an image."""
    value = float(text or '')
    if not is_place(value):
        raise ValueError(text)
    return value
