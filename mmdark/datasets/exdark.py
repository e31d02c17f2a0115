"""ExDark (Loh and Chan, CVIU 2019): 7,363 low-light photographs with objects of 12 classes."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS

from mmdark.datasets.exdark_annotation import (
    CLASSES,
    COCO_NAMES,
    SPLITS,
    ExDarkBox,
    ExDarkImage,
    parse_exdark_label,
    parse_exdark_list,
)
from mmdark.datasets.exdark_files import find_images, find_labels
from mmdark.datasets.image_files import image_size
from mmdark.datasets.label_files import has_size, present_places, read_all, warn, warn_left_out
from mmdark.datasets.text_labels import TextLabelDataset, instance_of
from mmdark.errors import InputError


@DATASETS.register_module()
class ExDarkDataset(TextLabelDataset):
    """ExDark from the official folders: ``ExDark/Bicycle/2015_00001.png``, ``ExDark_Annno/Bicycle/2015_00001.png.txt``.

    Copies without the twelve class folders and labels named ``2015_00001.txt`` are also supported. The case of file
    names and the suffixes of images are ignored, because some copies have changed them.

    Boxes are read from the labels (left, top, width and height in pixels) and not clipped to the image; ``KeepFaces``
    can clip them. Boxes without a positive size or wholly outside their image are left out, with one warning. Checking
    this reads the image headers, which also gives ``height`` and ``width``; with ``backend_args`` the headers are not
    read. ``img_id`` is the index of the image in ``ann_file``, independent of the split. ``light``
    (``'Low'`` ... ``'Twilight'``) and ``place`` (``'Indoor'``, ``'Outdoor'``) come from the official list. Add them to
    the ``meta_keys`` of the pipeline for ``ExDarkMetric`` to report AP by light or place.

    Args:
        ann_file: the official list of images or a subset of its rows, relative to ``data_root``.
        split: ``'train'`` (3,000 images), ``'val'`` (1,800) or ``'test'`` (2,563) of the list; or ``'all'``.
        coco_classes: map the classes to COCO's 80 (Motorbike to motorcycle, People to person, Table to dining table),
            to test a detector trained on COCO without changes.
        allow_missing: skip missing images and labels with one warning instead of raising an error.
        data_prefix: folders of images (``img``) and labels (``label``) below ``data_root``.
        metainfo: ``dict(classes=...)`` selects and orders the classes by their ExDark or COCO names; objects of other
            classes are left out.
        **kwargs: as :class:`mmdet.datasets.BaseDetDataset`. ``filter_cfg=dict(filter_empty_gt=True)`` drops images
            without objects, except in ``test_mode``.

    Raises:
        InputError: a folder, an image or a label is missing, a label or the list is malformed, or no image is left.
    """

    remedy: ClassVar[str] = (
        'name the folder that holds imageclasslist.txt, ExDark/ and ExDark_Annno/ with data_root in the config, or '
        '--cfg-options data_root=FOLDER; get ExDark from github.com/cs-chan/Exclusively-Dark-Image-Dataset'
    )
    METAINFO: ClassVar[dict[str, Any]] = {'classes': CLASSES, 'palette': CocoDataset.METAINFO['palette'][:12]}

    def __init__(
        self,
        ann_file: str = 'imageclasslist.txt',
        *,
        split: str = 'all',
        coco_classes: bool = False,
        allow_missing: bool = False,
        data_prefix: dict[str, str] | None = None,
        metainfo: dict | None = None,
        **kwargs: Any,
    ) -> None:
        if split not in (*SPLITS, 'all'):
            raise InputError(f'split of ExDark is {split!r}: choose one of {", ".join(SPLITS)}, all')
        self.split, self.allow_missing = split, allow_missing
        metainfo = {**(CocoDataset.METAINFO if coco_classes else {}), **(metainfo or {})}
        prefixes = {'img': 'ExDark', 'label': 'ExDark_Annno', **(data_prefix or {})}
        super().__init__(ann_file=ann_file, data_prefix=prefixes, metainfo=metainfo, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Find the images of the split and read their labels into one dict per image."""
        images = parse_exdark_list(self.read(self.ann_file, 'list'), self.ann_file)
        ids = [place for place, image in enumerate(images) if self.split in ('all', image.split)]
        if not ids:
            raise InputError(f'{self.source()} holds no image: take the official imageclasslist.txt, or another split')
        chosen = [images[place] for place in ids]
        listed = self.backend_args is None
        paths, no_image = find_images(chosen, self.data_prefix['img'], listed)
        label_paths, no_label = find_labels(chosen, self.data_prefix['label'], listed)
        no_label = {place: path for place, path in no_label.items() if place not in no_image}
        places = present_places(self.source(), len(ids), no_image, no_label, self.remedy, self.allow_missing)
        labels = read_all(
            (label_paths[place] for place in places), lambda path: parse_exdark_label(self.read(path, 'label'), path)
        )
        infos, outside = [], []
        for place, boxes in zip(places, labels, strict=True):
            size = image_size(paths[place]) if listed else None
            kept = [box for box in boxes if _is_inside(box, size)]
            outside += [f'{label_paths[place]}:{box.line}' for box in boxes if box not in kept]
            infos.append(self._info(ids[place], chosen[place], paths[place], size, kept))
        warn_left_out(outside, 'without a size or outside their image')
        if empty := [label_paths[place] for place, boxes in zip(places, labels, strict=True) if not boxes]:
            warn(f'{empty[0]}: {len(empty)} label(s) without an object, the first here; detections there are false')
        return infos

    def source(self) -> str:
        """Description of the selected images, for messages."""
        return f'split {self.split} of {self.ann_file}'

    def _info(
        self, img_id: int, image: ExDarkImage, path: str, size: tuple[int, int] | None, boxes: list[ExDarkBox]
    ) -> dict:
        label_of = {name: label for label, name in enumerate(self.metainfo['classes'])}
        labels = [label_of.get(box.class_name, label_of.get(COCO_NAMES[box.class_name])) for box in boxes]
        return {
            'img_id': img_id,
            'img_path': path,
            **({} if size is None else {'width': size[0], 'height': size[1]}),
            'light': image.light,
            'place': image.place,
            'instances': [
                instance_of(box.corners, label) for box, label in zip(boxes, labels, strict=True) if label is not None
            ],
            'keep_empty': self.keep_empty,
        }


def _is_inside(box: ExDarkBox, size: tuple[int, int] | None) -> bool:
    """Whether the box has a size and overlaps the image; ``size`` is (width, height), None if unknown."""
    left, top, right, bottom = box.corners
    width, height = size or (math.inf, math.inf)
    return has_size(box.corners) and left < width and top < height and right > 0 and bottom > 0
