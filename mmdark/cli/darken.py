"""``mmdark darken``: see what DarkISP makes of a photograph."""

from __future__ import annotations

import argparse
from pathlib import Path

from mmdark.cli import register_everything
from mmdark.errors import InputError

DESCRIPTION = """\
Draw what DarkISP, which darkens the training images, makes of a photograph that was taken by day:
a row for each preset, a column for each seed, with what was sampled.

examples:
  mmdark darken day.jpg
  mmdark darken day.jpg --presets corrected --seeds 0 1 2 3 4 5 --out grid.png"""


def parser() -> argparse.ArgumentParser:
    """The options."""
    parsed = argparse.ArgumentParser(
        'mmdark darken', description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parsed.add_argument('image', help='photograph')
    parsed.add_argument('--presets', nargs='+', metavar='NAME', help='of DarkISP (default: all)')
    parsed.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2], metavar='N', help='(default: 0 1 2)')
    parsed.add_argument('--width', type=int, default=420, help='of one picture at most, in pixels (default: 420)')
    parsed.add_argument('--out', metavar='FILE', help='*.jpg or *.png (default: NAME_dark.png in this folder)')
    return parsed


def run(arguments: list[str]) -> int:
    """Draw the grid and print its path.

    Raises:
        InputError: the photograph cannot be read, an option is wrong, or the file cannot be written.
    """
    args = parser().parse_args(arguments)
    out = Path(args.out or f'{Path(args.image).stem}_dark.png')
    if out.suffix.lower() not in ('.jpg', '.jpeg', '.png'):
        raise InputError(f'--out {out}: name it *.jpg or *.png')
    if args.width < 16:
        raise InputError(f'--width {args.width}: give 16 pixels or more')
    register_everything()
    from mmdark.dark_isp import PRESETS
    from mmdark.inference.dark_grid import dark_grid
    from mmdark.inference.image_sources import ImageSource
    from mmdark.inference.result_files import write_picture

    try:
        image = ImageSource(args.image).read()
    except InputError as error:
        raise InputError(f'{args.image}: {error}') from None
    presets = args.presets or list(PRESETS)
    write_picture(out, dark_grid(image, presets, args.seeds, args.width))
    print(f'{out}: {", ".join(presets)}, seeds {", ".join(map(str, args.seeds))}')
    return 0
