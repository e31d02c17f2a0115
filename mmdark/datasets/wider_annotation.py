"""The two text formats in which WIDER FACE boxes are kept, read into plain records; knows nothing of images on disk.

* **official**, ``wider_face_*_bbx_gt.txt``: a line with the image's name, a line with the number of faces, then one row
  a face: ``x y w h blur expression illumination invalid occlusion pose``. An image with the number 0 is followed by one
  row of zeros in the official files and by no row in files that other tools wrote; both are read. Rows of ``x y w h``
  alone are read too.
* **one-line**, the lists that the training codes of DSFD and DAI-Net read: ``name n x y w h 1 x y w h 1 ...``.

They are told apart by content: an official file's first line is a name alone, or its second line a number alone.
"""

from typing import NamedTuple

from mmdark.errors import InputError, shown

ATTRIBUTES = ('blur', 'expression', 'illumination', 'invalid', 'occlusion', 'pose')
"""The columns behind ``x y w h``: 0 where nothing is special, up to 2."""
_ONE_LINE_COLUMNS = 5
_MAX_DIGITS = 9

Line = tuple[int, str]


class WiderFace(NamedTuple):
    """One annotated face: left, top, width and height in pixels, its line number, and its official attributes.

    The attributes are those of :data:`ATTRIBUTES`, in that order, as many as the row has.
    """

    x: float
    y: float
    width: float
    height: float
    line: int
    attributes: tuple[float, ...] = ()

    @property
    def invalid(self) -> bool:
        """Whether the official file calls the face so."""
        return self.attributes[3:4] == (1,)


class WiderImage(NamedTuple):
    """One annotated image: its name as the file has it, the line number of that name, and its faces."""

    name: str
    line: int
    faces: list[WiderFace]


def parse_wider_annotation(text: str, source: str) -> list[WiderImage]:
    """Read an annotation in either format.

    Args:
        text: the whole annotation file.
        source: how messages name that file, its path.

    Returns:
        The images in the order of the file, with every face as written, degenerate boxes included.

    Raises:
        InputError: the text is empty or malformed; the message names ``source`` and the line.

    Example:
        >>> parse_wider_annotation('a/b.jpg 1 10 20 30 40 1', 'list.txt')[0].faces[0][:4]
        (10.0, 20.0, 30.0, 40.0)
    """
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    lines = [line for line in lines if line[1]]
    if not lines:
        raise InputError(f'{source} is empty: it should list the images and their faces')
    if len(lines[0][1].split()) == 1 or (len(lines) > 1 and lines[1][1].isdecimal()):
        return _parse_official(lines, source)
    return [_parse_one_line(line, source) for line in lines]


def _parse_official(lines: list[Line], source: str) -> list[WiderImage]:
    """Read the official format from ``(line number, text)`` pairs without blank lines."""
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
    """The number of faces that stands at ``position``."""
    if position == len(lines):
        raise InputError(
            f'{source}:{lines[-1][0]}: the file ends where the number of faces of {name[:60]} should follow'
        )
    number, text = lines[position]
    if not is_count(text):
        raise InputError(f'{source}:{number}: the number of faces of {name[:60]} should stand here, not {shown(text)}')
    return int(text)


def _official_face(row: Line, name: str, source: str) -> WiderFace:
    """One row ``x y w h [blur expression illumination invalid occlusion pose]``."""
    number, text = row
    values = _numbers(text.split(), number, source, f'a face row of {name[:60]}')
    if len(values) < 4:
        raise InputError(f'{source}:{number}: a face row of {name[:60]} needs at least x y w h, not {shown(text)}')
    return WiderFace(*values[:4], number, tuple(values[4 : 4 + len(ATTRIBUTES)]))


def _parse_one_line(line: Line, source: str) -> WiderImage:
    """One image of the list format; its name may hold blanks."""
    number, text = line
    words = text.split()
    for end in range(1, len(words)):
        if is_count(words[end]) and len(words) - end - 1 == int(words[end]) * _ONE_LINE_COLUMNS:
            break
    else:
        raise InputError(f'{source}:{number}: expected "name n" and then n times "x y w h 1", not {shown(text)}')
    name = ' '.join(words[:end])
    values = _numbers(words[end + 1 :], number, source, f'the faces of {name[:60]}')
    starts = range(0, len(values), _ONE_LINE_COLUMNS)
    return WiderImage(name, number, [WiderFace(*values[i : i + 4], number) for i in starts])


def _numbers(words: list[str], number: int, source: str, what: str) -> list[float]:
    """The words as numbers, NaN and infinities included."""
    try:
        return [float(word) for word in words]
    except ValueError:
        raise InputError(f'{source}:{number}: {what} should be numbers, not {shown(" ".join(words))}') from None


def is_count(word: str) -> bool:
    """Whether a word is a whole number from 0 on that can count something; Python converts no more than 4,300 digits.

    Example:
        >>> is_count('12'), is_count('-1'), is_count('9' * 5000)
        (True, False, False)
    """
    return word.isdecimal() and len(word) <= _MAX_DIGITS


def _is_row(text: str) -> bool:
    """Whether the line is made of numbers only, more than one."""
    words = text.split()
    try:
        return len([float(word) for word in words]) > 1
    except ValueError:
        return False
