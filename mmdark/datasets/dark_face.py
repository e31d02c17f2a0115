"""DARK FACE (Yang et al., TIP 2020), photographs of streets at night, read from its own folders without conversion."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from mmdet.datasets.base_det_dataset import BaseDetDataset
from mmdet.registry import DATASETS

from mmdark.datasets.dark_face_annotation import (
    IMAGE_SUFFIXES,
    DarkFaceBox,
    parse_image_list,
    parse_label,
    split_numbers,
)
from mmdark.datasets.label_files import names_in, places_there, read_all, read_text, warn
from mmdark.errors import InputError
from mmdark.places import FARTHEST

_HOW_TO_GET = 'get DARK FACE as flyywh.github.io/CVPRW2019LowLight says'
_SET_ROOT = (
    'name the folder that holds image/ and label/ with data_root in the config, or --cfg-options data_root=FOLDER'
)


@DATASETS.register_module()
class DarkFaceDataset(BaseDetDataset):
    """DARK FACE from the official folders: ``image/1.png`` ... ``image/6000.png`` and ``label/1.txt`` ...

    Boxes are ``x1 y1 x2 y2`` in pixels, taken as written, those beyond the border of the image included (``KeepFaces``
    in a pipeline deals with them). In training, boxes whose width or height is not positive are left out, with one
    warning for all. In ``test_mode`` they stay, because the official protocol counts every labelled face. Boxes that
    are not finite are left out of both.

    Images are not opened here, so ``height`` and ``width`` are not given; ``img_id`` is the image's place in the split
    or list, counted from 0, whatever is left out. That images and labels exist is checked with one directory listing a
    folder (not with ``backend_args``, where files may live elsewhere).

    Args:
        ann_file: a text file that names one image a line, instead of ``split``; relative to ``data_root``. See
            :func:`mmdark.datasets.dark_face_annotation.parse_image_list`.
        split: ``'train'``, ``'val'`` or ``'all'`` of the 6,000 labelled images, see
            :func:`mmdark.datasets.dark_face_annotation.split_numbers`; or ``'folder'``, every image that is there.
        labelled: False reads no labels and gives images without faces: for images that have none, as the official test
            images.
        allow_missing: goes on with what is there, with one warning, where images or labels of the split are not.
        data_prefix: where images (``img``) and labels (``label``) lie below ``data_root``.
        **kwargs: as :class:`mmdet.datasets.BaseDetDataset`; ``filter_cfg=dict(filter_empty_gt=True)`` leaves out images
            without faces, not in ``test_mode``; ``filter_empty_gt=False`` has the training crops cut windows out of
            them, too; without it they take another image instead.

    Raises:
        InputError: a folder, an image or a label is missing, a label or the list is malformed, or nothing is left.
    """

    METAINFO: ClassVar[dict[str, Any]] = {'classes': ('face',), 'palette': [(0, 255, 0)]}

    def __init__(
        self,
        ann_file: str = '',
        *,
        split: str = 'all',
        labelled: bool = True,
        allow_missing: bool = False,
        data_prefix: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        self.split, self.labelled, self.allow_missing = split, labelled, allow_missing
        prefixes = {'img': 'image', 'label': 'label', **(data_prefix or {})}
        super().__init__(ann_file=ann_file, data_prefix=prefixes, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Find the images and read their labels; one dict an image with ``img_id``, ``img_path`` and ``instances``."""
        if self.backend_args is None and self.data_root and not os.path.isdir(self.data_root):
            raise InputError(f'data_root {self.data_root} does not exist: {_SET_ROOT}; {_HOW_TO_GET}')
        names = self._names()
        places = self._places_there(names)
        labels = self._read_labels([names[place] for place in places])
        return [
            {
                'img_id': place,
                'img_path': os.path.join(self.data_prefix['img'], names[place]),
                'instances': [
                    {'bbox': list(box[:4]), 'bbox_label': 0, 'ignore_flag': 0} for box in boxes if self._keeps(box)
                ],
                'keep_empty': not (self.filter_cfg or {}).get('filter_empty_gt', True),
            }
            for place, boxes in zip(places, labels, strict=True)
        ]

    def filter_data(self) -> list[dict]:
        """Apply ``filter_cfg``, except in ``test_mode``."""
        options = dict(self.filter_cfg or {})
        filter_empty = options.pop('filter_empty_gt', False)
        if options:
            raise InputError(
                f'filter_cfg of DarkFaceDataset knows filter_empty_gt, not {", ".join(options)}: take it out'
            )
        if self.test_mode or not filter_empty:
            return self.data_list
        kept = [info for info in self.data_list if info['instances']]
        if not kept:
            raise InputError(f'{self._source()}: no image has a face; take filter_empty_gt out, or name another split')
        return kept

    def _source(self) -> str:
        """How messages name the choice of images."""
        return self.ann_file or f'split {self.split} of {self.data_root or "DARK FACE"}'

    def _names(self) -> list[str]:
        """The file names of the images that are asked for, in order."""
        if self.ann_file:
            return parse_image_list(self._read(self.ann_file, 'list'), self.ann_file)
        if self.split != 'folder':
            return [f'{number}.png' for number in split_numbers(self.split)]
        folder = self.data_prefix['img']
        names = [name for name in names_in(folder) if name.lower().endswith(IMAGE_SUFFIXES)]
        if not names:
            raise InputError(f'{folder} holds no image ({", ".join(IMAGE_SUFFIXES)}): {_SET_ROOT}')
        return sorted(names, key=_by_number)

    def _places_there(self, names: list[str]) -> list[int]:
        """The places of the images that are there, with their labels.

        Raises:
            InputError: some are missing and ``allow_missing`` is False, or all are.
        """
        if self.backend_args is not None:
            return list(range(len(names)))
        folder = self.data_prefix['img']
        images, labels = names_in(folder), names_in(self.data_prefix['label'])
        no_image = {i: os.path.join(folder, name) for i, name in enumerate(names) if name not in images}
        no_label = {
            i: self._label_path(name)
            for i, name in enumerate(names)
            if self.labelled and name in images and _label_of(name) not in labels
        }
        remedy = f'{_SET_ROOT}; {_HOW_TO_GET}'
        return places_there(self._source(), len(names), no_image, no_label, remedy, self.allow_missing)

    def _read_labels(self, names: list[str]) -> list[list[DarkFaceBox]]:
        """The faces of each image, as written.

        Raises:
            InputError: labels are malformed; names the first and says how many there are.
        """
        if not self.labelled:
            return [[] for _ in names]
        paths = [self._label_path(name) for name in names]
        labels = read_all(paths, lambda path: parse_label(self._read(path, 'label'), path))
        dropped = [
            f'{path}:{box.line}'
            for path, boxes in zip(paths, labels, strict=True)
            for box in boxes
            if not self._keeps(box)
        ]
        if dropped:
            reason = 'not finite' if self.test_mode else 'width or height zero, negative or not finite'
            warn(f'{dropped[0]}: {len(dropped)} box(es) that cannot be used ({reason}) left out, the first here')
        return labels

    def _keeps(self, box: DarkFaceBox) -> bool:
        """Whether a labelled box is one to train on or to be scored by."""
        has_size = box.right > box.left and box.bottom > box.top
        return sum(map(abs, box[:4])) < FARTHEST and (self.test_mode or has_size)

    def _label_path(self, name: str) -> str:
        return os.path.join(self.data_prefix['label'], _label_of(name))

    def _read(self, path: str, what: str) -> str:
        """The text of a file."""
        return read_text(path, what, _SET_ROOT, self.backend_args)


def _label_of(name: str) -> str:
    """The name of an image's label.

    Example:
        >>> _label_of('17.png')
        '17.txt'
    """
    return f'{os.path.splitext(name)[0]}.txt'


def _by_number(name: str) -> tuple[bool, int, str]:
    """Sorts ``2.png`` before ``10.png``, and names that are no numbers last."""
    stem = os.path.splitext(name)[0]
    number = stem.isascii() and stem.isdigit()
    return not number, int(stem) if number else 0, name
