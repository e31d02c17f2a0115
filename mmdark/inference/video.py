"""Detect objects in a video or camera stream: one JSON line per frame, resumable, and a video with drawn boxes."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmdark.apis.work_dir_lock import only_detection
from mmdark.drawing import FACE
from mmdark.errors import InputError, Terminated

from .image_sources import ImageSource
from .json_lines import Line, detector_settings, read_lines
from .result import BrokenImage, key_of
from .video_frames import Frame, Video, frames_of, open_video
from .video_lines import FrameLines
from .video_picture import SeenFrame, draw_video, record_video

if TYPE_CHECKING:
    from .inferencer import Inferencer

Progress = Callable[[int, int | None, str], None]
"""Callback: number of processed frames, total (None if unknown), and ``'detecting'`` or ``'drawing'``."""


@dataclass(frozen=True)
class VideoSummary:
    """Result for a video, including the earlier runs that this run resumed.

    Attributes:
        frames: number of processed frames.
        objects: number of objects per class label, over all frames.
        seconds: time of the last processed frame.
        frames_file: the results, one line per frame, see :mod:`mmdark.inference.video_lines`.
        video_file: the video with drawn boxes; None if it was not requested or not finished.
        stopped: whether Ctrl-C interrupted the run; the same call resumes it.
        notes: further messages for the user.
    """

    frames: int
    objects: dict[int, int]
    seconds: float
    frames_file: Path
    video_file: Path | None
    stopped: bool
    notes: tuple[str, ...] = ()

    @property
    def faces(self) -> int:
        """Number of objects of all classes."""
        return sum(self.objects.values())


def detect_video(
    inferencer: Inferencer,
    source: str | os.PathLike | int,
    out_dir: str | os.PathLike,
    *,
    name: str | None = None,
    batch_size: int = 1,
    pred_score_thr: float = 0.3,
    tta: bool | None = None,
    save_video: bool = True,
    every: int = 1,
    overwrite: bool = False,
    max_frames: int | None = None,
    dark: bool | None = None,
    progress: Progress | None = None,
) -> VideoSummary:
    """Detect objects in a video frame by frame, in constant memory.

    Writes one line per frame to ``OUT/NAME.frames.jsonl``. After an interruption (Ctrl-C, ``kill``, a full disk) the
    same call resumes at the first missing frame. After the last frame, or after Ctrl-C, ``OUT/NAME.mp4`` is drawn from
    the frames processed so far. A second Ctrl-C stops the drawing; SIGTERM skips it. The video of a camera is drawn
    during detection.

    Args:
        inferencer: the detector.
        source: path of a video, or the number of a camera.
        out_dir: output folder; created if missing.
        name: base name of the output files; by default that of the source, or ``webcam_0`` for camera 0.
        batch_size: number of frames per batch.
        pred_score_thr: minimum score of an object.
        tta: see :meth:`Inferencer.stream`.
        save_video: draw the video.
        every: detect on every Nth frame; the drawn video shows its boxes until the next one.
        overwrite: discard existing results instead of resuming.
        max_frames: stop before the frame with this number, counted from 0; a later call with a larger number resumes.
        dark: draw a brightened copy beside each frame; None decides from the first ten seconds.
        progress: called after each frame.

    Raises:
        InputError: the source cannot be read; the existing results have other settings; another process is writing
            them; a file cannot be written. The lines written so far are kept.
        Terminated: SIGTERM was received. The lines written so far are kept.
    """
    for option, number in dict(batch_size=batch_size, every=every, max_frames=max_frames).items():
        if number is not None and number < 1:
            raise InputError(f'{option}={number}: give 1 or more')
    video = open_video(source)
    stem = name or (f'webcam_{video.source}' if video.is_camera else Path(video.name).stem)
    lines_path, drawn_path = (Path(out_dir) / f'{stem}{end}' for end in ('.frames.jsonl', '.mp4'))
    _check_places(video, lines_path, drawn_path if save_video else None, overwrite)
    header = _header(inferencer, video, pred_score_thr, tta, every)
    options = dict(batch_size=batch_size, pred_score_thr=pred_score_thr, tta=tta)
    report = progress or (lambda done, total, stage: None)
    drawn, notes, stopped = False, [], False
    with only_detection(lines_path):
        with FrameLines(lines_path, header, every, batch_size, overwrite) as lines:
            seen = _detect(inferencer, video, lines, every, max_frames, report, options)
            if video.is_camera and save_video:
                drawn, notes, stopped = record_video(video, seen, drawn_path, dark)
            else:
                try:
                    deque(seen, maxlen=0)
                except KeyboardInterrupt as signalled:
                    if isinstance(signalled, Terminated):
                        raise
                    stopped = True
        frames, objects, last = _counted(lines_path, key_of(inferencer.class_names))
        if not (stopped or max_frames or video.is_camera):
            notes += _missing(video, frames, every)
        if save_video and frames and not video.is_camera:
            end = min(last['frame'] + every, max_frames or last['frame'] + every)
            classes = inferencer.class_names
            drawn, more, interrupted = draw_video(video, lines_path, drawn_path, end, dark, report, classes)
            notes, stopped = [*notes, *more], stopped or interrupted
    seconds = last['seconds'] if frames else 0.0
    return VideoSummary(frames, objects, seconds, lines_path, drawn_path if drawn else None, stopped, tuple(notes))


def _detect(
    inferencer: Inferencer,
    video: Video,
    lines: FrameLines,
    every: int,
    max_frames: int | None,
    report: Progress,
    options: dict[str, Any],
) -> Iterator[SeenFrame]:
    """Detect on the frames without a line, and yield each after its line is written."""
    known = min(filter(None, (video.count, max_frames)), default=None)
    total = None if known is None else -(-known // every)
    waiting: deque[tuple[int, float]] = deque()

    def sources() -> Iterator[ImageSource]:
        with closing(frames_of(video, lines.first, every, max_frames)) as frames:
            for frame in frames:
                waiting.append((frame.number, frame.seconds))
                yield ImageSource(f'{video.name}#{frame.number}', frame.image)

    for result, image in inferencer.stream(sources(), **options):
        number, seconds = waiting.popleft()
        if isinstance(result, BrokenImage):
            raise InputError(f'frame {number} of {video.name}: {result.reason}; the frames before it are kept')
        lines.add(number, seconds, result)
        yield Frame(number, seconds, image), result
        report(number // every + 1, total, 'detecting')


def _counted(path: Path, key: str) -> tuple[int, dict[int, int], Line]:
    """Number of frames in a file, number of objects per class, and the last line."""
    frames, objects, last = 0, Counter(), {}
    for last in read_lines(path):
        frames += 1
        objects.update(one.get('label', 0) for one in last[key])
    return frames, dict(objects), last


def _missing(video: Video, frames: int, every: int) -> list[str]:
    """A note if a video has clearly fewer frames than its header states; a small difference is normal."""
    read = frames * every
    if video.count is None or video.count - read <= max(0.02 * video.count, every + 1):
        return []
    return [f'{video.name} says {video.count} frames, but only {frames if every == 1 else f"about {read}"} can be read']


def _check_places(video: Video, lines: Path, drawn: Path | None, overwrite: bool) -> None:
    """Refuse to overwrite the video itself, and files that mmdark did not write."""
    begin = 'begin anew with overwrite=True (--overwrite), or name another out_dir'
    if drawn and drawn.exists():
        if not video.is_camera and os.path.samefile(video.source, drawn):
            raise InputError(f'{drawn} would be drawn over {video.source} itself: name another out_dir')
        if not lines.exists() and not overwrite:
            raise InputError(f'{drawn} is there and not of detect_video, {lines.name} is missing: {begin}')
    if video.is_camera and lines.exists() and not overwrite:
        raise InputError(f'{lines} is there, and what a camera shows cannot be continued: {begin}')


def _header(inferencer: Inferencer, video: Video, score: float, tta: bool | None, every: int) -> Line:
    classes = {} if tuple(inferencer.class_names) == FACE else {'classes': list(inferencer.class_names)}
    return dict(
        source=video.name,
        bytes=video.bytes,
        start=video.digest,
        width=video.width,
        height=video.height,
        fps=round(video.rate, 4),
        frames=video.count,
        **detector_settings(inferencer, score, tta),
        every=every,
        **classes,
    )
