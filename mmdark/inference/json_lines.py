"""A file of JSON lines that grows during a run; a run that was interrupted continues it."""

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
"""Key of the header whose value may differ where a file is continued."""
END = {'complete': True}
"""The last line of a finished file."""
BEGIN = 'begin anew with overwrite=True (--overwrite), or name another out_dir'


class JsonLines(AbstractContextManager):
    """A header, and a line for each image, appended when the image is done.

    A last line that was cut off is dropped. A file that was begun with another header is refused.

    Args:
        path: of the file; its folder is made.
        header: the first line; that of an existing file must be equal, except for the value of :data:`ABOUT`.
        key: under which each line states its number.
        number_of: from the index of a line (0, 1, 2 ...) to its number.
        batch_size: lines of an incomplete batch are dropped, too: the last digits of a detection depend on the other
            images in the batch.
        overwrite: begin anew.

    Attributes:
        kept: number of lines below the header that are kept of an earlier run.
        count: number of lines below the header now.

    Raises:
        InputError: the file is of something else, or damaged before its last line, or cannot be read or written.
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
        """Cut off what is not kept, or write the header of a new file."""
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
        """Append a line with its number; it is with the operating system when this returns."""
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
            while text:  # a nearly full disk takes the start of a line and refuses the rest
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
                return 0, 0  # killed while it wrote the header
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
    """The part of a header that states everything a detection depends on."""
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
    """The first line of a file."""
    refuse_endless(path)
    with path.open('rb') as file:
        return parse_json(file.readline())


def read_lines(path: Path) -> Iterator[Line]:
    """The lines below the header, one in memory at a time, without the end and a last line that was cut off."""
    with path.open('rb') as file:
        next(file, None)
        for number, line in enumerate(file, 2):
            content = _parsed(line)
            if content is None and line.endswith(b'\n'):
                raise damaged_line(path, number)
            if content not in (None, END):
                yield content


def is_complete(path: Path) -> bool:
    """Whether a file was marked as complete."""
    end = bytes_of(END)
    with path.open('rb') as file:
        file.seek(max(0, path.stat().st_size - len(end)))
        return file.read() == end


def count_unfinished(path: Path) -> int:
    """Number of lines below the header of an incomplete file; 0 where it is complete, or there is none."""
    if not path.is_file() or is_complete(path):
        return 0
    with path.open('rb') as file:
        return max(0, sum(line.endswith(b'\n') for line in file) - 1)


def bytes_of(line: Line) -> bytes:
    """A line of the file; bytes in a file name that are not UTF-8 are escaped."""
    return json.dumps(line, ensure_ascii=False).encode(errors='backslashreplace') + b'\n'


def damaged_line(path: Path, number: int) -> InputError:
    """The error for a line, counted from 1, that cannot be used."""
    return InputError(
        f'line {number} of {path} is damaged: delete it and those below, or begin anew with overwrite=True '
        '(--overwrite)'
    )


def _parsed(line: bytes) -> Line | None:
    """The JSON object of a line; None where the line is cut off or something else."""
    try:
        content = parse_json(line) if line.endswith(b'\n') else None
    except ValueError:
        return None
    return content if isinstance(content, dict) else None
