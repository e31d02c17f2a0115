"""Read the frames of a video file (by PyAV) or a camera (by OpenCV), each with its index and time."""

from __future__ import annotations

import hashlib
import itertools
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from mmdark.errors import InputError
from mmdark.file_limits import endless

from .file_kinds import IMAGE, VIDEO, kind_of
from .image_sources import IMAGE_SUFFIXES, VIDEO_SUFFIXES, has_suffix

if TYPE_CHECKING:
    from av import Packet, VideoFrame, VideoStream
    from av.container import InputContainer

TimedImage = tuple[float, Callable[[], np.ndarray]]
"""Time at which a frame is shown, in seconds from an arbitrary start, and a function that decodes its pixels."""
USUAL_RATE = 25.0
"""Frames per second if the source does not state a rate."""
ATTEMPTS = 16
"""Consecutive failed reads after which a file counts as ended; a damaged part in the middle causes only a few."""
CHUNK = 1 << 20
"""Number of bytes at the start of a file whose hash identifies it."""
MAX_PIXELS = 1 << 26
"""Maximum number of pixels of a frame; a damaged header can state sizes that need gigabytes."""
FILES_ONLY = {'protocol_whitelist': 'file,pipe'}
"""FFmpeg option that prevents a playlist given as a video from opening network addresses."""


class Frame(NamedTuple):
    """One frame.

    Attributes:
        number: index among all frames that can be decoded, from 0.
        seconds: time since the first frame.
        image: ``(H, W, 3)`` BGR uint8, rotated as the file's metadata states.
    """

    number: int
    seconds: float
    image: np.ndarray


@dataclass(frozen=True)
class Video:
    """A video file or a camera whose first frame could be read.

    Attributes:
        source: an absolute path, or the number of a camera.
        name: ``'clip.mp4'``, or ``'webcam 0'``.
        width: width of the first frame after rotation, in pixels; ``height`` likewise.
        rate: average number of frames per second.
        count: number of frames according to the file, often off by one; None if not stated.
        bytes: size of the file; None for a camera.
        digest: hash of the start of the file; None for a camera.
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
        """Whether the source is a camera, whose frames cannot be read again."""
        return isinstance(self.source, int)


def is_video(path: str | os.PathLike) -> bool:
    """Whether a file is a video, by its first bytes, or by its name if these are inconclusive or cannot be read."""
    kind = kind_of(path)
    return kind == VIDEO if kind else has_suffix(path, VIDEO_SUFFIXES)


def open_video(source: str | os.PathLike | int) -> Video:
    """Read the first frame of a video file or a camera.

    Raises:
        InputError: there is no such file or camera, or no frame in it can be decoded.
    """
    if isinstance(source, int):
        with _opened_camera(source) as capture:
            first, rate = next(_camera_frames(capture), None), capture.get(cv2.CAP_PROP_FPS)
        return _tried(first, Video(source, f'webcam {source}', 0, 0, rate))
    path, av = video_path(source), pyav()
    try:
        with opened_file(path) as container:
            stream = container.streams.best('video')
            rate = float((stream and (stream.average_rate or stream.guessed_rate)) or 0)
            count = (stream and stream.frames) or round((container.duration or 0) / 1e6 * rate)
            first = next(_file_frames(container), None)
    except av.FFmpegError:
        raise InputError(
            f'{source} cannot be read as a video: it is of another kind or its end is missing; copy it again'
        ) from None
    with open(path, 'rb') as file:
        digest = hashlib.sha256(file.read(CHUNK)).hexdigest()[:16]
    return _tried(first, Video(path, Path(path).name, 0, 0, rate, count or None, os.path.getsize(path), digest))


def _tried(first: TimedImage | None, video: Video) -> Video:
    """Set the size to that of the first frame, and replace an implausible rate by :data:`USUAL_RATE`."""
    if first is None:
        raise InputError(f'{video.name} gives no frame: record or copy it again')
    height, width = first[1]().shape[:2]
    rate = video.rate if math.isfinite(video.rate) and 0 < video.rate <= 1000 else USUAL_RATE
    return replace(video, width=width, height=height, rate=rate)


def frames_of(video: Video, first: int = 0, every: int = 1, end: int | None = None) -> Iterator[Frame]:
    """Decode a video from its start and yield the frames from ``first`` on, one in memory at a time.

    The frames before ``first`` are also decoded, because seeking is inexact in some files. Damaged frames are skipped,
    or yielded as repaired by the decoder. If a time is not later than that of the frame before, it is replaced by that
    time plus one frame duration. The times of camera frames are the times at which they were grabbed.

    Args:
        video: the return value of :func:`open_video`.
        first: index of the first frame to yield.
        every: yield only frames whose index is a multiple of this.
        end: index of the frame to stop before.
    """
    opened, read = (_opened_camera, _camera_frames) if video.is_camera else (opened_file, _file_frames)
    start = seconds = None
    with opened(video.source) as source:
        for number, (clock, image) in enumerate(itertools.islice(read(source), end)):
            start = clock if start is None else start
            seconds = _later(seconds, clock - start, 1 / video.rate)
            if number >= first and number % every == 0:
                yield Frame(number, seconds, image())


def _later(last: float | None, now: float, usual: float) -> float:
    """The time ``now`` of a frame in seconds, or ``last + usual`` if ``now`` is not later than ``last``."""
    if last is None:
        return 0.0
    return now if math.isfinite(now) and now > last else last + usual


def pyav() -> ModuleType:
    """Import the module ``av``.

    Raises:
        InputError: it is not installed.
    """
    try:
        import av
    except ImportError:
        raise InputError("videos need PyAV, which is not installed: pip install 'mmdark[video]'") from None
    return av


def opened_file(path: str) -> InputContainer:
    """Open a media file with PyAV; the caller closes it."""
    return pyav().open(f'file:{path}', options=FILES_ONLY, metadata_errors='replace')


def _file_frames(container: InputContainer) -> Iterator[TimedImage]:
    """Decode all frames, skipping damaged packets."""
    stream = container.streams.best('video')
    if stream is None:
        return
    stream.codec_context.options = {'max_pixels': str(MAX_PIXELS)}
    stream.codec_context.thread_count = 1  # with several threads, repaired frames differ between runs
    for packet in _packets(container, stream):
        frames = []
        with suppress(pyav().FFmpegError):
            frames = stream.decode(packet)
        for frame in frames:
            yield math.nan if frame.time is None else frame.time, partial(_upright, frame)


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet | None]:
    """The packets of a stream; the last one is empty and makes the decoder return its buffered frames."""
    failures = 0
    while failures < ATTEMPTS:
        try:
            for packet in container.demux(stream):
                failures = 0
                yield packet
            return
        except pyav().FFmpegError:
            failures += 1
    yield None


def _upright(frame: VideoFrame) -> np.ndarray:
    """The rotated pixels of a frame, ``(H, W, 3)`` BGR uint8."""
    return np.ascontiguousarray(np.rot90(frame.to_ndarray(format='bgr24'), round(frame.rotation / 90)))


@contextmanager
def _opened_camera(number: int) -> Iterator[cv2.VideoCapture]:
    set_level = getattr(cv2, 'setLogLevel', None) or cv2.utils.logging.setLogLevel  # OpenCV 4, OpenCV 5
    level = set_level(0)
    try:
        capture = cv2.VideoCapture(number)
    finally:
        set_level(level)
    try:
        if not capture.isOpened():
            raise InputError(
                f'webcam {number} cannot be opened: plug it in, close other programs that use it, or give another '
                'number'
            )
        yield capture
    finally:
        capture.release()


def _camera_frames(capture: cv2.VideoCapture) -> Iterator[TimedImage]:
    while capture.grab():
        yield time.monotonic(), lambda: capture.retrieve()[1]


def video_path(source: str | os.PathLike) -> str:
    """Check that a file may be a video and return its absolute path.

    Raises:
        InputError: it is a URL, a folder or an image, or does not exist.
    """
    path = os.fspath(source)
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
