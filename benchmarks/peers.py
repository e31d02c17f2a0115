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
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median
from time import perf_counter

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from mmdark.cli.options import positive
from mmdark.converters.dark_copy import darkened
from mmdark.datasets.transforms import Brighten
from mmdark.datasets.transforms.load_image import read_photo
from mmdark.errors import InputError
from mmdark.evaluation.face_scores import LabelledFaces, face_scores
from mmdark.whole_file import write_whole
from tools.analysis_tools.face_labels import read_face_labels, read_night_list, write_detections

from .face_finders import LOWEST_SCORE, FaceFinder, exported, scrfd, trained, yunet
from .machine import Settings, machine
from .records import markdown_head, markdown_lines, milliseconds

KINDS = ('day', 'day+gamma', 'day+clahe', 'dark', 'dark+gamma', 'dark+clahe')
"""How the photographs are shown: as they are or darkened with seed 0, and then brightened."""


@dataclass
class Compared:
    """One detector on all photographs of one kind.

    Attributes:
        detector: its name.
        kind: of :data:`KINDS`.
        detections: photograph → x1 y1 x2 y2 score, shape ``(N, 5)``.
        seconds: of each photograph, from its pixels to the faces.
        network_seconds: of each photograph, the network alone; empty where that cannot be told.
    """

    detector: str
    kind: str
    detections: dict[str, np.ndarray] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    network_seconds: list[float] = field(default_factory=list)


def photographs(root: str | Path, names: Iterable[str]) -> dict[str, Path]:
    """Where the image of each name lies: below ``root``, or below its ``WIDER_*/images``.

    Raises:
        InputError: one is not there.
    """
    folders = [Path(root), *sorted(Path(root).glob('WIDER_*/images'))]
    places = {name: next((path for path in (f / name for f in folders) if path.is_file()), None) for name in names}
    if missing := [name for name, path in places.items() if path is None]:
        raise InputError(
            f'--data-root {root}: {len(missing)} of {len(places)} images are not there ({missing[0]} first): name the '
            'folder that they lie in'
        )
    return places


def spread(names: Sequence[str], count: int | None) -> list[str]:
    """``count`` of the names, evenly spread over them; all without a count.

    Example:
        >>> spread('abcdefgh', 3), spread('ab', 5)
        (['a', 'c', 'f'], ['a', 'b'])
    """
    count = min(count or len(names), len(names))
    return [names[index * len(names) // count] for index in range(count)]


def views(image: np.ndarray, path: str | Path, kinds: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    """A photograph ``(H, W, 3)`` BGR uint8 as each of :data:`KINDS` shows it; the name of its file decides the dark."""
    lights = {'day': image}
    for kind in kinds:
        light, _, method = kind.partition('+')
        if light not in lights:
            lights[light] = darkened(image, path)[0]
        yield kind, Brighten(method).transform({'img': lights[light]})['img'] if method else lights[light]


def compare(
    finders: Mapping[str, Callable], photos: Mapping[str, Path], kinds: Sequence[str], track: Callable = iter
) -> list[Compared]:
    """Run all detectors on one photograph after another, so that all meet the same state of the machine.

    Before, each runs on the first one once, which is not timed.

    Args:
        finders: name → a detector, see :data:`benchmarks.face_finders.FaceFinder`.
        photos: name → file.
        kinds: some of :data:`KINDS`.
        track: shows the progress of a sequence.

    Raises:
        InputError: a photograph cannot be read.
    """
    results = {(kind, name): Compared(name, kind) for kind in kinds for name in finders}
    first = read_photo(str(next(iter(photos.values()))))[0]
    for find in finders.values():
        find(first)
    for photo in track(list(photos)):
        for kind, view in views(read_photo(str(photos[photo]))[0], photos[photo], kinds):
            for name, find in finders.items():
                begun = perf_counter()
                rows, network_seconds = find(view)
                result = results[kind, name]
                result.seconds.append(perf_counter() - begun)
                result.detections[photo] = rows
                if network_seconds is not None:
                    result.network_seconds.append(network_seconds)
    return list(results.values())


def peers_table(results: Sequence[Compared], labels: Mapping[str, LabelledFaces], night: Collection[str] = ()) -> str:
    """A Markdown table: a row for each detector and kind, AP in percent, medians of the milliseconds."""
    rows = []
    for result in results:
        scores = face_scores(labels, result.detections, night)
        times = [milliseconds(median(each)) if each else '-' for each in (result.seconds, result.network_seconds)]
        rows.append((result.detector, result.kind, *(f'{score:.1f}' for score in scores.values()), *times))
    head = ('detector', 'images', *scores, 'ms an image', 'ms of the network')
    return markdown_lines(head, rows)


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
            write_detections(Path(args.out, file), result.detections)
