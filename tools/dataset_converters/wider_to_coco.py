"""A WIDER FACE annotation as a COCO file.

    python tools/dataset_converters/wider_to_coco.py data/wider/wider_face_split/wider_face_val_bbx_gt.txt \
        --images data/wider/WIDER_val/images --out data/wider/annotations/val.json

Reads the official format and the one-line lists. Sizes come from the images' headers. A face that the official file
calls invalid becomes ``iscrowd=1``, which pycocotools and mmdet ignore; a box without a size is left out.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from mmdark.apis import run_or_explain
from mmdark.converters.coco_document import coco_document, wider_to_images
from mmdark.datasets.label_files import read_text
from mmdark.datasets.wider_annotation import parse_wider_annotation
from mmdark.errors import InputError
from mmdark.whole_file import write_whole


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description='A WIDER FACE annotation as a COCO file.')
    parser.add_argument('annotation', type=Path, help='*_bbx_gt.txt, or a one-line list')
    parser.add_argument('--images', type=Path, required=True, help='folder of the images; file_name is relative to it')
    parser.add_argument('--out', type=Path, required=True, help='COCO file to write')
    return parser.parse_args()


def main() -> None:
    """Convert, and print the counts."""
    args = parse_args()
    if not args.images.is_dir():
        raise InputError(f'--images {args.images} is not a folder: name the one that the image names start from')
    text = read_text(str(args.annotation), 'annotation', 'name a *_bbx_gt.txt')
    records = parse_wider_annotation(text, str(args.annotation))
    document, dropped = coco_document(wider_to_images(records, args.images, str(args.annotation)))
    write_whole(args.out, json.dumps(document).encode())
    ignored = sum(annotation['iscrowd'] for annotation in document['annotations'])
    print(
        f'{args.out}: {len(document["images"])} images, {len(document["annotations"])} faces, {ignored} of them '
        f'ignored (invalid); {dropped} boxes without a size left out'
    )


if __name__ == '__main__':
    run_or_explain(main)
