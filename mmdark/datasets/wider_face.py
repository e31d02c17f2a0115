"""WIDER FACE (Yang et al., CVPR 2016) read from its own text annotation, without conversion."""

import logging
import os
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, ClassVar

from mmdet.datasets.base_det_dataset import BaseDetDataset
from mmdet.registry import DATASETS
from mmengine.logging import print_log

from mmdark.datasets.label_files import names_in
from mmdark.datasets.wider_annotation import ATTRIBUTES, WiderFace, WiderImage, parse_wider_annotation
from mmdark.errors import InputError
from mmdark.places import FARTHEST

_HOW_TO_GET = (
    'download WIDER FACE from shuoyang1213.me/WIDERFACE and name its folder with data_root in the config or on the '
    'command line of tools/train.py and tools/test.py, --cfg-options data_root=FOLDER'
)


@DATASETS.register_module()
class WiderDataset(BaseDetDataset):
    """WIDER FACE from ``wider_face_*_bbx_gt.txt`` or from the one-line lists of DSFD and DAI-Net.

    The format is told by the file's content, see :mod:`mmdark.datasets.wider_annotation`. (mmdet's own
    ``WIDERFaceDataset`` reads a conversion to VOC XML.) ``x y w h`` becomes ``x y x+w y+h``.

    An image's name is relative to ``data_prefix['img']``. Leading folders that the name shares with the end of that
    prefix are not repeated: ``WIDER_val/images/0--Parade/a.jpg`` and ``0--Parade/a.jpg`` mean the same file when the
    prefix is ``WIDER_val/images``. An absolute name stands for itself.

    Images are not opened here, so ``height`` and ``width`` are not given; ``img_id`` is the image's place in the file,
    or among those that ``only`` names, counted from 0 before any filter. That each image exists is checked with one
    directory listing a folder (not with ``backend_args``, where files may live elsewhere).

    Boxes whose width or height is not positive, or that are not finite, are dropped with one warning. Faces that the
    official file calls invalid stay faces, as in the published lists, which have no such flag.

    Args:
        *args: as :class:`mmdet.datasets.BaseDetDataset`.
        only: a text file with an image's name a line, ``0--Parade/a.jpg``: all other images are left out. The suffix
            does not matter, so the file serves a dark copy as PNG, too.
        ignore_invalid: marks the faces that the official file calls invalid with ``ignore_flag=1`` instead, so that
            they end up among the ``ignored_instances``.
        **kwargs: as :class:`mmdet.datasets.BaseDetDataset`; ``filter_cfg=dict(filter_empty_gt=True)`` leaves out images
            without faces, ``min_face=40`` those with a face whose shorter side is below 40 px; not in ``test_mode``.
            ``filter_empty_gt=False`` has the training crops cut windows out of images without faces, too; without it
            they take another image instead.

    Raises:
        InputError: a folder, the annotation, an image or the file of names is missing, the annotation is malformed, or
            it does not know one of the names.
    """

    METAINFO: ClassVar[dict[str, Any]] = {'classes': ('face',), 'palette': [(0, 255, 0)]}

    def __init__(self, *args: Any, only: str | None = None, ignore_invalid: bool = False, **kwargs: Any) -> None:
        self.only = only
        self.ignore_invalid = ignore_invalid
        super().__init__(*args, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read ``ann_file``; one dict an image with ``img_id``, ``img_path`` and ``instances``."""
        images = self._wanted(parse_wider_annotation(self._read_annotation(), self.ann_file))
        paths = list(self._image_paths(images))
        if self.backend_args is None:
            self._check_images(images, paths)
        self._warn_dropped(images)
        keep_empty = not (self.filter_cfg or {}).get('filter_empty_gt', True)
        return [
            {'img_id': index, 'img_path': path, 'instances': self._instances(image.faces), 'keep_empty': keep_empty}
            for index, (image, path) in enumerate(zip(images, paths, strict=True))
        ]

    def filter_data(self) -> list[dict]:
        """Apply ``filter_cfg``, except in ``test_mode``."""
        options = dict(self.filter_cfg or {})
        filter_empty, min_face = options.pop('filter_empty_gt', False), options.pop('min_face', 0)
        if options:
            raise InputError(
                f'filter_cfg of WiderDataset knows filter_empty_gt and min_face, not {", ".join(options)}: take it out'
            )
        if self.test_mode:
            return self.data_list
        kept = [
            info
            for info in self.data_list
            if (not filter_empty or any(not face['ignore_flag'] for face in info['instances']))
            and all(_smaller_side(face) >= min_face for face in info['instances'])
        ]
        if not kept:
            raise InputError(f'{self.ann_file}: filter_cfg leaves no image; ask for less, or name another ann_file')
        return kept

    def _read_annotation(self) -> str:
        """The text of ``ann_file``, after the folders have been found."""
        if self.backend_args is None and self.data_root and not os.path.isdir(self.data_root):
            raise InputError(f'data_root {self.data_root} does not exist: {_HOW_TO_GET}')
        try:
            with open(self.ann_file, encoding='utf-8-sig') as file:
                return file.read()
        except UnicodeDecodeError:
            raise InputError(f'{self.ann_file} is not a text file: ann_file should name a *_bbx_gt.txt') from None
        except OSError as error:
            reason = error.strerror or error
            raise InputError(f'annotation {self.ann_file!r} cannot be read ({reason}): {_HOW_TO_GET}') from None

    def _wanted(self, images: list[WiderImage]) -> list[WiderImage]:
        """The images that ``only`` names; all of them without it."""
        if self.only is None:
            return images
        try:
            with open(self.only, encoding='utf-8-sig') as file:
                names = {_in_event(line.strip()) for line in file if line.strip()}
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, 'strerror', None) or 'not a text file'
            raise InputError(
                f"only={self.only!r} cannot be read ({reason}): name a text file with an image's name a line"
            ) from None
        wanted = [image for image in images if _in_event(image.name) in names]
        if unknown := sorted(names - {_in_event(image.name) for image in wanted}):
            raise InputError(
                f'{self.only}: {len(unknown)} of {len(names)} images ({unknown[0]} first) are not in {self.ann_file}: '
                'take them out, or name the annotation that they are in'
            )
        return wanted

    def _image_paths(self, images: list[WiderImage]) -> Iterator[str]:
        """Where each image should lie, by the rule in the class's docstring."""
        prefix = self.data_prefix.get('img', self.data_root) or ''
        folders: dict[str, str] = {}
        for image in images:
            folder, name = os.path.split(image.name)
            if folder not in folders:
                folders[folder] = _join_once(prefix, folder)
            yield os.path.join(folders[folder], name)

    def _check_images(self, images: list[WiderImage], paths: list[str]) -> None:
        """Raise where images are missing; lists each folder once."""
        listings: dict[str, set[str]] = {}
        missing = []
        for image, path in zip(images, paths, strict=True):
            folder, name = os.path.split(path)
            if folder not in listings:
                listings[folder] = names_in(folder)
            if name not in listings[folder]:
                missing.append((image, path))
        if missing:
            image, path = missing[0]
            raise InputError(
                f'{self.ann_file}:{image.line}: image {image.name[:60]} is not there: looked for {path} '
                f'({len(missing)} of {len(images)} images are missing); set data_root and data_prefix to where the '
                'images lie, or take the missing ones out of the annotation'
            )

    def _warn_dropped(self, images: list[WiderImage]) -> None:
        """One line for all the boxes that cannot be trained on."""
        dropped = [face.line for image in images for face in image.faces if not _has_size(face)]
        if dropped:
            print_log(
                f'{self.ann_file}:{dropped[0]}: {len(dropped)} box(es) without a size (width or height zero, negative '
                'or not finite) dropped, the first here',
                logger='current',
                level=logging.WARNING,
            )

    def _instances(self, faces: list[WiderFace]) -> list[dict]:
        """The faces that have a size, as mmdet's instances."""
        return [
            {
                'bbox': [face.x, face.y, face.x + face.width, face.y + face.height],
                'bbox_label': 0,
                'ignore_flag': int(self.ignore_invalid and face.invalid),
                'attributes': dict(zip(ATTRIBUTES, face.attributes, strict=False)),
            }
            for face in faces
            if _has_size(face)
        ]


def _has_size(face: WiderFace) -> bool:
    """Whether the box lies in an image's pixels, and its width and height are positive."""
    return face.width > 0 and face.height > 0 and sum(map(abs, face[:4])) < FARTHEST


def _join_once(prefix: str, folder: str) -> str:
    """Join, without repeating the folders that end ``prefix`` and begin ``folder``.

    Example:
        >>> _join_once('data/WIDER_val/images', 'WIDER_val/images/0--Parade')
        'data/WIDER_val/images/0--Parade'
    """
    ends, begins = PurePosixPath(prefix).parts, PurePosixPath(folder).parts
    for shared in range(min(len(ends), len(begins)), 0, -1):
        if ends[-shared:] == begins[:shared]:
            return os.path.join(prefix, *begins[shared:])
    return os.path.join(prefix, folder)


def _smaller_side(face: dict) -> float:
    """The shorter side of an instance's box, pixels."""
    left, top, right, bottom = face['bbox']
    return min(right - left, bottom - top)


def _in_event(name: str) -> str:
    """``event/image`` of a name with any folders before and any suffix."""
    return '/'.join(PurePosixPath(name).with_suffix('').parts[-2:])
