"""Draw a video: each frame with its objects; for a dark video, the frame next to a brightened copy with the objects."""

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
Written = tuple[bool, list[str], bool]
"""Whether the video was written, notes for the user, and whether Ctrl-C ended it."""
FIRST = 250
"""Number of frames from which darkness is sampled: ten seconds at 25 per second, as many videos start with black."""
SAMPLED = 10
"""Number of frames sampled from them to decide whether a video is dark; for a camera, its first frames."""
PACE = 0.1
"""Weight of the new frame's brightening when the current brightening is updated, in [0, 1]."""


class SteadyPicture:
    """:func:`picture_of` for successive frames; the brightening is smoothed over time to avoid flicker."""

    def __init__(self, dark: bool) -> None:
        self.dark = dark
        self.brightening: Brightening | None = None

    def __call__(self, image: np.ndarray, result: DetectionResult) -> np.ndarray:
        """Draw the next frame; the picture is BGR uint8, as of :func:`picture_of`."""
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
    """Decode a file again and draw the objects from its lines on the frames before index ``end``.

    The other arguments are those of :func:`.detect_video`.
    """
    total = None if video.count is None else min(video.count, end)
    try:
        if dark is None:
            dark = _is_dark_video(frame.image for frame in frames_of(video, every=FIRST // SAMPLED, end=FIRST))
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


def record_video(video: Video, seen: Iterator[SeenFrame], path: Path, dark: bool | None = None) -> Written:
    """Draw the frames of a camera until Ctrl-C; errors and SIGTERM are raised again after the file is closed."""
    first: list[SeenFrame] = []
    ended: BaseException | None = None
    try:
        for one in itertools.islice(seen, SAMPLED):
            first.append(one)
    except (KeyboardInterrupt, InputError) as error:
        ended = error
    if first:
        draw = SteadyPicture(_is_dark_video(frame.image for frame, _ in first) if dark is None else dark)
        with written_video(path, video.rate) as writer:
            try:
                for frame, result in itertools.chain(first, seen if ended is None else ()):
                    writer.add(draw(frame.image, result), frame.seconds)
            except (KeyboardInterrupt, InputError) as error:
                ended = error
    if isinstance(ended, (InputError, Terminated)):
        raise ended
    return bool(first), [_how_written(path, video)] if first else [], ended is not None


def _how_written(path: Path, video: Video) -> str:
    codec = 'H.264' if has_h264() else 'MPEG-4, which browsers may not play (this FFmpeg has no libx264)'
    loud = not video.is_camera and has_sound(video.source)
    return f'{path}: {codec}, {f"with the sound of {video.name}" if loud else f"without sound: {video.name} has none"}'


def _with_objects(frames: Iterable[Frame], lines: Iterator[Line], class_names: tuple[str, ...]) -> Iterator[SeenFrame]:
    """Pair each frame with the objects of its line or, if it has none, of the last line before it."""
    line, objects = next(lines, None), []
    for frame in frames:
        if line is not None and line['frame'] == frame.number:
            line, objects = next(lines, None), line[key_of(class_names)]
        height, width = frame.image.shape[:2]
        yield frame, DetectionResult.from_dicts(objects, width, height, f'frame {frame.number}', class_names)


def _is_dark_video(images: Iterable[np.ndarray]) -> bool:
    """Whether most of the images are dark; decided once per video, because all pictures need the same size."""
    return float(np.mean([is_dark(image) for image in images])) > 0.5
