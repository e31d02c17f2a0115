"""A split of ExDark as a COCO file.

    python tools/dataset_converters/exdark_to_coco.py data/exdark --split test --out data/exdark/annotations/test.json

Reads the official folders, ``ExDark/``, ``ExDark_Annno/`` and ``imageclasslist.txt``; ``file_name`` is relative to
``ExDark/``. Each image keeps the words of the list in ``light`` and ``place``. With ``--coco-classes`` the categories
are COCO's 80, so that any tool for COCO tests a detector that was trained on it. A box without a size or outside its
image is left out.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from mmdark.apis import run_or_explain
from mmdark.converters.coco_document import AnnotatedBox, AnnotatedImage, coco_document
from mmdark.datasets import ExDarkDataset
from mmdark.datasets.exdark_annotation import SPLITS
from mmdark.errors import InputError
from mmdark.whole_file import write_whole


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description='A split of ExDark as a COCO file.')
    parser.add_argument('data_root', type=Path, help='folder that holds ExDark/, ExDark_Annno/ and imageclasslist.txt')
    parser.add_argument('--split', choices=(*SPLITS, 'all'), default='all', help='by the official list')
    parser.add_argument('--images', default='ExDark', help='folder of the images in DATA_ROOT')
    parser.add_argument('--labels', default='ExDark_Annno', help='folder of the labels in DATA_ROOT')
    parser.add_argument('--coco-classes', action='store_true', help="write COCO's 80 categories")
    parser.add_argument('--allow-missing', action='store_true', help='go on where only some of the images are there')
    parser.add_argument('--out', type=Path, required=True, help='COCO file to write')
    return parser.parse_args()


def document_of(dataset: ExDarkDataset) -> dict:
    """The COCO document of a data set; image ids count from 1 in the order of the list."""
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    images = []
    for info in infos:
        boxes = []
        for instance in info['instances']:
            left, top, right, bottom = instance['bbox']
            boxes.append(AnnotatedBox(left, top, right - left, bottom - top, instance['bbox_label']))
        name = Path(os.path.relpath(info['img_path'], dataset.data_prefix['img'])).as_posix()
        images.append(AnnotatedImage(name, info['width'], info['height'], boxes))
    document, _ = coco_document(images, dataset.metainfo['classes'])
    for entry, info in zip(document['images'], infos, strict=True):
        entry.update(light=info['light'], place=info['place'])
    return document


def main() -> None:
    """Convert, and print the counts."""
    args = parse_args()
    if not args.data_root.is_dir():
        raise InputError(f'DATA_ROOT {args.data_root} is not a folder: name the one that holds imageclasslist.txt')
    dataset = ExDarkDataset(
        data_root=str(args.data_root),
        split=args.split,
        data_prefix=dict(img=args.images, label=args.labels),
        coco_classes=args.coco_classes,
        allow_missing=args.allow_missing,
    )
    document = document_of(dataset)
    write_whole(args.out, json.dumps(document).encode())
    print(f'{args.out}: {len(document["images"])} images, {len(document["annotations"])} objects')


if __name__ == '__main__':
    run_or_explain(main)
