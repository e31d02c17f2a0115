"""One line a photograph, exact to the last digit, in ``results.jsonl``; all other lists are made from these lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .json_lines import Line, damaged_line, read_lines
from .result import BrokenImage, DetectionResult, key_of


class Kept(NamedTuple):
    """What a line says.

    Attributes:
        number: of the photograph among all, from 0 on.
        name: under which its files are written.
        item: what was found, or why nothing could be.
        picture: the file that was drawn, relative to the folder of the results; None where there is none.
    """

    number: int
    name: str
    item: DetectionResult | BrokenImage
    picture: str | None


def line_of(name: str, item: DetectionResult | BrokenImage, picture: str | None = None) -> Line:
    """The line of a photograph, without its number."""
    line = dict(name=name, source=item.source)
    if isinstance(item, BrokenImage):
        return line | dict(broken=item.reason)
    line |= {'width': item.width, 'height': item.height, key_of(item.class_names): item.to_dicts(exact=True)}
    return line | (dict(picture=picture) if picture else {})


def kept_lines(path: Path, class_names: tuple[str, ...]) -> Iterator[Kept]:
    """What each line of a file says, one in memory at a time.

    Args:
        path: of the file.
        class_names: of the detector.

    Raises:
        InputError: a line holds something else.
    """
    for number, line in enumerate(read_lines(path), 2):
        try:
            yield _kept(line, class_names)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise damaged_line(path, number) from None


def _kept(line: Line, class_names: tuple[str, ...]) -> Kept:
    source = str(line['source'])
    if 'broken' in line:
        item: DetectionResult | BrokenImage = BrokenImage(source, str(line['broken']))
    else:
        size, objects = (int(line['width']), int(line['height'])), line[key_of(class_names)]
        item = DetectionResult.from_dicts(objects, *size, source, class_names)
    return Kept(int(line['photograph']), str(line['name']), item, line.get('picture'))
