"""A resized copy of a data set within a size budget.

    python tools/dataset_converters/shrink.py data/wider --out data/wider_small --budget 45MiB

Picks the largest side and JPEG quality, common to all images, that fit; the whole copy, annotations counted, is at or
under the budget. Boxes of WIDER FACE, DSFD's lists, DARK FACE, ExDark, COCO and VOC are scaled along; YOLO labels are
fractions already. Folders and names stay, so a config needs another ``data_root`` only.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mmdark.apis import run_or_explain
from mmdark.datasets.small_copy import Setting, SmallCopy, parse_budget, shrink_folder
from mmdark.errors import InputError


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description='A resized copy of a data set within a size budget.')
    parser.add_argument('dataset', type=Path, help='folder of the data set')
    parser.add_argument('--out', type=Path, required=True, help='folder of the copy, new or empty')
    parser.add_argument('--budget', required=True, help='size of the whole copy, such as 45MiB or 2GB')
    parser.add_argument('--max-side', type=int, default=640, help='longest side of an image at most, pixels')
    parser.add_argument('--quality', type=int, default=90, help='JPEG quality at most')
    parser.add_argument('--workers', type=int, help='processes; by default one a core. The result is the same')
    return parser.parse_args()


def summary(copy: SmallCopy, budget: int) -> str:
    """One line for what was done, with what a reader of the copy should know."""
    tally = copy.tally
    line = (
        f'{copy.images} images, {tally.boxes} boxes ({tally.below_pixel} now below 1 px, kept), '
        f'{copy.size / 2**20:.2f} MiB of a budget of {budget / 2**20:.2f} MiB, longest side {copy.setting.max_side}, '
        f'quality {copy.setting.quality}'
    )
    line += f'; {tally.absent_images} annotated images without a file left out' if tally.absent_images else ''
    line += f'; {tally.masks} run-length masks emptied' if tally.masks else ''
    line += f'; not scaled and left out: {", ".join(copy.left_out)}' if copy.left_out else ''
    return line


def main() -> None:
    """Shrink, and say what came of it."""
    args = parse_args()
    budget = parse_budget(args.budget)
    copy = shrink_folder(args.dataset, args.out, budget, Setting(args.max_side, args.quality), args.workers)
    print(f'{args.out}: {summary(copy, budget)}')
    if copy.broken:
        print(*copy.broken, sep='\n', file=sys.stderr)
        raise InputError(
            f'{len(copy.broken)} of {copy.images + len(copy.broken)} images could not be resized (listed above) and '
            'are not in the copy; mend them and run again, or leave it so'
        )


if __name__ == '__main__':
    run_or_explain(main)
