"""YOLO labels as a COCO file.

    python tools/dataset_converters/yolo_to_coco.py data/mine/labels/train --images data/mine/images/train \
        --out data/mine/annotations/train.json

The label file of ``a/b.jpg`` is ``a/b.txt``, rows ``class cx cy w h`` in fractions of the image; an image without a
label file has no faces. All images are taken, in the order of their names. Sizes come from the images' headers.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from mmdark.apis import run_or_explain
from mmdark.datasets.face_formats import coco_document, yolo_to_images
from mmdark.errors import InputError
from mmdark.whole_file import write_whole


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description='YOLO labels as a COCO file.')
    parser.add_argument('labels', type=Path, help='folder of the label files')
    parser.add_argument('--images', type=Path, required=True, help='folder of the images; file_name is relative to it')
    parser.add_argument('--out', type=Path, required=True, help='COCO file to write')
    parser.add_argument('--names', type=Path, help='names of the classes, one a line; without it class 0 is face')
    return parser.parse_args()


def read_names(path: Path | None) -> list[str] | None:
    """The names of the classes.

    Raises:
        InputError: the file cannot be read, holds none, or holds one twice.
    """
    if path is None:
        return None
    try:
        names = [line.strip() for line in path.read_text(encoding='utf-8-sig').splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError):
        raise InputError(f'--names {path} is not a text file that can be read: write one name a line') from None
    if not names or len(set(names)) < len(names):
        raise InputError(f'--names {path} should hold one name a line, each once; it holds {names}')
    return names


def main() -> None:
    """Convert, and say how much it was."""
    args = parse_args()
    for option, folder in (('LABELS', args.labels), ('--images', args.images)):
        if not folder.is_dir():
            raise InputError(f'{option} {folder} is not a folder: name the one that holds the files')
    names = read_names(args.names)
    images, without = yolo_to_images(args.labels, args.images, names)
    document, dropped = coco_document(images, names or ('face',))
    write_whole(args.out, json.dumps(document).encode())
    print(
        f'{args.out}: {len(images)} images, {len(document["annotations"])} boxes; {dropped} boxes without a size left '
        f'out; {len(without)} images without a label file' + (f', the first {without[0]}' if without else '')
    )


if __name__ == '__main__':
    run_or_explain(main)
