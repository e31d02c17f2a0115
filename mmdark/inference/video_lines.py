"""``NAME.frames.jsonl``: one line a frame, appended as it is looked at, so that what was stopped goes on from there."""

from __future__ import annotations

from pathlib import Path

from .json_lines import JsonLines, Line
from .result import DetectionResult, key_of


class FrameLines(JsonLines):
    """The file of a video, opened to append to it; see :class:`mmdark.inference.json_lines.JsonLines`.

    Each line holds ``frame`` (number), ``seconds``, ``faces`` (each with ``bbox`` as x1, y1, x2, y2 in pixels, and
    ``score``). Of another detector than a face detector it is ``objects``; of several classes, each with ``label`` and
    ``class_name``.

    Args:
        path: of the file; its folder is made.
        header: what its first line says; a file that is there must say the same.
        every: how far the numbers of two lines are apart.
        batch_size: lines of a batch that is not complete are dropped.
        overwrite: begin anew.

    Attributes:
        first: number of the first frame that is missing.

    Raises:
        InputError: the file is of another video, or of other settings, or damaged before its last line, or cannot be
            written.
    """

    GO_ON = 'give the same command again to go on'

    def __init__(self, path: Path, header: Line, every: int = 1, batch_size: int = 1, overwrite: bool = False) -> None:
        super().__init__(path, header, 'frame', lambda index: index * every, batch_size, overwrite)
        self.first = self.kept * every
        self.open()

    def add(self, number: int, seconds: float, result: DetectionResult) -> None:
        """Append the line of a frame and hand it to the system.

        Raises:
            InputError: it cannot be written; the lines before it are kept.
        """
        self.append(number, {'seconds': round(seconds, 4), key_of(result.class_names): result.to_dicts()})
