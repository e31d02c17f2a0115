"""A fixed-seed dark copy of a data set, so that a dark validation set is the same for everyone.

    python tools/dataset_converters/darken.py data/wider --out data/wider_dark

Works on WIDER FACE, DARK FACE, COCO, VOC and YOLO folders and on plain folders of images. Every image becomes what the
fixed-seed DarkISP of the test pipelines makes of it, rounded to 8 bits; annotations are copied, and ``dark_isp.json``
holds the parameters of each image. Run it again after an interruption: finished images are kept. Broken images are
listed at the end, with exit status 1; all others are done.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mmdark.apis import run_or_explain
from mmdark.converters.dark_copy import FORMATS, RECORD, DarkSettings, darken_folder
from mmdark.dark_isp import PRESETS
from mmdark.errors import InputError


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description='A fixed-seed dark copy of a data set.')
    parser.add_argument('dataset', type=Path, help='folder of the data set')
    parser.add_argument('--out', type=Path, required=True, help='folder of the dark copy')
    parser.add_argument('--preset', choices=[*PRESETS], default='corrected', help='of DarkISP')
    parser.add_argument('--seed', type=int, default=0, help='of the darkness')
    parser.add_argument('--format', choices=[*FORMATS], default='png', help='png loses nothing, jpg is smaller')
    parser.add_argument('--quality', type=int, default=95, help='of jpg, 1 to 100')
    parser.add_argument('--workers', type=int, help='threads; by default one per core. The result is the same')
    return parser.parse_args()


def main() -> None:
    """Darken, and print the counts."""
    args = parse_args()
    settings = DarkSettings(args.preset, args.seed, args.format, args.quality)
    done = darken_folder(args.dataset, args.out, settings, args.workers)
    print(
        f'{args.out}: {done.images} dark images ({done.kept} existed already), {done.others} other files copied; '
        f'parameters in {args.out / RECORD}'
    )
    if done.broken:
        print(*done.broken, sep='\n', file=sys.stderr)
        raise InputError(
            f'{len(done.broken)} of {done.images + len(done.broken)} images could not be darkened (listed above); mend '
            'them and run again, the finished ones are kept'
        )


if __name__ == '__main__':
    run_or_explain(main)
