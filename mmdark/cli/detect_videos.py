"""The videos and webcams of ``mmdark detect``, one after the other."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from mmdark.cli import INTERRUPTED, SOME_BROKEN, TERMINATED
from mmdark.cli.progress import DetectProgress
from mmdark.drawing import counted, counted_classes
from mmdark.errors import InputError, Terminated
from mmdark.inference.output_names import output_names
from mmdark.inference.video import VideoSummary, detect_video
from mmdark.inference.video_lists import write_frame_lists

if TYPE_CHECKING:
    from mmdark.inference.inferencer import Inferencer


OF_VIDEOS = ('json', 'csv')
"""Formats that are written of videos, too."""
OF_IMAGES = ('yolo', 'wider', 'coco')
"""Formats of images alone."""
GOES_ON = '; the same command goes on'


def detect_videos(inferencer: Inferencer, videos: Sequence[str], args: argparse.Namespace) -> int:
    """Look at each video; one that fails does not stop the others, Ctrl-C ends with the one it comes in.

    Args:
        inferencer: looks at the frames.
        videos: paths, and numbers of webcams.
        args: of ``mmdark detect``.

    Returns:
        The exit status.

    Raises:
        InputError: all videos fail, the only one for instance.
    """
    if asked := [f'--{name}' for name in OF_IMAGES if getattr(args, name)]:
        print(f'{" ".join(asked)} is for images: of videos NAME.frames.jsonl is written', file=sys.stderr)
    failed: dict[str, InputError] = {}
    files = [video for video in dict.fromkeys(videos) if not is_webcam(video)]
    names = dict(zip(files, output_names(files, files), strict=True))
    for video in dict.fromkeys(videos):
        try:
            with _Stages(args.quiet) as stages:
                summary = _detect(inferencer, video, names.get(video), args, stages)
            lists = write_frame_lists(summary.frames_file, [name for name in OF_VIDEOS if getattr(args, name)])
        except Terminated:
            print(f'{video}: ended by SIGTERM{"" if is_webcam(video) else GOES_ON}', file=sys.stderr)
            return TERMINATED
        except InputError as error:
            failed[video] = error
            continue
        for note in summary.notes:
            print(note, file=sys.stderr)
        if not args.quiet:
            _report(video, counted_classes(summary.objects, inferencer.class_names), summary, lists, args.score_thr)
        if summary.stopped:
            goes_on = '' if is_webcam(video) else f'{GOES_ON} after {summary.frames} frames'
            print(f'ended by Ctrl-C{goes_on}', file=sys.stderr)
            return INTERRUPTED
    if len(failed) == len(set(videos)):
        raise next(iter(failed.values()))
    for error in failed.values():
        print(f'not looked at: {error}', file=sys.stderr)
    return SOME_BROKEN if failed else 0


def is_webcam(given: str) -> bool:
    """Whether an input is the number of a webcam."""
    return given.isdecimal() and not Path(given).exists()


class _Stages:
    """A progress for each stage of a video, which is looked at first and drawn then."""

    def __init__(self, quiet: bool) -> None:
        self.quiet, self.stage, self.open = quiet, '', ExitStack()

    def __enter__(self) -> _Stages:
        return self

    def __exit__(self, *error: object) -> None:
        self.open.close()

    def __call__(self, done: int, total: int | None, stage: str) -> None:
        if stage != self.stage:
            self.open.close()
            self.stage = stage
            progress = DetectProgress(total, self.quiet, what=stage, things='frames', begun=done)
            self.progress = self.open.enter_context(progress)
        self.progress.update(done)


def _detect(
    inferencer: Inferencer, video: str, name: str | None, args: argparse.Namespace, stages: _Stages
) -> VideoSummary:
    return detect_video(
        inferencer,
        int(video) if is_webcam(video) else video,
        args.out_dir,
        name=name,
        batch_size=args.batch_size,
        pred_score_thr=args.score_thr,
        tta=args.tta,
        save_video=args.save_vis or not any(getattr(args, name) for name in (*OF_VIDEOS, *OF_IMAGES)),
        every=args.every,
        overwrite=args.overwrite,
        dark=args.dark,
        progress=stages,
    )


def _report(video: str, objects: str, summary: VideoSummary, lists: Sequence[Path], score: float) -> None:
    print(
        f'{video}: {objects} on {counted(summary.frames, "frame")} '
        f'of {summary.seconds:.1f} s, score {score:g} and above'
    )
    for path in filter(None, (summary.frames_file, *lists, summary.video_file)):
        print(f'  {path}')
