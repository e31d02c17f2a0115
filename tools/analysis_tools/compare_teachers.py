"""Compare Retinex teachers on real images: ``compare_teachers.py TEACHER... --images FOLDER``.

TEACHER is a published file (``decomp.pth``, RetinexNet's ``.tar``), a checkpoint of ``configs/retinex/``, or
``mmdark://retinexnet_wider.pth``, which comes with mmdark and is taken if none is named. Each image is decomposed as it
is and darkened (DarkISP, ``corrected``; the darkness follows from seed and file name). A Markdown table of means and
standard errors is printed. On a CPU 100 images take some minutes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from mmdark.adaptation import RetinexNet
from mmdark.apis import run_or_explain
from mmdark.errors import InputError
from mmdark.whole_file import write_whole

try:
    from mmdark.parity.teacher_pictures import draw_teachers
    from mmdark.parity.teachers import choose_images, load_teacher, markdown_table, measure, read_pairs
except ModuleNotFoundError:
    sys.exit('error: mmdark.parity is not in the installed package: run this tool in a clone of the repository')

OURS = 'mmdark://retinexnet_wider.pth'
PICTURES = 4


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description='Compare Retinex teachers on the same images, light and darkened.')
    parser.add_argument('teachers', nargs='*', default=[OURS], metavar='TEACHER', help='weight file (%(default)s)')
    parser.add_argument('--images', required=True, metavar='FOLDER', help='images, also in folders below')
    parser.add_argument('--number', type=int, default=100, help='of images, evenly spread over them (%(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='of the darkness (%(default)s)')
    parser.add_argument('--long-side', type=int, default=320, help='larger images are shrunk to this (%(default)s)')
    parser.add_argument('--out', metavar='FILE', help='write the table, too')
    parser.add_argument('--pictures', metavar='DIR', help=f'draw up to {PICTURES} of the images into this folder')
    return parser.parse_args()


def load_teachers(names: list[str]) -> dict[str, RetinexNet]:
    """Teachers under the names of their files; under their whole paths where two files have the same name.

    Raises:
        InputError: a file does not hold a teacher.
    """
    short = [Path(name).name for name in names]
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    shown = short if len(set(short)) == len(names) else names
    return {title: load_teacher(name).to(device) for title, name in zip(shown, names, strict=True)}


def main() -> None:
    """Read, decompose, measure, report."""
    args = parse_args()
    if args.long_side < 16:
        raise InputError(f'--long-side {args.long_side}: at least 16 pixels are needed')
    paths = choose_images(args.images, args.number)
    teachers = load_teachers(args.teachers)
    device = next(iter(teachers.values())).entry.weight.device
    drawn = {paths[place * len(paths) // PICTURES] for place in range(PICTURES)} if args.pictures else set()
    measured = {title: [] for title in teachers}
    for count, (path, pair) in enumerate(zip(paths, read_pairs(paths, args.seed, args.long_side), strict=True), 1):
        pair = pair._replace(light=pair.light.to(device), dark=pair.dark.to(device))
        seen = {title: (teacher(pair.light), teacher(pair.dark)) for title, teacher in teachers.items()}
        for title, decompositions in seen.items():
            measured[title].append(measure(pair, *decompositions))
        if path in drawn:
            draw_teachers(Path(args.pictures) / f'{path.stem}.png', pair, seen)
        print(f'\r{count} of {len(paths)} images', end='', file=sys.stderr, flush=True)
    print(file=sys.stderr)
    settings = f'images: {len(paths)}, long side: {args.long_side} px at most, seed of the dark: {args.seed}'
    table = markdown_table(measured, settings)
    print(table, end='')
    if args.out:
        write_whole(Path(args.out), table.encode(), '--out')


if __name__ == '__main__':
    run_or_explain(main)
