"""Write ``NAME.frames.jsonl``, to which a line is appended after each frame, and the lists made from it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from mmdark.drawing import FACE
from mmdark.whole_file import write_text_whole

from .json_lines import JsonLines, Line, read_header, read_lines
from .result import DetectionResult, key_of
from .result_lists import csv_row

END = '.frames.jsonl'


class FrameLines(JsonLines):
    """The lines of a video: ``frame`` (its index), ``seconds``, and ``faces`` or ``objects``.

    The arguments are those of :class:`JsonLines`; ``every`` is the step between the frame indices of two lines.

    Attributes:
        first: index of the first frame without a line.
    """

    GO_ON = 'give the same command again to go on'

    def __init__(self, path: Path, header: Line, every: int = 1, batch_size: int = 1, overwrite: bool = False) -> None:
        super().__init__(path, header, 'frame', lambda index: index * every, batch_size, overwrite)
        self.first = self.kept * every
        self.open()

    def add(self, number: int, seconds: float, result: DetectionResult) -> None:
        """Append the line of a frame."""
        self.append(number, {'seconds': round(seconds, 4), key_of(result.class_names): result.to_dicts()})


def write_frame_lists(lines_path: Path, formats: Collection[str]) -> list[Path]:
    """Write ``NAME.frames.json`` (the header and ``frames``) and ``NAME.frames.csv`` (one row per object), as chosen.

    The columns are ``frame,seconds,x1,y1,x2,y2,score``, and with several classes also ``label,class_name``.
    """
    makers: dict[str, Callable[[Path], Iterator[str]]] = {'json': _json, 'csv': _csv}
    places = []
    for kind, make in makers.items():
        if kind in formats:
            places.append(lines_path.with_name(f'{lines_path.name.removesuffix(END)}.frames.{kind}'))
            write_text_whole(places[-1], make(lines_path))
    return places


def _json(lines_path: Path) -> Iterator[str]:
    yield json.dumps(read_header(lines_path), indent=1, ensure_ascii=False).removesuffix('\n}')
    yield ',\n "frames": ['
    for number, line in enumerate(read_lines(lines_path)):
        yield f'{"," if number else ""}\n  {json.dumps(line, ensure_ascii=False)}'
    yield '\n ]\n}\n'


def _csv(lines_path: Path) -> Iterator[str]:
    classes: Sequence[str] = read_header(lines_path).get('classes', FACE)
    several = [] if len(classes) == 1 else ['label', 'class_name']
    yield csv_row(['frame', 'seconds', 'x1', 'y1', 'x2', 'y2', 'score', *several])
    for line in read_lines(lines_path):
        for one in line[key_of(classes)]:
            yield csv_row([line['frame'], line['seconds'], *one['bbox'], one['score'], *(one[key] for key in several)])
