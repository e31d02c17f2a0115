"""The photographs of ``mmdark detect``: results into files, and a few lines that say where they are."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mmdark.cli import ERROR, INTERRUPTED, SOME_BROKEN
from mmdark.cli.gallery import make_gallery
from mmdark.cli.progress import DetectProgress
from mmdark.drawing import counted, counted_classes
from mmdark.inference.before_after import picture_of
from mmdark.inference.detect_folder import Detected, detect_folder
from mmdark.inference.output_names import output_names
from mmdark.inference.result_files import FORMATS, ResultFiles

if TYPE_CHECKING:
    from mmdark.inference.image_sources import ImageSource
    from mmdark.inference.inferencer import Inferencer

QUICKSTART = 'dsfd_dark_lite_demo'
"""The config of the quickstart."""
TOY = """\
These are the quickstart's weights, trained for minutes on a few demo faces: they show that everything works, and
take many things for faces. For your photographs train longer (mmdark train), or name better ones with --weights."""
LISTED = 50
"""Broken files that are listed; ``results.json`` has them all."""


def detect_images(
    inferencer: Inferencer, sources: Sequence[ImageSource], images: Sequence[str], args: argparse.Namespace
) -> int:
    """Look at all photographs.

    Args:
        inferencer: looks at them.
        sources: the photographs.
        images: the inputs that they came from.
        args: of ``mmdark detect``.

    Returns:
        The exit status.

    Raises:
        InputError: a file cannot be written.
    """
    names = output_names([source.name for source in sources], images)
    model = Path(inferencer.cfg.filename or 'config').stem
    about = dict(model=model, weights=str(inferencer.weights), score_thr=args.score_thr)
    draw, classes = partial(picture_of, dark=args.dark), inferencer.class_names
    files = ResultFiles(args.out_dir, formats_of(args), about, draw, classes)
    start = time.monotonic()
    with DetectProgress(len(sources), args.quiet) as progress:
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
    _report(detected, counted_classes(detected.objects, classes), time.monotonic() - start, args)
    if model == QUICKSTART and detected.images and not args.quiet:
        print(TOY)
    if detected.interrupted:
        return INTERRUPTED
    if not detected.images:
        return ERROR if detected.broken else 0
    status = make_gallery(args.out_dir, None, args.dark, args.quiet) if args.gallery else 0
    return SOME_BROKEN if detected.broken else status


def formats_of(args: argparse.Namespace) -> set[str]:
    """What is to be written; where nothing was asked for, what a newcomer looks at first."""
    asked = {name for name in FORMATS if name != 'pictures' and getattr(args, name)}
    asked |= {'pictures'} if args.save_vis else set()
    if args.gallery:
        asked |= {'json'}
    return asked or {'json', 'pictures'}


def _report(detected: Detected, objects: str, seconds: float, args: argparse.Namespace) -> None:
    if detected.broken:
        count = len(detected.broken)
        lines = [f'  {one.source}: {one.reason}' for one in detected.broken[:LISTED]]
        lines += [f'  and {count - LISTED} more'] if count > LISTED else []
        print(f'{counted(count, "file")} could not be read:', *lines, sep='\n', file=sys.stderr)
    if detected.interrupted:
        print(f'ended by Ctrl-C after {detected.done} of {detected.total} images; these are kept', file=sys.stderr)
    if args.quiet:
        return
    speed = detected.done / max(seconds, 1e-9)
    read = ' that could be read' if detected.broken else ''
    if detected.images:
        print(
            f'{objects} on {detected.with_objects} of {counted(detected.images, "image")}{read}, '
            f'score {args.score_thr:g} and above, {speed:.3g} images/s'
        )
    for path in detected.written:
        print(f'  {path}{"/" if path.is_dir() else ""}')
