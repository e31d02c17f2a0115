"""The videos and webcams of ``mmdark detect``, one after the other."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

from mmdark.cli import INTERRUPTED, SOME_BROKEN, TERMINATED
from mmdark.cli.progress import DetectProgress
from mmdark.drawing import counted, counted_classes
from mmdark.errors import InputError, Terminated
from mmdark.inference.output_names import output_names
from mmdark.inference.video import VideoSummary, detect_video
from mmdark.inference.video_lines import write_frame_lists

if TYPE_CHECKING:
    from mmdark.inference.inferencer import Inferencer


OF_VIDEOS = ('json', 'csv')
OF_IMAGES = ('yolo', 'wider', 'coco')
GOES_ON = '; the same command goes on'


def detect_videos(inferencer: Inferencer, videos: Sequence[str], args: argparse.Namespace) -> int:
    """Detect on each video (path or webcam number); Ctrl-C stops all, a video that fails does not stop the others.

    Returns:
        The exit status.

    Raises:
        InputError: all videos fail.
    """
    if asked := [f'--{name}' for name in OF_IMAGES if getattr(args, name)]:
        print(f'{" ".join(asked)} is for images: of videos NAME.frames.jsonl is written', file=sys.stderr)
    failed: dict[str, InputError] = {}
    files = [video for video in dict.fromkeys(videos) if not is_webcam(video)]
    names = dict(zip(files, output_names(files, files), strict=True))
    for video in dict.fromkeys(videos):
        stages = _Stages(args.quiet)
        try:
            with closing(stages.bars):
                summary = detect_video(
                    inferencer,
                    int(video) if is_webcam(video) else video,
                    args.out_dir,
                    name=names.get(video),
                    batch_size=args.batch_size,
                    pred_score_thr=args.score_thr,
                    tta=args.tta,
                    save_video=args.save_vis or not any(getattr(args, name) for name in (*OF_VIDEOS, *OF_IMAGES)),
                    every=args.every,
                    overwrite=args.overwrite,
                    dark=args.dark,
                    progress=stages,
                )
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
    for failure in failed.values():
        print(f'failed: {failure}', file=sys.stderr)
    return SOME_BROKEN if failed else 0


def is_webcam(given: str) -> bool:
    """Whether an input is the number of a webcam."""
    return given.isdecimal() and not Path(given).exists()


class _Stages:
    """A progress bar for each stage of a video: detecting, then drawing."""

    def __init__(self, quiet: bool) -> None:
        self.quiet, self.stage, self.bars = quiet, '', ExitStack()

    def __call__(self, done: int, total: int | None, stage: str) -> None:
        if stage != self.stage:
            self.bars.close()
            self.stage = stage
            self.progress = self.bars.enter_context(
                DetectProgress(total, self.quiet, what=stage, things='frames', begun=done)
            )
        self.progress.update(done)


def _report(video: str, objects: str, summary: VideoSummary, lists: Sequence[Path], score: float) -> None:
    print(
        f'{video}: {objects} on {counted(summary.frames, "frame")} '
        f'of {summary.seconds:.1f} s, score {score:g} and above'
    )
    for path in filter(None, (summary.frames_file, *lists, summary.video_file)):
        print(f'  {path}')
