"""The frames of a video file or a camera, one after the other, each with its number and its time."""

from __future__ import annotations

import hashlib
import itertools
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from mmdark.errors import InputError
from mmdark.file_limits import endless

from .file_kinds import IMAGE, VIDEO, is_gif, kind_of
from .gif_capture import GifCapture
from .image_sources import IMAGE_SUFFIXES, VIDEO_SUFFIXES, has_suffix

USUAL_RATE = 25.0
"""Frames a second where the source says none."""
ATTEMPTS = 16
"""Reads that may fail one after the other before a file counts as at its end; damage in the middle fails a few."""
CHUNK = 1 << 20
"""Bytes from the start of a file that tell it from another."""


class Frame(NamedTuple):
    """One frame.

    Attributes:
        number: counted from 0 over all frames that can be decoded.
        seconds: since the first frame.
        image: ``(H, W, 3)`` BGR uint8, turned upright as a player shows it.
    """

    number: int
    seconds: float
    image: np.ndarray


@dataclass(frozen=True)
class Video:
    """A source of frames that has been tried.

    Attributes:
        source: an absolute path, or the number of a camera.
        name: ``'clip.mp4'``, or ``'webcam 0'``.
        width: of the first frame as a player shows it, in pixels.
        height: of the first frame, in pixels.
        rate: frames a second, on average.
        count: of the frames, as the file says it; None where it says nothing. It is often off by one.
        bytes: of the file; None for a camera.
        digest: of the start of the file; None for a camera.
    """

    source: str | int
    name: str
    width: int
    height: int
    rate: float
    count: int | None = None
    bytes: int | None = None
    digest: str | None = None

    @property
    def is_camera(self) -> bool:
        """Whether its frames come once and never again."""
        return isinstance(self.source, int)


def is_video(path: str | os.PathLike) -> bool:
    """Whether a file is a video, by its first bytes; by its name where they say nothing, or there is no such file.

    Example:
        >>> is_video('night/CLIP.MP4'), is_video('photo.jpg')
        (True, False)
    """
    kind = kind_of(path)
    return kind == VIDEO if kind else has_suffix(path, VIDEO_SUFFIXES)


def open_video(source: str | os.PathLike | int) -> Video:
    """Try a video file or a camera and read its first frame.

    Args:
        source: path of a file, or the number of a camera.

    Raises:
        InputError: there is no such file or camera, or no frame in it can be decoded.
    """
    name, target = (f'webcam {source}', source) if isinstance(source, int) else (Path(source).name, video_path(source))
    with _capture(target) as capture:
        if not capture.isOpened():
            raise InputError(_not_opened(source))
        first = next((capture.retrieve()[1] for _ in _grabbed(capture, target)), None)
        if first is None:
            raise InputError(f'{source if isinstance(source, str) else name} gives no frame: record or copy it again')
        rate, count = capture.get(cv2.CAP_PROP_FPS), capture.get(cv2.CAP_PROP_FRAME_COUNT)
    rate = rate if math.isfinite(rate) and 0 < rate <= 1000 else USUAL_RATE
    height, width = first.shape[:2]
    if isinstance(target, int):
        return Video(target, name, width, height, rate)
    with open(target, 'rb') as file:
        digest = hashlib.sha256(file.read(CHUNK)).hexdigest()[:16]
    known = int(count) if math.isfinite(count) and count > 0 else None
    return Video(target, name, width, height, rate, known, os.path.getsize(target), digest)


def frames_of(video: Video, first: int = 0, every: int = 1, end: int | None = None) -> Iterator[Frame]:
    """Decode a video from its start, and give the frames from ``first`` on; one is in memory at a time.

    Those before are decoded, too: seeking lands on other frames in some files. What is damaged is left out, or comes
    as the decoder mends it; times that do not grow are set a frame later than the one before. The times of a camera
    are those of its driver.

    Args:
        video: of :func:`open_video`.
        first: number of the first frame to give.
        every: give those whose number is a multiple of it.
        end: number of the frame to stop before.
    """
    start = seconds = None
    with _capture(video.source) as capture:
        for number, clock in enumerate(itertools.islice(_grabbed(capture, video.source), end)):
            start = clock if start is None else start
            seconds = _later(seconds, clock - start, 1 / video.rate)
            if number >= first and number % every == 0:
                got, image = capture.retrieve()
                if got:
                    yield Frame(number, seconds, image)


def _later(last: float | None, now: float, usual: float) -> float:
    """The time of a frame in seconds: what the file says, or ``usual`` after the last where that is not later."""
    if last is None:
        return 0.0
    return now if math.isfinite(now) and now > last else last + usual


def _grabbed(capture: cv2.VideoCapture | GifCapture, source: str | int) -> Iterator[float]:
    """Decode frame after frame; gives the time of each in seconds, as the file or the clock says it."""
    while any(capture.grab() for _ in range(1 if isinstance(source, int) else ATTEMPTS)):
        yield time.monotonic() if isinstance(source, int) else capture.get(cv2.CAP_PROP_POS_MSEC) / 1000


@contextmanager
def _capture(source: str | int) -> Iterator[cv2.VideoCapture | GifCapture]:
    """OpenCV's reader, or that of a GIF, closed at the end; what it would print of damaged files is not printed.

    Files are decoded by one thread: with several, what is made of damaged frames differs from one time to the next.
    """
    os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')  # read once, when the first file is opened
    level = cv2.utils.logging.setLogLevel(0)
    try:
        is_camera = isinstance(source, int)
        capture: cv2.VideoCapture | GifCapture
        if not is_camera and is_gif(source):
            capture = GifCapture(source)
        else:
            capture = cv2.VideoCapture(source, cv2.CAP_ANY, [] if is_camera else [cv2.CAP_PROP_N_THREADS, 1])
            if not is_camera and not capture.isOpened():
                capture = cv2.VideoCapture(source)  # a reader that has no such setting
    finally:
        cv2.utils.logging.setLogLevel(level)
    try:
        yield capture
    finally:
        capture.release()


def video_path(source: str | os.PathLike) -> str:
    """The absolute path of a file that may be a video; OpenCV takes other strings for patterns and protocols.

    Raises:
        InputError: it is a URL, a folder or an image, does not exist, or OpenCV cannot take its name.
    """
    path = os.fspath(source)
    try:
        os.path.abspath(path).encode()
    except UnicodeEncodeError:  # OpenCV 5 would end the process
        raise InputError(f'{path}: OpenCV reads no video whose path is not UTF-8; rename it') from None
    if '://' in path:
        raise InputError(f'{path}: mmdark does not download; save it to a file first (ffmpeg -i URL -c copy clip.mkv)')
    if not os.path.exists(path):
        raise InputError(f'video {path} does not exist: check the path')
    if os.path.isdir(path):
        raise InputError(f'{path} is a folder: name one video file')
    if kind := endless(path):
        raise InputError(f'{path} is {kind}, not a file: save the video to a file first')
    if kind_of(path) == IMAGE or (has_suffix(path, IMAGE_SUFFIXES) and not is_video(path)):
        raise InputError(f'{path} is an image: give it to Inferencer, or name a video')
    return os.path.abspath(path)


def _not_opened(source: str | os.PathLike | int) -> str:
    if isinstance(source, int):
        return f'webcam {source} cannot be opened: plug it in, close other programs that use it, or give another number'
    return f'{source} cannot be read as a video: it is of another kind or its end is missing; copy it again'
