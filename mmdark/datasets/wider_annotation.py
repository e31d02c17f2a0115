"""Parse the two text formats of WIDER FACE annotations.

* **official**, ``wider_face_*_bbx_gt.txt``: a line with the image's name, a line with the number of faces, then one row
  per face: ``x y w h blur expression illumination invalid occlusion pose``. An image with the number 0 is followed by a
  row of zeros in the official files and by no row in files of other tools. Rows may be ``x y w h`` only.
* **one-line**, the lists that the training codes of DSFD and DAI-Net read: ``name n x y w h 1 x y w h 1 ...``.

The format is detected from the content: the first line of an official file is a name, or its second line is a number.
"""

from __future__ import annotations

from typing import NamedTuple

from mmdark.datasets.label_files import Line, is_count, lines_of, parse_row
from mmdark.errors import InputError, shown

ATTRIBUTES = ('blur', 'expression', 'illumination', 'invalid', 'occlusion', 'pose')
"""The columns after ``x y w h``, with values from 0 (normal) to 2."""

_ROW = range(4, 1000)
_FACE_COLUMNS = 5  # of the one-line format


class WiderFace(NamedTuple):
    """One face: left, top, width and height in pixels, its line number, and its :data:`ATTRIBUTES`."""

    x: float
    y: float
    width: float
    height: float
    line: int
    attributes: tuple[float, ...] = ()

    @property
    def corners(self) -> tuple[float, float, float, float]:
        """x1 y1 x2 y2."""
        return self.x, self.y, self.x + self.width, self.y + self.height

    @property
    def invalid(self) -> bool:
        """The official attribute."""
        return self.attributes[3:4] == (1,)


class WiderImage(NamedTuple):
    """One image: its name as written, the line number of that name, and its faces."""

    name: str
    line: int
    faces: list[WiderFace]


def parse_wider_annotation(text: str, source: str) -> list[WiderImage]:
    """Parse an annotation in either format; values are kept, and faces without a size are included.

    Args:
        text: the whole annotation file.
        source: its path, for messages.

    Raises:
        InputError: the text is empty or malformed; the message names ``source`` and the line.

    Example:
        >>> parse_wider_annotation('a/b.jpg 1 10 20 30 40 1', 'list.txt')[0].faces[0][:4]
        (10.0, 20.0, 30.0, 40.0)
    """
    lines = lines_of(text)
    if not lines:
        raise InputError(f'{source} is empty: it should list the images and their faces')
    if len(lines[0][1].split()) == 1 or (len(lines) > 1 and lines[1][1].isdecimal()):
        return _parse_official(lines, source)
    return [_parse_one_line(line, source) for line in lines]


def _parse_official(lines: list[Line], source: str) -> list[WiderImage]:
    images, position = [], 0
    while position < len(lines):
        number, name = lines[position]
        if _is_row(name):
            raise InputError(
                f'{source}:{number}: an image name should stand here, not {shown(name)}; '
                'the image before it has more rows than its number of faces says'
            )
        count = _count(lines, position + 1, name, source)
        rows = lines[position + 2 : position + 2 + count]
        if len(rows) < count:
            raise InputError(
                f'{source}:{number}: {name[:60]} should have {count} faces; the file ends after {len(rows)}'
            )
        images.append(WiderImage(name, number, [_official_face(row, name, source) for row in rows]))
        position += 2 + count
        if count == 0 and position < len(lines) and _is_row(lines[position][1]):
            position += 1  # the row of zeros under an image without faces
    return images


def _count(lines: list[Line], position: int, name: str, source: str) -> int:
    if position == len(lines):
        raise InputError(
            f'{source}:{lines[-1][0]}: the file ends where the number of faces of {name[:60]} should follow'
        )
    number, text = lines[position]
    if not is_count(text):
        raise InputError(f'{source}:{number}: the number of faces of {name[:60]} should stand here, not {shown(text)}')
    return int(text)


def _official_face(row: Line, name: str, source: str) -> WiderFace:
    number, text = row
    expected = f'a face row of {name[:60]} should be numbers, at least x y w h'
    values = parse_row(text.split(), f'{source}:{number}', expected, _ROW)
    return WiderFace(*values[:4], number, tuple(values[4 : 4 + len(ATTRIBUTES)]))


def _parse_one_line(line: Line, source: str) -> WiderImage:
    """One image of the list format; its name may hold blanks."""
    number, text = line
    words = text.split()
    for end in range(1, len(words)):
        if is_count(words[end]) and len(words) - end - 1 == int(words[end]) * _FACE_COLUMNS:
            break
    else:
        raise InputError(f'{source}:{number}: expected "name n" and then n times "x y w h 1", not {shown(text)}')
    name, faces = ' '.join(words[:end]), words[end + 1 :]
    expected = f'the faces of {name[:60]} should be numbers'
    values = parse_row(faces, f'{source}:{number}', expected, [len(faces)])
    starts = range(0, len(values), _FACE_COLUMNS)
    return WiderImage(name, number, [WiderFace(*values[i : i + 4], number) for i in starts])


def _is_row(text: str) -> bool:
    words = text.split()
    try:
        return len([float(word) for word in words]) > 1
    except ValueError:
        return False
