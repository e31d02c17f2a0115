"""``mmdark detect``: faces, or other objects, in images, folders, videos or before a webcam."""

from __future__ import annotations

import argparse
import glob
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mmdark.cli import INTERRUPTED, TERMINATED, register_everything
from mmdark.cli.options import in_options, positive
from mmdark.errors import InputError
from mmdark.file_limits import glob_once

if TYPE_CHECKING:
    from mmdark.inference.image_sources import ImageSource
    from mmdark.inference.inferencer import Inferencer

DESCRIPTION = """\
Find faces in photographs that were taken in the dark, and by day; or whatever your detector was trained for.

examples:
  mmdark detect night/                              a folder and those below it
  mmdark detect a.jpg b.png 'night/**/*.jpg'        files and patterns
  mmdark detect night/ --out-dir out --csv --coco   other formats
  mmdark detect clip.mp4 --out-dir out              a video: drawn, and a line per frame
  mmdark detect 0                                   the first webcam, until Ctrl-C
  mmdark detect night/ --weights my.pth             your own weights, with the config that lies beside them
  mmdark detect night/ --model my.py --weights my.pth    any detector of MMDetection"""

EPILOG = """\
Without a format, results.json and pictures are written. Files keep their path below the folder that was named.
A file that cannot be read is listed at the end with the reason, and in results.json; the others go on.
Ctrl-C and SIGTERM write the results so far; --resume continues, also after a crash. A video continues without it.
Exit status: 0 success; 1 an error, in one line; 2 no such option; 3 some images could not be read, all others were;
130 ended by Ctrl-C, 143 by SIGTERM."""

FORMATS = {
    'json': 'results.json: boxes x1 y1 x2 y2 in pixels, scores, and the files that could not be read',
    'csv': 'results.csv: a row per object',
    'yolo': 'labels/NAME.txt: class cx cy w h score, relative to the image',
    'wider': 'wider/EVENT/NAME.txt: as the evaluation of WIDER FACE takes it; of one class alone',
    'coco': 'coco_images.json and coco_results.json',
}


def parser() -> argparse.ArgumentParser:
    """The options."""
    parsed = argparse.ArgumentParser(
        'mmdark detect',
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parsed.add_argument('inputs', nargs='+', metavar='INPUT', help='image, folder, pattern, video, number of a webcam')
    model = parsed.add_argument_group('the detector')
    model.add_argument('--weights', metavar='FILE', help='trained weights (default: those that come with mmdark)')
    model.add_argument('--model', metavar='CONFIG', help='config, or the name of one of ours (default: of the weights)')
    model.add_argument('--device', default='auto', help='auto, cpu, cuda, cuda:1, mps (default: %(default)s)')
    model.add_argument(
        '--backend',
        metavar='NAME',
        default='auto',
        help='torch; onnxruntime, with the file that mmdark export wrote beside --weights; auto: ONNX Runtime on CPUs, '
        'where installed, for the detector that comes with mmdark (default: %(default)s)',
    )
    model.add_argument(
        '--score-thr', type=_score, default=0.3, help='objects from this score on (default: %(default)s)'
    )
    model.add_argument('--batch-size', type=positive, default=1, help='images at a time (default: %(default)s)')
    model.add_argument(
        '--tta',
        action=argparse.BooleanOptionalAction,
        help='detect at several scales: better and slower; the detector that comes with mmdark does so, at two scales, '
        'unless --no-tta is given',
    )
    model.add_argument(
        '--tile',
        type=_tile,
        default='auto',
        metavar='PIXELS',
        help='detect in tiles of so many pixels; auto: above four million pixels; none: never (default: auto)',
    )
    out = parsed.add_argument_group('what is written')
    out.add_argument('--out-dir', metavar='DIR', default='mmdark_out', help='folder (default: %(default)s)')
    out.add_argument('--save-vis', action='store_true', help='pictures/NAME.jpg: the objects drawn')
    for name, says in FORMATS.items():
        out.add_argument(f'--{name}', action='store_true', help=says)
    light = out.add_mutually_exclusive_group()
    light.add_argument('--dark', action='store_true', default=None, help='brighten every picture')
    light.add_argument(
        '--day', dest='dark', action='store_false', default=None, help='brighten none (default: dark ones)'
    )
    long = parsed.add_argument_group('many photographs, or a long video')
    long.add_argument('--resume', action='store_true', help='continue a run over photographs that was stopped')
    long.add_argument('--overwrite', action='store_true', help='begin anew where a run was stopped')
    long.add_argument(
        '--shard',
        type=_shard,
        default=(1, 1),
        metavar='K/N',
        help='detect on the Kth of N shares of the photographs; mmdark merge joins them',
    )
    video = parsed.add_argument_group('videos: NAME.frames.jsonl, a line per frame, and NAME.mp4, drawn')
    video.add_argument('--every', type=positive, default=1, metavar='N', help='detect on every Nth frame')
    parsed.add_argument('--quiet', action='store_true', help='print only errors')
    return parsed


def run(arguments: list[str]) -> int:
    """Detect, write the results, print where they are; all images first, then video after video, until Ctrl-C.

    Raises:
        InputError: an input, the detector or the place of the results cannot be used.
    """
    args = parser().parse_args(arguments)
    register_everything()
    from mmdark.cli.detect_images import detect_images
    from mmdark.cli.detect_videos import detect_videos, is_webcam
    from mmdark.drawing import counted
    from mmdark.inference import image_sources, tile_side
    from mmdark.inference.signals import sigterm_raises
    from mmdark.inference.video_frames import pyav, video_path

    tile_side(args.tile, 1, 1)
    videos, images = _videos_and_images(args.inputs)
    for video in videos:
        if not is_webcam(video):
            video_path(video)
    if videos:
        pyav()
    skipped: list[str] = []
    found = image_sources(images[0] if len(images) == 1 else images, skipped.append) if images else []
    sources = _chosen(found, args) if images else []
    if skipped:
        more = f' and {counted(len(skipped) - 1, "more video")}' if len(skipped) > 1 else ''
        print(f'skipped, as it is among images: {skipped[0]}{more}; name videos by themselves', file=sys.stderr)
    try:
        inferencer = _inferencer(args)
        with sigterm_raises():
            status = detect_images(inferencer, sources, images, args) if sources else 0
            if not videos or status in (INTERRUPTED, TERMINATED):
                return status
            return max(status, detect_videos(inferencer, videos, args))
    except InputError as error:  # it names arguments of Python
        raise in_options(error) from None


def _inferencer(args: argparse.Namespace) -> Inferencer:
    from mmdark.inference import Inferencer

    return Inferencer(args.model, args.weights, args.device, show_progress=False, backend=args.backend)


def _videos_and_images(inputs: Iterable[str]) -> tuple[list[str], list[str]]:
    """Split the inputs into videos (patterns expanded) or webcams, and inputs with images."""
    from mmdark.cli.detect_videos import is_webcam
    from mmdark.inference.file_kinds import literal_start
    from mmdark.inference.video_frames import is_video

    videos, images = [], []
    for given in inputs:
        named_as_video = is_video(given) and not os.path.isdir(given)
        if named_as_video and not os.path.exists(given) and glob.has_magic(given):
            found = glob_once(literal_start(given))
            if not found:
                raise InputError(
                    f'pattern {given} matches no video; put it into quotes, ** stands for all folders below'
                )
            videos += found
        elif named_as_video or is_webcam(given):
            videos.append(given)
        else:
            images.append(given)
    return videos, images


def _chosen(sources: Sequence[ImageSource], args: argparse.Namespace) -> list[ImageSource]:
    """Each photograph once, without the pictures of an earlier run unless the user named them."""
    out = os.path.join(os.path.realpath(args.out_dir), '')
    skip_out = not any(os.path.join(os.path.realpath(given), '').startswith(out) for given in args.inputs)
    chosen: dict[str, ImageSource] = {}
    for source in sources:
        path = os.path.realpath(source.name)
        if not (skip_out and path.startswith(out)):
            chosen.setdefault(path, source)
    if not chosen:
        raise InputError(f'all images lie in {args.out_dir}, where the results go: name another --out-dir')
    return list(chosen.values())


def _score(text: str) -> float:
    if not 0 <= float(text) <= 1:
        raise argparse.ArgumentTypeError(f'{text}: 0 to 1')
    return float(text)


def _shard(text: str) -> tuple[int, int]:
    from mmdark.inference.shares import share_of

    try:
        return share_of(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _tile(text: str) -> int | str | None:
    return {'auto': 'auto', 'none': None}[text] if text in ('auto', 'none') else positive(text)
