"""A file of JSON lines that grows while work goes on, so that whatever stops the work, it goes on from there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mmdark.errors import InputError
from mmdark.file_limits import parse_json, refuse_endless

Line = dict[str, Any]
ABOUT = 'about'
"""Key of a header under which stands what need not be the same where a file is continued."""
END = {'complete': True}
"""The last line of a file to which nothing will be added; files that are never complete have none."""
BEGIN = 'begin anew with overwrite=True (--overwrite), or name another out_dir'


class JsonLines:
    """A header, and a line for each thing that is done, appended when it is done.

    A last line that was cut off is dropped. A file that was begun with something else is refused.

    Args:
        path: of the file; its folder is made.
        header: what its first line says; a file that is there must say the same, but for what :data:`ABOUT` holds.
        key: under which each line says its number.
        number_of: the number that the line of each index (0, 1, 2 and so on) has.
        batch_size: lines of a batch that is not complete are dropped, too: what is found on an image depends in the
            last digits on the images that are beside it in the batch.
        overwrite: begin anew.

    Attributes:
        path: of the file.
        kept: lines below the header that were there and are kept.
        count: lines below the header that are there now.

    Raises:
        InputError: the file is of something else, or of other settings, or damaged before its last line, or cannot be
            read.
    """

    GO_ON = 'go on with --resume'

    def __init__(
        self,
        path: Path,
        header: Line,
        key: str,
        number_of: Callable[[int], int],
        batch_size: int = 1,
        overwrite: bool = False,
    ) -> None:
        self.path, self.key, self.number_of = path, key, number_of
        self._header = header
        self._file = None
        try:
            refuse_endless(path)
            self.kept, self._end = (0, 0) if overwrite or not path.exists() else self._whole_lines(batch_size)
        except OSError as error:
            raise self._not_written(error) from None
        self.count = self.kept

    def __enter__(self) -> JsonLines:
        """Nothing more than the object."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file, where it is open."""
        if self._file is not None:
            self._file.close()

    def open(self) -> None:
        """Cut off what is not kept, and write the header of a new file; the first line that is added does this, too.

        Raises:
            InputError: the file cannot be written.
        """
        if self._file is not None:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open('r+b' if self._end else 'wb', buffering=0)
            if self._end:
                self._file.seek(self._file.truncate(self._end))
        except OSError as error:
            raise self._not_written(error) from None
        if not self._end:
            self._write(self._header)

    def append(self, number: int, line: Line) -> None:
        """Append a line, with its number, and hand it to the system.

        Raises:
            InputError: it cannot be written; the lines before it are kept.
        """
        self.open()
        self._write({self.key: number, **line})
        self.count += 1

    def finish(self) -> None:
        """Say that nothing will be added.

        Raises:
            InputError: it cannot be written; all lines are kept.
        """
        self.open()
        self._write(END)

    def _write(self, line: Line) -> None:
        text = bytes_of(line)
        try:
            while text:  # a nearly full disk takes the start of a line, and refuses the rest
                text = text[self._file.write(text) :]
        except OSError as error:
            raise self._not_written(error) from None

    def _not_written(self, error: OSError) -> InputError:
        return InputError(
            f'{self.path} could not be written ({error.strerror}): the {self.key}s in it are kept; mend this and '
            f'{self.GO_ON}'
        )

    def _whole_lines(self, batch_size: int) -> tuple[int, int]:
        """How many lines of a file are kept, and where the last of them ends, in bytes."""
        kept = end = place = 0
        with self.path.open('rb') as file:
            first = file.readline()
            if not first.endswith(b'\n') and bytes_of(self._header).startswith(first):
                return 0, 0  # killed at once
            if compared(_parsed(first)) != compared(json.loads(bytes_of(self._header))):
                raise InputError(_other_header(self.path, first, self._header))
            end = place = len(first)
            for index, line in enumerate(file):
                content = _parsed(line)
                if content == END and not file.read(1):
                    return index, place
                if content is None or content.get(self.key) != self.number_of(index):
                    if file.read(1):
                        raise damaged_line(self.path, index + 2)
                    break
                place += len(line)
                if (index + 1) % batch_size == 0:
                    kept, end = index + 1, place
        return kept, end


def read_header(path: Path) -> Line:
    """What the first line says."""
    refuse_endless(path)
    with path.open('rb') as file:
        return parse_json(file.readline())


def read_lines(path: Path) -> Iterator[Line]:
    """The lines below the header, one in memory at a time, without the end and a last line that was cut off.

    Raises:
        InputError: another line is no JSON object.
    """
    with path.open('rb') as file:
        next(file, None)
        for number, line in enumerate(file, 2):
            content = _parsed(line)
            if content is None and line.endswith(b'\n'):
                raise damaged_line(path, number)
            if content not in (None, END):
                yield content


def is_complete(path: Path) -> bool:
    """Whether a file says that nothing will be added."""
    end = bytes_of(END)
    with path.open('rb') as file:
        file.seek(max(0, path.stat().st_size - len(end)))
        return file.read() == end


def count_unfinished(path: Path) -> int:
    """How many lines below the header a file has that is not complete; 0 where it is, or there is none."""
    if not path.is_file() or is_complete(path):
        return 0
    with path.open('rb') as file:
        return max(0, sum(line.endswith(b'\n') for line in file) - 1)


def compared(header: Line | None) -> Line | None:
    """What must be the same where a file is continued."""
    return header and {key: value for key, value in header.items() if key != ABOUT}


def bytes_of(line: Line) -> bytes:
    """A line of the file; a name that is no text survives, as JSON's escapes say it."""
    return json.dumps(line, ensure_ascii=False).encode(errors='backslashreplace') + b'\n'


def damaged_line(path: Path, number: int) -> InputError:
    """What to say of a line, counted from 1, that holds something else than it should."""
    return InputError(
        f'line {number} of {path} is damaged: delete it and those below, or begin anew with overwrite=True '
        '(--overwrite)'
    )


def _parsed(line: bytes) -> Line | None:
    """What a line says; None where it is not whole."""
    try:
        content = parse_json(line) if line.endswith(b'\n') else None
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _other_header(path: Path, there: bytes, wanted: Line) -> str:
    """One line that says what a file was begun with."""
    old, new = compared(_parsed(there)), compared(json.loads(bytes_of(wanted)))
    if old is None:
        return f'{path} was not written by mmdark detect: {BEGIN}'
    other = [
        f'{key} {_short(old.get(key))} and not {_short(new.get(key))}'
        for key in {**new, **old}
        if old.get(key) != new.get(key)
    ]
    more = f' and {len(other) - 3} more' if len(other) > 3 else ''
    return f'{path} was begun with {", ".join(other[:3])}{more}: give the same again, or {BEGIN}'


def _short(value: object) -> str:
    return str(value) if len(str(value)) <= 40 else f'{str(value)[:40]}...'
