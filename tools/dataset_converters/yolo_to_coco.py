"""YOLO labels as COCO files, the whole data set at once or one folder.

    python tools/dataset_converters/yolo_to_coco.py data/mine/data.yaml
    python tools/dataset_converters/yolo_to_coco.py data/mine/labels/train --images data/mine/images/train \
        --out data/mine/annotations/train.json

Each part that a ``data.yaml`` names (train, val, test) is written to ``annotations/`` beside it.

The label file of ``a/b.jpg`` is ``a/b.txt``, rows ``class cx cy w h`` in fractions of the image, with a score or
without; an image without a label file has no faces. All images are taken, sorted by name. Sizes come from the images'
headers.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path

from mmdark.apis import run_or_explain
from mmdark.converters.coco_document import coco_document
from mmdark.converters.yolo import read_data_yaml, yolo_to_images
from mmdark.datasets.label_files import lines_of, read_text
from mmdark.errors import InputError, shown
from mmdark.whole_file import write_whole


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description='YOLO labels as COCO files.')
    parser.add_argument('labels', type=Path, help='folder of the label files, or the data.yaml of a whole data set')
    parser.add_argument('--images', type=Path, help='folder of the images; file_name is relative to it')
    parser.add_argument('--out', type=Path, help='COCO file to write; of a data.yaml a folder (default: annotations/)')
    parser.add_argument('--names', type=Path, help='names of the classes, one per line; without it class 0 is face')
    args = parser.parse_args()
    if is_yaml(args.labels) and (args.images or args.names):
        parser.error('a data.yaml names images and classes itself: leave out --images and --names')
    if not is_yaml(args.labels) and not (args.images and args.out):
        parser.error('a folder of labels needs --images and --out; or name the data.yaml of the data set')
    return args


def is_yaml(path: Path) -> bool:
    """Whether the path names a ``data.yaml``, not a folder."""
    return path.suffix.lower() in ('.yaml', '.yml')


def read_names(path: Path) -> list[str]:
    """The names of the classes.

    Raises:
        InputError: the file cannot be read, holds none, or holds one twice.
    """
    names = [line for _, line in lines_of(read_text(str(path), '--names', 'write one name per line'))]
    if not names or len(set(names)) < len(names):
        raise InputError(f'--names {path} should hold one name per line, each once; it holds {shown(names)}')
    return names


def convert(labels: Path, images: Path, names: Sequence[str] | None, out: Path) -> None:
    """Write the COCO file of one folder, and print the counts."""
    annotated, without = yolo_to_images(labels, images, names)
    document, dropped = coco_document(annotated, names or ('face',))
    write_whole(out, json.dumps(document).encode())
    print(
        f'{out}: {len(annotated)} images, {len(document["annotations"])} boxes; {dropped} boxes without a size left '
        f'out; {len(without)} images without a label file' + (f', the first {without[0]}' if without else '')
    )


def convert_all(path: Path, out: Path) -> None:
    """Write the COCO files of a ``data.yaml``, and print how to train on them."""
    parts, names = read_data_yaml(path)
    for part in parts:
        convert(part.labels, part.images, names, out / f'{part.name}.json')
    options = [f'data_root={path.parent}/']
    options += [f'{part.name}_images={os.path.relpath(part.images, path.parent)}' for part in parts[:2]]
    print(f'train on them with configs/own_data/dsfd_dark_coco.py --cfg-options {" ".join(options)}')


def main() -> None:
    """Convert."""
    args = parse_args()
    if is_yaml(args.labels):
        convert_all(args.labels, args.out or args.labels.parent / 'annotations')
        return
    for option, folder in (('LABELS', args.labels), ('--images', args.images)):
        if not folder.is_dir():
            raise InputError(f'{option} {folder} is not a folder: name the one that holds the files')
    convert(args.labels, args.images, read_names(args.names) if args.names else None, args.out)


if __name__ == '__main__':
    run_or_explain(main)
