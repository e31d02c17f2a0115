"""The photographs of ``mmdark detect``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mmdark.apis.work_dir_lock import only_detection
from mmdark.cli import ERROR, INTERRUPTED, SOME_BROKEN, TERMINATED
from mmdark.cli.progress import DetectProgress
from mmdark.drawing import counted, counted_classes
from mmdark.errors import InputError
from mmdark.inference.before_after import picture_of
from mmdark.inference.detect_folder import Detected, detect_folder
from mmdark.inference.json_lines import count_unfinished, detector_settings
from mmdark.inference.output_names import output_names
from mmdark.inference.result_files import FORMATS, ResultFiles
from mmdark.inference.shares import Share
from mmdark.whole_file import writing

if TYPE_CHECKING:
    from mmdark.inference.image_sources import ImageSource
    from mmdark.inference.inferencer import Inferencer

QUICKSTART = 'dsfd_dark_lite_demo'
"""The config of the quickstart."""
TOY = """\
These are the quickstart's weights, trained for minutes on a few demo faces: they show that everything works, and
take many things for faces. For your photographs train longer (mmdark train), or name better ones with --weights."""


def detect_images(
    inferencer: Inferencer, sources: Sequence[ImageSource], images: Sequence[str], args: argparse.Namespace
) -> int:
    """Detect on all photographs and report.

    Args:
        inferencer: the detector.
        sources: the photographs.
        images: the inputs with the photographs.
        args: arguments of ``mmdark detect``.

    Returns:
        The exit status.
    """
    part, parts = args.shard
    share = Share(part, parts, args.batch_size)
    folder = Path(args.out_dir)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with only_detection(share.lines_path(folder)):
        detected, seconds = _detect(inferencer, sources, images, share, args)
    _report(detected, counted_classes(detected.objects, inferencer.class_names), seconds, args)
    if _model_of(inferencer) == QUICKSTART and detected.images and not args.quiet:
        print(TOY)
    if detected.ended_by:
        return INTERRUPTED if detected.ended_by == 'Ctrl-C' else TERMINATED
    if not detected.images:
        return ERROR if detected.num_broken else 0
    return SOME_BROKEN if detected.num_broken else 0


def _detect(
    inferencer: Inferencer,
    sources: Sequence[ImageSource],
    images: Sequence[str],
    share: Share,
    args: argparse.Namespace,
) -> tuple[Detected, float]:
    """Detect on the photographs of a share; returns the counts and the time in seconds."""
    path, classes = share.lines_path(Path(args.out_dir)), inferencer.class_names
    if not (args.resume or args.overwrite) and (done := count_unfinished(path)):
        raise InputError(
            f'{path} holds {counted(done, "photograph")} of a run that was stopped: go on with --resume, begin anew '
            'with --overwrite, or name another --out-dir'
        )
    about = dict(model=_model_of(inferencer), weights=str(inferencer.weights), score_thr=args.score_thr)
    settings = {
        **detector_settings(inferencer, args.score_thr, args.tta),
        'tile': args.tile,
        'dark': args.dark,
        **share.settings([source.name for source in sources]),
    }
    draw = partial(picture_of, dark=args.dark)
    names = output_names((source.name for source in sources), images)
    if share.parts > 1:
        names = (name for number, name in enumerate(names) if share.holds(number))
        sources = [source for number, source in enumerate(sources) if share.holds(number)]
    files = ResultFiles(args.out_dir, formats_of(args), about, draw, classes, settings, args.resume, share)
    start = time.monotonic()
    with DetectProgress(len(sources), args.quiet, begun=files.kept) as progress:
        detected = detect_folder(
            inferencer,
            sources,
            names,
            files,
            after_each=lambda so_far: progress.update(so_far.done, counted_classes(so_far.objects, classes)),
            batch_size=args.batch_size,
            pred_score_thr=args.score_thr,
            tta=args.tta,
            tile=args.tile,
        )
    return detected, time.monotonic() - start


def _model_of(inferencer: Inferencer) -> str:
    return Path(inferencer.cfg.filename or 'config').stem


def formats_of(args: argparse.Namespace) -> set[str]:
    """The requested output formats; JSON and pictures by default."""
    asked = {name for name in FORMATS if name != 'pictures' and getattr(args, name)}
    asked |= {'pictures'} if args.save_vis else set()
    return asked or {'json', 'pictures'}


def _report(detected: Detected, objects: str, seconds: float, args: argparse.Namespace) -> None:
    if detected.broken:
        more = detected.num_broken - len(detected.broken)
        lines = [f'  {one.source}: {one.reason}' for one in detected.broken]
        lines += [f'  and {more} more'] if more else []
        print(f'{counted(detected.num_broken, "file")} could not be read:', *lines, sep='\n', file=sys.stderr)
    if detected.ended_by:
        print(
            f'ended by {detected.ended_by} after {detected.done} of {detected.total} images; these are kept, the same '
            'command with --resume goes on',
            file=sys.stderr,
        )
    if args.quiet:
        return
    new = detected.done - detected.kept
    speed = f', {new / max(seconds, 1e-9):.3g} images/s' if new else ''
    read = ' that could be read' if detected.broken else ''
    if detected.images:
        print(
            f'{objects} on {detected.with_objects} of {counted(detected.images, "image")}{read}, '
            f'score {args.score_thr:g} and above{speed}'
        )
    for path in detected.written:
        print(f'  {path}{"/" if path.is_dir() else ""}')
