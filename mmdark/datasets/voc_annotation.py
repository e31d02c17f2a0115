"""Parse VOC annotation files and image lists."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from typing import NamedTuple

from mmdark.datasets.label_files import lines_of
from mmdark.errors import InputError, shown
from mmdark.places import is_place

_CORNERS = ('xmin', 'ymin', 'xmax', 'ymax')
_FLAGS = ('1', '0', '-1')


class VocObject(NamedTuple):
    """One object: its name, left, top, right and bottom in pixels counted from 1, as written, and ``difficult``."""

    name: str
    left: float
    top: float
    right: float
    bottom: float
    difficult: bool


class VocImage(NamedTuple):
    """The image of a file: width and height, None where the file does not give them, and the objects."""

    size: tuple[int, int] | None
    objects: list[VocObject]


def parse_voc(content: bytes, source: str) -> VocImage:
    """Parse one annotation file; objects keep their order, and objects without a size are included.

    ``difficult`` is False if it is missing, empty or ``Unspecified``.

    Args:
        content: bytes of the file, so that its XML encoding declaration is used.
        source: path of the file, for messages.

    Raises:
        InputError: the file is not whole, of another kind, or an object is malformed; names ``source`` and the object.

    Example:
        >>> box = '<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox>'
        >>> text = f'<annotation><object><name>face</name>{box}</object></annotation>'
        >>> parse_voc(text.encode(), 'a.xml').objects
        [VocObject(name='face', left=1.0, top=2.0, right=3.0, bottom=4.0, difficult=False)]
    """
    if not content.strip():
        raise InputError(f'{source} is empty: write it again, or delete it')
    try:
        root = ElementTree.fromstring(content)
    except (ElementTree.ParseError, LookupError, ValueError):  # the latter two for an unknown encoding
        raise InputError(f'{source} is not well-formed XML: write it again, or delete it') from None
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
    return VocImage(_size(root), objects)


def parse_voc_list(text: str, source: str, is_name: Callable[[str], bool]) -> list[str]:
    r"""Read a list of images, ``ImageSets/Main/train.txt``.

    The class lists of VOC have a flag after each name, ``2007_000027 -1``, which is dropped.

    Args:
        text: the whole list.
        source: its path, for messages.
        is_name: whether a line that seems to end with a flag is a complete image name.

    Raises:
        InputError: the list is empty.

    Example:
        >>> parse_voc_list('a  1\nb -1\nc d\n', 'train.txt', lambda name: False)
        ['a', 'b', 'c d']
    """
    names = []
    for _, line in lines_of(text):
        name, *flag = line.rsplit(maxsplit=1)
        names.append(name if flag and flag[0] in _FLAGS and not is_name(line) else line)
    if not names:
        raise InputError(f'{source} is empty: it should hold one image name per line, without suffix')
    return names


def _size(root: ElementTree.Element) -> tuple[int, int] | None:
    try:
        width, height = (int(_number(root.findtext(f'size/{side}'))) for side in ('width', 'height'))
    except ValueError:
        return None
    return (width, height) if width > 0 and height > 0 else None


def _object(element: ElementTree.Element) -> VocObject:
    """One object; ``ValueError`` says what is wrong with it."""
    name, box = (element.findtext('name') or '').strip(), element.find('bndbox')
    if not name:
        raise ValueError('has no name')
    if box is None:
        raise ValueError('has no bndbox')
    difficult = (element.findtext('difficult') or '').strip()
    if difficult.lower() not in ('0', '1', '', 'unspecified'):
        raise ValueError(f'has {shown(difficult)} for difficult, which should be 0 or 1')
    corners = [_corner(box, tag) for tag in _CORNERS]
    for low, high in ((0, 2), (1, 3)):
        if corners[low] > corners[high]:
            raise ValueError(
                f'has {_CORNERS[low]} {corners[low]:g} above {_CORNERS[high]} {corners[high]:g}: is it turned, or x y '
                'width height?'
            )
    return VocObject(name, *corners, difficult == '1')


def _corner(box: ElementTree.Element, tag: str) -> float:
    text = box.findtext(tag)
    try:
        return _number(text)
    except ValueError:
        what = 'has no' if text is None else f'has {shown(text)} for'
        raise ValueError(f'{what} {tag}, which should be a number of pixels') from None


def _number(text: str | None) -> float:
    value = float(text or '')
    if not is_place(value):
        raise ValueError(text)
    return value
