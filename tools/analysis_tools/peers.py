"""Compare face detectors on photographs with labels: ``peers.py --ann-file GT --data-root DIR --yunet A --scrfd B``.

    python tools/analysis_tools/peers.py --data-root data/wider \
        --ann-file data/wider/wider_face_split/wider_face_val_bbx_gt.txt --kinds day dark dark+clahe \
        --yunet face_detection_yunet_2023mar.onnx --scrfd scrfd_500m_bnkps.onnx --weights my.pth --images 100

It prints a Markdown table: exact AP in percent at IoU 0.5 over all faces, over those of at least 16, 32 and 64 pixels,
over badly lit ones and on night images, and medians of the milliseconds. Without ``--weights`` and ``--onnx`` ours is
the detector that comes with mmdark. The files of YuNet and SCRFD are yours to bring.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

import cv2
import torch
from rich.console import Console
from rich.progress import track

from mmdark.apis import run_or_explain
from mmdark.benchmark import Settings, machine, markdown_head
from mmdark.benchmark.peers import (
    KINDS,
    compare,
    peers_table,
    photographs,
    read_face_labels,
    read_night_list,
    spread,
    write_detections,
)
from mmdark.cli.options import positive
from mmdark.deploy.face_finders import LOWEST_SCORE, FaceFinder, exported, scrfd, trained, yunet
from mmdark.errors import InputError
from mmdark.whole_file import write_whole


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description='AP and time of face detectors on the same photographs.')
    parser.add_argument('--ann-file', required=True, metavar='FILE', help='*_bbx_gt.txt of WIDER FACE, or one like it')
    parser.add_argument('--data-root', required=True, metavar='DIR', help='folder of the images, or of WIDER FACE')
    parser.add_argument('--night', metavar='FILE', help='event/image.jpg a line: AP on these stands in its own column')
    parser.add_argument('--images', type=positive, metavar='N', help='so many, spread evenly (default: all)')
    parser.add_argument('--kinds', nargs='+', choices=KINDS, default=['day', 'dark'], metavar='KIND', help=str(KINDS))
    parser.add_argument('--yunet', nargs='+', default=[], metavar='ONNX', help='for cv2.FaceDetectorYN')
    parser.add_argument('--scrfd', nargs='+', default=[], metavar='ONNX', help='for onnxruntime')
    parser.add_argument('--onnx', nargs='+', default=[], metavar='ONNX', help='written by mmdark export')
    parser.add_argument('--weights', nargs='+', default=[], metavar='FILE', help='checkpoints for PyTorch')
    parser.add_argument('--model', metavar='CONFIG', help='of --weights (default: what they were trained with)')
    parser.add_argument('--threads', type=positive, default=1, help='of every detector (default: %(default)s)')
    parser.add_argument('--out', metavar='DIR', help='write the table and the detections, DETECTOR_KIND.json')
    return parser.parse_args()


def finders_of(args: argparse.Namespace) -> dict[str, FaceFinder]:
    """The detectors by their names in the table: kind and file.

    Raises:
        InputError: one cannot be used, or two have one name.
    """
    shipped = [] if args.weights or args.onnx else [None]
    opened: list[tuple[str, list, Callable]] = [
        ('YuNet', args.yunet, yunet),
        ('SCRFD', args.scrfd, partial(scrfd, threads=args.threads)),
        ('mmdark ONNX', args.onnx, partial(exported, threads=args.threads)),
        ('mmdark', args.weights or shipped, partial(trained, args.model)),
    ]
    finders: dict[str, FaceFinder] = {}
    for kind, files, make in opened:
        for file in files:
            name = f'{kind} {Path(file).stem}' if file else f'{kind} as shipped'
            if name in finders:
                raise InputError(f'two detectors are called {name}: rename one of the files')
            finders[name] = make(file)
    return finders


def main() -> None:
    """Open, look, print."""
    args = parse_args()
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(args.threads)
    labels = read_face_labels(args.ann_file)
    names = spread(list(labels), args.images)
    night = read_night_list(args.night, labels) & set(names) if args.night else ()
    photos = photographs(args.data_root, names)
    finders = finders_of(args)
    place = machine(Settings(config='', threads=args.threads))
    results = compare(finders, photos, args.kinds, partial(track, console=Console(stderr=True), transient=True))
    engines = ', '.join(f'{name} {version(name)}' for name in ('onnxruntime',) if args.scrfd or args.onnx)
    text = (
        f'{markdown_head(place).strip()}; OpenCV {cv2.__version__}{", " if engines else ""}{engines}\n\n'
        f'{len(names)} of {len(labels)} images at their own size, detections from a score of {LOWEST_SCORE} on\n\n'
        f'{peers_table(results, {name: labels[name] for name in names}, night)}'
    )
    print(text, end='')
    if args.out:
        write_whole(Path(args.out, 'table.md'), text.encode(), '--out')
        for result in results:
            file = f'{result.detector}_{result.kind}.json'.replace(' ', '_')
            write_detections(Path(args.out, file), result.found)


if __name__ == '__main__':
    run_or_explain(main)
