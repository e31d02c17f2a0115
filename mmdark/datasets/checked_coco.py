"""mmdet's ``CocoDataset``, with checks for the COCO files of common tools."""

from __future__ import annotations

import os

from mmdet.datasets import CocoDataset
from mmdet.datasets.api_wrappers import COCO
from mmdet.registry import DATASETS

from mmdark.coco_annotation import parse_coco
from mmdark.datasets.image_files import image_size
from mmdark.datasets.label_files import read_text, warn


@DATASETS.register_module()
class CheckedCocoDataset(CocoDataset):
    """``CocoDataset`` that fills in missing values and reports errors of the file in one line.

    Missing areas, sizes of images and, for one class, categories are filled in, see :mod:`mmdark.coco_annotation`.
    Labels follow the order of ``metainfo['classes']``; in mmdet they follow the order of the file. Boxes below 1 pixel
    or outside their image are left out as in mmdet, with one warning.

    Raises:
        InputError: the file is missing or malformed, or contains none of the classes.
    """

    def COCOAPI(self, path: str) -> COCO:
        """The index of ``ann_file``, of which ``path`` is a local copy; ``CocoDataset`` calls it."""
        text = read_text(path, 'annotation', 'name it with ann_file, and its folder with data_root, in the config')
        document, oddities = parse_coco(text, self.ann_file, self.metainfo['classes'], self._size_of)
        for line in oddities:
            warn(line)
        coco = COCO()
        coco.dataset = document
        coco.createIndex()
        coco.img_ann_map, coco.cat_img_map = coco.imgToAnns, coco.catToImgs  # as its __init__ does
        return coco

    def _size_of(self, name: str) -> tuple[int, int]:
        return image_size(os.path.join(self.data_prefix['img'], name))
