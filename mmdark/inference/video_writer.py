"""Pictures with their times into an MP4 file that is there whole or not at all."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import cv2
import numpy as np

from mmdark.whole_file import PART, writing

from .signals import undisturbed
from .video_encoders import FfmpegEncoder, OpenCVEncoder, Sound, open_encoder

LONGEST_STILL = 60.0
"""Seconds that one picture is shown at most; a longer gap is a fault in the times of the file."""


class VideoWriter:
    """Takes pictures with their times and encodes them at a steady rate.

    Where the times are not steady, a picture is shown for several frames, or left out.

    Args:
        path: of the file; its name ends with ``.mp4``.
        rate: frames a second.
        sound: goes beside them.
    """

    def __init__(self, path: Path, rate: float, sound: Sound | None = None) -> None:
        self._path, self._rate, self._sound = path, rate, sound
        self._encoder: FfmpegEncoder | OpenCVEncoder | None = None
        self._waiting: np.ndarray | None = None
        self._written = 0
        self._gaps = self._last = 0.0

    def add(self, picture: np.ndarray, seconds: float) -> None:
        """Take a picture.

        Args:
            picture: ``(H, W, 3)`` BGR uint8; the first decides the size of all.
            seconds: since the first, growing.

        Raises:
            InputError: the encoder gave up.
        """
        with undisturbed():  # an encoder that was given half a picture would take the next for the other half
            self._add(picture, seconds)

    def close(self) -> None:
        """Write what waits, and finish the file.

        Raises:
            InputError: the encoder gave up.
        """
        if self._encoder is not None:
            self._show_until(self._written + 1)
            self._encoder.close(self._written)

    def abandon(self) -> None:
        """Stop, whatever becomes of the file."""
        if self._encoder is not None:
            self._encoder.abandon()

    def _add(self, picture: np.ndarray, seconds: float) -> None:
        if self._encoder is None:
            height, width = (side + side % 2 for side in picture.shape[:2])  # the codecs need even sides
            self._size = width, height
            self._encoder = open_encoder(self._path, width, height, self._rate, self._sound)
        self._gaps += max(seconds - self._last - LONGEST_STILL, 0.0)
        self._last = seconds
        self._show_until(round((seconds - self._gaps) * self._rate))
        self._waiting = _fitted(picture, *self._size)

    def _show_until(self, end: int) -> None:
        while self._waiting is not None and self._written < end:
            self._encoder.write(self._waiting)
            self._written += 1


@contextmanager
def written_video(path: Path, rate: float, sound: Sound | None = None) -> Iterator[VideoWriter]:
    """A writer whose file is put in place whole at the end, and taken away after an error.

    Raises:
        InputError: it cannot be written.
    """
    place = path.with_name(f'.{path.name}.{os.getpid()}{PART}.mp4')  # OpenCV takes the format from the name
    writer = VideoWriter(place, rate, sound)
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            for left in path.parent.glob(f'.{glob.escape(path.name)}.*{PART}.mp4'):  # of one that was killed
                left.unlink()
            yield writer
            with undisturbed():
                writer.close()
                os.replace(place, path)
    finally:
        writer.abandon()
        with suppress(OSError):
            place.unlink()


def _fitted(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """A picture of this size: a last row or column is repeated, one of another size altogether is scaled."""
    missing = height - picture.shape[0], width - picture.shape[1]
    if set(missing) <= {0, 1}:
        picture = np.pad(picture, ((0, missing[0]), (0, missing[1]), (0, 0)), mode='edge') if any(missing) else picture
    else:
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(picture)
