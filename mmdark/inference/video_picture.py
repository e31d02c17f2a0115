"""The picture of a frame, dark and brightened with the objects on it, and a video of such pictures."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from mmdark.drawing import FACE, Brightening
from mmdark.errors import InputError, Terminated

from .before_after import is_dark, picture_of
from .json_lines import Line, read_lines
from .result import DetectionResult, key_of
from .video_frames import Frame, Video, frames_of
from .video_writer import has_h264, has_sound, written_video

SeenFrame = tuple[Frame, DetectionResult]
"""A frame and its objects."""
Written = tuple[bool, list[str], bool]
"""Whether the video was written, what a person should know, and whether Ctrl-C ended it."""
FIRST = 250
"""Frames of a file that decide whether it is dark: the first ten seconds, as many begin with black."""
PACE = 0.1
"""How far the brightening goes to what suits the next frame."""
FEW = 10
"""Of them, those that are looked at; of a camera the first."""


class SteadyPicture:
    """:func:`picture_of` frame after frame, brightened by what changes slowly, so that a light in a frame is no flash.

    Args:
        dark: whether a brightened copy stands beside each frame.
    """

    def __init__(self, dark: bool) -> None:
        self.dark = dark
        self.brightening: Brightening | None = None

    def __call__(self, image: np.ndarray, result: DetectionResult) -> np.ndarray:
        """The picture of the next frame, ``(H, W, 3)`` BGR uint8."""
        if self.dark:
            new = Brightening.of(image)
            self.brightening = new if self.brightening is None else self.brightening.towards(new, PACE)
        return picture_of(image, result, self.dark, self.brightening)


def draw_video(
    video: Video,
    lines_path: Path,
    path: Path,
    end: int,
    dark: bool | None = None,
    report: Callable[[int, int | None, str], None] = lambda done, total, stage: None,
    class_names: tuple[str, ...] = FACE,
) -> Written:
    """Decode a file again and draw what was found in it.

    Args:
        video: a file.
        lines_path: what was found.
        path: of the video.
        end: number of the frame to stop before.
        dark: whether a brightened copy stands beside each frame; None looks at the first.
        report: is called after each frame with frames done, of how many, and ``'drawing'``.
        class_names: of the detector.

    Raises:
        InputError: it cannot be written.
    """
    total = None if video.count is None else min(video.count, end)
    try:
        if dark is None:
            dark = is_dark_video(frame.image for frame in frames_of(video, every=FIRST // FEW, end=FIRST))
        draw = SteadyPicture(dark)
        with written_video(path, video.rate, video.source) as writer:
            for frame, result in _with_objects(frames_of(video, end=end), read_lines(lines_path), class_names):
                writer.add(draw(frame.image, result), frame.seconds)
                report(frame.number + 1, total, 'drawing')
    except Terminated:
        raise
    except KeyboardInterrupt:
        return False, [], True
    return True, [_how_written(path, video)], False


def record_video(video: Video, looked: Iterator[SeenFrame], path: Path, dark: bool | None = None) -> Written:
    """Draw the frames of a camera as they come; Ctrl-C ends the recording in an orderly way.

    Args:
        video: a camera.
        looked: its frames.
        path: of the video.
        dark: whether a brightened copy stands beside each frame; None looks at the first.

    Raises:
        InputError: it cannot be written.
    """
    first: list[SeenFrame] = []
    ended: BaseException | None = None
    try:
        for seen in itertools.islice(looked, FEW):
            first.append(seen)
    except (KeyboardInterrupt, InputError) as error:
        ended = error
    if first:
        dark = is_dark_video(frame.image for frame, _ in first) if dark is None else dark
        draw = SteadyPicture(dark)
        with written_video(path, video.rate) as writer:
            try:
                for frame, result in itertools.chain(first, looked if ended is None else ()):
                    writer.add(draw(frame.image, result), frame.seconds)
            except (KeyboardInterrupt, InputError) as error:  # what was recorded until then is kept
                ended = error
    if isinstance(ended, (InputError, Terminated)):
        raise ended
    return bool(first), [_how_written(path, video)] if first else [], ended is not None


def _how_written(path: Path, video: Video) -> str:
    codec = 'H.264' if has_h264() else 'MPEG-4, which browsers may not play (this FFmpeg has no libx264)'
    loud = not video.is_camera and has_sound(video.source)
    return f'{path}: {codec}, {f"with the sound of {video.name}" if loud else f"without sound: {video.name} has none"}'


def _with_objects(frames: Iterable[Frame], lines: Iterator[Line], class_names: tuple[str, ...]) -> Iterator[SeenFrame]:
    """Each frame with the objects of its line, or of the last line before it."""
    line, objects = next(lines, None), []
    for frame in frames:
        if line is not None and line['frame'] == frame.number:
            line, objects = next(lines, None), line[key_of(class_names)]
        height, width = frame.image.shape[:2]
        yield frame, DetectionResult.from_dicts(objects, width, height, f'frame {frame.number}', class_names)


def is_dark_video(images: Iterable[np.ndarray]) -> bool:
    """Whether most of these ``(H, W, 3)`` BGR uint8 images are dark: one answer, as all pictures have one size."""
    return float(np.mean([is_dark(image) for image in images])) > 0.5
