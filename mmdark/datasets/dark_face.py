"""DARK FACE (Yang et al., TIP 2020): photographs of streets at night, read from the official folders."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from mmdet.registry import DATASETS

from mmdark.datasets.dark_face_annotation import (
    IMAGE_SUFFIXES,
    DarkFaceBox,
    parse_image_list,
    parse_label,
    split_numbers,
)
from mmdark.datasets.label_files import has_size, names_in, present_places, read_all, warn_left_out
from mmdark.datasets.text_labels import TextLabelDataset, instance_of
from mmdark.errors import InputError
from mmdark.places import is_place


@DATASETS.register_module()
class DarkFaceDataset(TextLabelDataset):
    """DARK FACE from the official folders: ``image/1.png`` ... ``image/6000.png`` and ``label/1.txt`` ...

    Boxes are ``x1 y1 x2 y2`` in pixels as in the labels and are not clipped to the image; ``KeepFaces`` can clip them.
    In training, boxes whose width or height is not positive are left out with one warning; ``test_mode`` keeps them,
    because the official protocol counts every labelled face. Boxes that are not finite are always left out.

    Images are not opened, so ``height`` and ``width`` are not given. ``img_id`` is the index of the image in the split
    or list, counted from 0, before any image is left out. The data set checks that images and labels exist, except with
    ``backend_args``, because the files may be remote.

    Args:
        ann_file: a text file that names one image per line, instead of ``split``; relative to ``data_root``. See
            :func:`mmdark.datasets.dark_face_annotation.parse_image_list`.
        split: ``'train'``, ``'val'`` or ``'all'`` of the 6,000 labelled images, see
            :func:`mmdark.datasets.dark_face_annotation.split_numbers`; or ``'folder'``, all images in the folder.
        labelled: whether to read labels; if False, images have no faces, for the official test images.
        allow_missing: skip missing images and labels with one warning instead of raising an error.
        data_prefix: folders of images (``img``) and labels (``label``) below ``data_root``.
        **kwargs: as :class:`mmdet.datasets.BaseDetDataset`; ``filter_cfg=dict(filter_empty_gt=True)`` drops images
            without faces, except in ``test_mode``. With ``filter_empty_gt=False``, images without faces are also
            cropped for training.

    Raises:
        InputError: a folder, an image or a label is missing, a label or the list is malformed, or no image is left.
    """

    remedy: ClassVar[str] = (
        'name the folder that holds image/ and label/ with data_root in the config, or --cfg-options data_root=FOLDER; '
        'get DARK FACE as flyywh.github.io/CVPRW2019LowLight says'
    )

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
        """Read the labels; one dict per image with ``img_id``, ``img_path``, ``instances`` and ``keep_empty``."""
        self.check_root()
        names = self._names()
        places = self._present(names)
        labels = self._read_labels([names[place] for place in places])
        return [
            {
                'img_id': place,
                'img_path': os.path.join(self.data_prefix['img'], names[place]),
                'instances': [instance_of(box[:4]) for box in boxes if self._is_used(box)],
                'keep_empty': self.keep_empty,
            }
            for place, boxes in zip(places, labels, strict=True)
        ]

    def source(self) -> str:
        """Description of the selected images, for messages."""
        return self.ann_file or f'split {self.split} of {self.data_root or "DARK FACE"}'

    def _names(self) -> list[str]:
        if self.ann_file:
            return parse_image_list(self.read(self.ann_file, 'list'), self.ann_file)
        if self.split != 'folder':
            return [f'{number}.png' for number in split_numbers(self.split)]
        folder = self.data_prefix['img']
        names = [name for name in names_in(folder) if name.lower().endswith(IMAGE_SUFFIXES)]
        if not names:
            raise InputError(f'{folder} holds no image ({", ".join(IMAGE_SUFFIXES)}): {self.remedy}')
        return sorted(names, key=_by_number)

    def _present(self, names: list[str]) -> list[int]:
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
        return present_places(self.source(), len(names), no_image, no_label, self.remedy, self.allow_missing)

    def _read_labels(self, names: list[str]) -> list[list[DarkFaceBox]]:
        if not self.labelled:
            return [[] for _ in names]
        paths = [self._label_path(name) for name in names]
        labels = read_all(paths, lambda path: parse_label(self.read(path, 'label'), path))
        pairs = ((path, box) for path, boxes in zip(paths, labels, strict=True) for box in boxes)
        unused = [f'{path}:{box.line}' for path, box in pairs if not self._is_used(box)]
        reason = 'not finite' if self.test_mode else 'width or height zero, negative or not finite'
        warn_left_out(unused, f'that cannot be used ({reason})')
        return labels

    def _is_used(self, box: DarkFaceBox) -> bool:
        return all(map(is_place, box[:4])) if self.test_mode else has_size(box[:4])

    def _label_path(self, name: str) -> str:
        return os.path.join(self.data_prefix['label'], _label_of(name))


def _label_of(name: str) -> str:
    """``17.png`` → ``17.txt``."""
    return f'{os.path.splitext(name)[0]}.txt'


def _by_number(name: str) -> tuple[bool, int, str]:
    """Sort key: ``2.png`` comes before ``10.png``, and names that are not numbers come last."""
    stem = os.path.splitext(name)[0]
    number = stem.isascii() and stem.isdigit()
    return not number, int(stem) if number else 0, name
