"""ExDark (Loh and Chan, CVIU 2019), 7,363 photographs in low light with objects of 12 classes, read as it comes."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from mmdet.datasets import CocoDataset
from mmdet.datasets.base_det_dataset import BaseDetDataset
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
from mmdark.datasets.face_formats import image_size
from mmdark.datasets.label_files import places_there, read_all, read_text, warn
from mmdark.errors import InputError
from mmdark.places import is_place

_SET_ROOT = (
    'name the folder that holds imageclasslist.txt, ExDark/ and ExDark_Annno/ with data_root in the config, or '
    '--cfg-options data_root=FOLDER; get ExDark from github.com/cs-chan/Exclusively-Dark-Image-Dataset'
)


@DATASETS.register_module()
class ExDarkDataset(BaseDetDataset):
    """ExDark from the official folders: ``ExDark/Bicycle/2015_00001.png``, ``ExDark_Annno/Bicycle/2015_00001.png.txt``.

    Folders without the twelve of the classes are read, too, and so are labels called ``2015_00001.txt``. Upper and
    lower case of file names do not matter, and neither does the suffix of an image, which some copies have changed.

    Boxes are left, top, width and height in pixels, taken as written, those that reach beyond the border included
    (``KeepFaces`` in a pipeline deals with them). Boxes without a size or wholly outside their image are left out,
    with one warning for all. For this the headers of the images are read, so ``height`` and ``width`` are given (not
    with ``backend_args``). ``img_id`` is the image's place in the list, counted from 0, whatever the split. ``light``
    (``'Low'`` ... ``'Twilight'``) and ``place`` (``'Indoor'``, ``'Outdoor'``) are the words of the official list; name
    them in the ``meta_keys`` of the pipeline, and ``ExDarkMetric`` can report AP by them.

    Args:
        ann_file: the official list of images, relative to ``data_root``, or one with some of its rows.
        split: ``'train'`` (3,000 images), ``'val'`` (1,800) or ``'test'`` (2,563), as the list says; or ``'all'``.
        coco_classes: gives the objects the labels of COCO's 80 classes (Motorbike is COCO's motorcycle, People its
            person, Table its dining table), so that a detector trained on COCO is tested as it is.
        allow_missing: goes on with what is there, with one warning, where images or labels of the split are not.
        data_prefix: where images (``img``) and labels (``label``) lie below ``data_root``.
        **kwargs: as :class:`mmdet.datasets.BaseDetDataset`. ``metainfo=dict(classes=...)`` with names of ExDark or COCO
            chooses and orders the classes; objects of others are left out. ``filter_cfg=dict(filter_empty_gt=True)``
            leaves out images without objects, not in ``test_mode``.

    Raises:
        InputError: a folder, an image or a label is missing, a label or the list is malformed, or nothing is left.
    """

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
        """Find the images of the split and read their labels; one dict an image, as the class's docstring says."""
        images = parse_exdark_list(self._read(self.ann_file, 'list'), self.ann_file)
        ids = [place for place, image in enumerate(images) if self.split in ('all', image.split)]
        if not ids:
            raise InputError(f'{self._source()} holds no image: take the official imageclasslist.txt, or another split')
        chosen = [images[place] for place in ids]
        listed = self.backend_args is None
        paths, no_image = find_images(chosen, self.data_prefix['img'], listed)
        label_paths, no_label = find_labels(chosen, self.data_prefix['label'], listed)
        no_label = {place: path for place, path in no_label.items() if place not in no_image}
        there = places_there(self._source(), len(ids), no_image, no_label, _SET_ROOT, self.allow_missing)
        labels = read_all(
            (label_paths[place] for place in there), lambda path: parse_exdark_label(self._read(path, 'label'), path)
        )
        infos, strange = [], []
        for place, boxes in zip(there, labels, strict=True):
            size = image_size(paths[place]) if listed else None
            kept = [box for box in boxes if _is_inside(box, size)]
            strange += [f'{label_paths[place]}:{box.line}' for box in boxes if not _is_inside(box, size)]
            infos.append(self._info(ids[place], chosen[place], paths[place], size, kept))
        if strange:
            warn(f'{strange[0]}: {len(strange)} box(es) without a size or outside their image left out, the first here')
        if empty := [label_paths[place] for place, boxes in zip(there, labels, strict=True) if not boxes]:
            warn(f'{empty[0]}: {len(empty)} label(s) without an object, the first here; detections there are false')
        return infos

    def filter_data(self) -> list[dict]:
        """Apply ``filter_cfg``, except in ``test_mode``."""
        options = dict(self.filter_cfg or {})
        filter_empty = options.pop('filter_empty_gt', False)
        if options:
            raise InputError(
                f'filter_cfg of ExDarkDataset knows filter_empty_gt, not {", ".join(options)}: take it out'
            )
        if self.test_mode or not filter_empty:
            return self.data_list
        kept = [info for info in self.data_list if info['instances']]
        if not kept:
            raise InputError(
                f'{self._source()}: no image has an object of {", ".join(self.metainfo["classes"][:12])}; name other '
                'classes, or another split'
            )
        return kept

    def _source(self) -> str:
        """How messages name the choice of images."""
        return f'split {self.split} of {self.ann_file}'

    def _read(self, path: str, what: str) -> str:
        return read_text(path, what, _SET_ROOT, self.backend_args)

    def _info(
        self, img_id: int, image: ExDarkImage, path: str, size: tuple[int, int] | None, boxes: list[ExDarkBox]
    ) -> dict:
        """What mmdet is told of an image."""
        label_of = {name: label for label, name in enumerate(self.metainfo['classes'])}
        labels = [label_of.get(box.class_name, label_of.get(COCO_NAMES[box.class_name])) for box in boxes]
        return {
            'img_id': img_id,
            'img_path': path,
            **({} if size is None else {'width': size[0], 'height': size[1]}),
            'light': image.light,
            'place': image.place,
            'instances': [
                {
                    'bbox': [box.left, box.top, box.left + box.width, box.top + box.height],
                    'bbox_label': label,
                    'ignore_flag': 0,
                }
                for box, label in zip(boxes, labels, strict=True)
                if label is not None
            ],
            'keep_empty': not (self.filter_cfg or {}).get('filter_empty_gt', True),
        }


def _is_inside(box: ExDarkBox, size: tuple[int, int] | None) -> bool:
    """Whether the box has a size and reaches into an image of this width and height; None is any."""
    right, bottom = box.left + box.width, box.top + box.height
    width, height = size or (math.inf, math.inf)
    has_size = box.width > 0 and box.height > 0 and all(map(is_place, box[1:5]))
    return has_size and box.left < width and box.top < height and right > 0 and bottom > 0
