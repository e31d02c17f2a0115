"""``NAME.frames.jsonl``: one line a frame, appended as it is looked at, so that what was stopped goes on from there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmdark.errors import InputError
from mmdark.file_limits import parse_json

from .result import DetectionResult, key_of

Line = dict[str, Any]
"""``frame`` (number), ``seconds``, ``faces`` (each with ``bbox`` as x1, y1, x2, y2 in pixels, and ``score``).

Of another detector than a face detector it is ``objects``; of several classes, each with ``label`` and ``class_name``.
"""


class FrameLines:
    """The file of a video, opened to append to it.

    A last line that was cut off is dropped. A file that was begun with something else is refused.

    Args:
        path: of the file; its folder is made.
        header: what its first line says; a file that is there must say the same.
        every: how far the numbers of two lines are apart.
        batch_size: lines of a batch that is not complete are dropped, too: what a frame gives depends in the last
            digits on the frames that are beside it in the batch.
        overwrite: begin anew.

    Attributes:
        path: of the file.
        first: number of the first frame that is missing.

    Raises:
        InputError: the file is of another video, or of other settings, or damaged before its last line, or cannot be
            written.
    """

    def __init__(self, path: Path, header: Line, every: int = 1, batch_size: int = 1, overwrite: bool = False) -> None:
        self.path = path
        text = _bytes_of(header)
        try:
            kept, end = (0, 0) if overwrite or not path.exists() else _kept(path, text, every, batch_size)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open('r+b' if end else 'wb', buffering=0)
            self._file.seek(self._file.truncate(end))
        except OSError as error:
            raise self._not_written(error) from None
        self.first = kept * every
        if not end:
            self._append(text)

    def __enter__(self) -> FrameLines:
        """Nothing more than the object."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._file.close()

    def add(self, number: int, seconds: float, result: DetectionResult) -> None:
        """Append the line of a frame and hand it to the system.

        Raises:
            InputError: it cannot be written; the lines before it are kept.
        """
        self._append(
            _bytes_of({'frame': number, 'seconds': round(seconds, 4), key_of(result.class_names): result.to_dicts()})
        )

    def _append(self, text: bytes) -> None:
        try:
            while text:  # a nearly full disk takes the start of a line, and refuses the rest
                text = text[self._file.write(text) :]
        except OSError as error:
            raise self._not_written(error) from None

    def _not_written(self, error: OSError) -> InputError:
        return InputError(
            f'{self.path} could not be written ({error.strerror}): the frames in it are kept; mend this and give the '
            f'same command again to go on'
        )


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of the frames, one in memory at a time, without the header and a last line that was cut off."""
    with path.open('rb') as file:
        next(file, None)
        for line in file:
            if line.endswith(b'\n'):
                yield parse_json(line)


def _kept(path: Path, header: bytes, every: int, batch_size: int) -> tuple[int, int]:
    """How many frames of a file are kept, and where the last of them ends, in bytes."""
    kept = end = place = 0
    with path.open('rb') as file:
        first = file.readline()
        if first != header:
            if header.startswith(first) and not file.read(1):
                return 0, 0  # killed at once
            raise InputError(_other_header(path, first, header))
        end = place = len(first)
        for number, line in enumerate(file):
            if _frame_of(line) != number * every:
                if file.read(1):
                    raise InputError(
                        f'line {number + 2} of {path} is damaged: delete it and those below, or begin anew with '
                        f'overwrite=True (--overwrite)'
                    )
                break
            place += len(line)
            if (number + 1) % batch_size == 0:
                kept, end = number + 1, place
    return kept, end


def _frame_of(line: bytes) -> int | None:
    """The number in a line; None where it is not whole."""
    try:
        return parse_json(line)['frame'] if line.endswith(b'\n') else None
    except (ValueError, KeyError, TypeError):
        return None


def _other_header(path: Path, there: bytes, wanted: bytes) -> str:
    """One line that says what a file was begun with."""
    begin = 'begin anew with overwrite=True (--overwrite), or name another out_dir'
    try:
        old, new = dict(parse_json(there)), parse_json(wanted)
    except (ValueError, TypeError):
        return f'{path} was not written by detect_video: {begin}'
    other = [f'{key} {old.get(key)} and not {new[key]}' for key in new if old.get(key) != new[key]]
    return f'{path} was begun with {", ".join(other) or "other settings"}: give the same again, or {begin}'


def _bytes_of(line: Line) -> bytes:
    return json.dumps(line, ensure_ascii=False).encode() + b'\n'
