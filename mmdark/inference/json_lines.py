"""A JSON Lines file to which a run appends; an interrupted run can be resumed from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmdet.utils import get_test_pipeline_cfg

from mmdark.apis.image_pipelines import takes_views
from mmdark.errors import InputError
from mmdark.file_limits import parse_json, refuse_endless
from mmdark.whole_file import sha256_of

if TYPE_CHECKING:
    from .inferencer import Inferencer

Line = dict[str, Any]
ABOUT = 'about'
"""Header key whose value may differ when a file is resumed."""
END = {'complete': True}
"""The last line of a finished file."""
BEGIN = 'begin anew with overwrite=True (--overwrite), or name another out_dir'


class JsonLines(AbstractContextManager):
    """A file with a header and one line per image, appended when the image is done.

    When a file is resumed, a truncated last line is dropped. A file with a different header is rejected.

    Args:
        path: path of the file; its folder is created.
        header: the first line; that of an existing file must be equal, except for the value of :data:`ABOUT`.
        key: key under which each line stores its number.
        number_of: function from the index of a line (0, 1, 2 ...) to its number.
        batch_size: lines of an incomplete batch are also dropped, because the last digits of a detection depend on the
            other images in the batch.
        overwrite: replace an existing file instead of resuming it.

    Attributes:
        kept: number of lines below the header that are kept from an earlier run.
        count: current number of lines below the header.

    Raises:
        InputError: the file has a different header or other content, is damaged before its last line, or cannot be read
            or written.
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

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def open(self) -> None:
        """Truncate the file after the kept lines, or write the header of a new file."""
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
        """Append a line with its number; when this returns, the operating system has received the line."""
        self.open()
        self._write({self.key: number, **line})
        self.count += 1

    def finish(self) -> None:
        """Mark the file as complete."""
        self.open()
        self._write(END)

    def _write(self, line: Line) -> None:
        text = bytes_of(line)
        try:
            while text:  # on a nearly full disk, only the start of a line may be written
                text = text[self._file.write(text) :]
        except OSError as error:
            raise self._not_written(error) from None

    def _not_written(self, error: OSError) -> InputError:
        return InputError(
            f'{self.path} could not be written ({error.strerror}): the {self.key}s in it are kept; mend this and '
            f'{self.GO_ON}'
        )

    def _whole_lines(self, batch_size: int) -> tuple[int, int]:
        """Number of lines to keep, and the offset in bytes at which the last of them ends."""
        kept = end = place = 0
        with self.path.open('rb') as file:
            first = file.readline()
            if not first.endswith(b'\n') and bytes_of(self._header).startswith(first):
                return 0, 0  # the earlier run was killed while writing the header
            self._check_header(_parsed(first))
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

    def _check_header(self, there: Line | None) -> None:
        if there is None:
            raise InputError(f'{self.path} was not written by mmdark detect: {BEGIN}')
        wanted = json.loads(bytes_of(self._header))
        other = [
            f'{key} {there.get(key)!s:.40} and not {wanted.get(key)!s:.40}'
            for key in {**wanted, **there}
            if key != ABOUT and there.get(key) != wanted.get(key)
        ]
        if other:
            begun = ', '.join(other[:3]) + (f' and {len(other) - 3} more' if len(other) > 3 else '')
            raise InputError(f'{self.path} was begun with {begun}: give the same again, or {BEGIN}')


def detector_settings(inferencer: Inferencer, pred_score_thr: float, tta: bool | None) -> Line:
    """The header entries with all settings that affect the detections."""
    cfg, weights = inferencer.cfg, Path(inferencer.weights)
    tta = takes_views(cfg, tta)
    views = (cfg.get('tta_model'), cfg.get('tta_pipeline')) if tta else ()
    return dict(
        weights=f'{weights.name} {sha256_of(weights)[:8]}',
        model=hashlib.sha256(repr((cfg.model, get_test_pipeline_cfg(cfg), *views)).encode()).hexdigest()[:8],
        pred_score_thr=pred_score_thr,
        tta=tta,
        backend=inferencer.backend,
    )


def read_header(path: Path) -> Line:
    """Read the header, the first line of a file."""
    refuse_endless(path)
    with path.open('rb') as file:
        return parse_json(file.readline())


def read_lines(path: Path) -> Iterator[Line]:
    """Read the lines below the header, one in memory at a time; :data:`END` and a truncated last line are skipped."""
    with path.open('rb') as file:
        next(file, None)
        for number, line in enumerate(file, 2):
            content = _parsed(line)
            if content is None and line.endswith(b'\n'):
                raise damaged_line(path, number)
            if content not in (None, END):
                yield content


def is_complete(path: Path) -> bool:
    """Whether a file ends with :data:`END`."""
    end = bytes_of(END)
    with path.open('rb') as file:
        file.seek(max(0, path.stat().st_size - len(end)))
        return file.read() == end


def count_unfinished(path: Path) -> int:
    """Number of lines below the header of an incomplete file; 0 if it is complete or does not exist."""
    if not path.is_file() or is_complete(path):
        return 0
    with path.open('rb') as file:
        return max(0, sum(line.endswith(b'\n') for line in file) - 1)


def bytes_of(line: Line) -> bytes:
    """Encode a line; bytes of a file name that are not UTF-8 are escaped."""
    return json.dumps(line, ensure_ascii=False).encode(errors='backslashreplace') + b'\n'


def damaged_line(path: Path, number: int) -> InputError:
    """The error for a damaged line; ``number`` counts from 1."""
    return InputError(
        f'line {number} of {path} is damaged: delete it and those below, or begin anew with overwrite=True '
        '(--overwrite)'
    )


def _parsed(line: bytes) -> Line | None:
    """The JSON object of a line; None if the line is truncated or not a JSON object."""
    try:
        content = parse_json(line) if line.endswith(b'\n') else None
    except ValueError:
        return None
    return content if isinstance(content, dict) else None
