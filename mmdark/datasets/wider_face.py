"""WIDER FACE (Yang et al., CVPR 2016), read from its official text annotation."""

from __future__ import annotations

import os
from pathlib import PurePosixPath
from typing import Any, ClassVar

from mmdet.registry import DATASETS

from mmdark.datasets.label_files import has_size, join_once, lines_of, names_in, read_text, warn_left_out
from mmdark.datasets.text_labels import TextLabelDataset, instance_of
from mmdark.datasets.wider_annotation import ATTRIBUTES, WiderFace, WiderImage, parse_wider_annotation
from mmdark.errors import InputError


@DATASETS.register_module()
class WiderDataset(TextLabelDataset):
    """WIDER FACE from ``wider_face_*_bbx_gt.txt`` or from the one-line lists of DSFD and DAI-Net.

    The format is detected from the content, see :mod:`mmdark.datasets.wider_annotation`. (mmdet's ``WIDERFaceDataset``
    reads a conversion to VOC XML.)

    Image names are relative to ``data_prefix['img']``. Leading folders that repeat the end of this prefix are
    dropped: ``WIDER_val/images/0--Parade/a.jpg`` and ``0--Parade/a.jpg`` are the same file when the prefix is
    ``WIDER_val/images``.

    Images are not opened, so ``height`` and ``width`` are not given. ``img_id`` is the index of the image in the file,
    or among the images selected by ``only``, counted from 0 before any filter. The data set checks that each image
    exists, except with ``backend_args``, because the files may be remote.

    Boxes that are not finite, or whose width or height is not positive, are left out with one warning. Faces marked as
    invalid are used as normal faces by default, as in the published lists, which do not have this flag.

    Args:
        *args: as :class:`mmdet.datasets.BaseDetDataset`.
        only: a text file with one image name per line, ``0--Parade/a.jpg``; all other images are left out. Suffixes are
            ignored, so the file can also be used for a dark copy as PNG.
        ignore_invalid: set ``ignore_flag=1`` for faces that the official file marks as invalid.
        **kwargs: as :class:`mmdet.datasets.BaseDetDataset`; ``filter_cfg=dict(filter_empty_gt=True)`` drops images
            without faces, ``min_face=40`` images with a face whose shorter side is below 40 px; both are not applied in
            ``test_mode``. With ``filter_empty_gt=False``, images without faces are also cropped for training.

    Raises:
        InputError: a folder, the annotation, an image or the file of names is missing, the annotation is malformed, or
            a name of ``only`` is not in it.
    """

    filters: ClassVar[tuple[str, ...]] = ('filter_empty_gt', 'min_face')
    remedy: ClassVar[str] = (
        'download WIDER FACE from shuoyang1213.me/WIDERFACE and name its folder with data_root in the config or on the '
        'command line of tools/train.py and tools/test.py, --cfg-options data_root=FOLDER'
    )

    def __init__(self, *args: Any, only: str | None = None, ignore_invalid: bool = False, **kwargs: Any) -> None:
        self.only, self.ignore_invalid = only, ignore_invalid
        super().__init__(*args, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read ``ann_file``; one dict per image with ``img_id``, ``img_path``, ``instances`` and ``keep_empty``."""
        self.check_root()
        images = self._wanted(parse_wider_annotation(self.read(self.ann_file, 'annotation'), self.ann_file))
        prefix = self.data_prefix.get('img', self.data_root) or ''
        paths = [join_once(prefix, image.name) for image in images]
        if self.backend_args is None:
            self._check_images(images, paths)
        dropped = [face.line for image in images for face in image.faces if not has_size(face.corners)]
        reason = 'without a size (width or height zero, negative or not finite)'
        warn_left_out([f'{self.ann_file}:{line}' for line in dropped], reason)
        return [
            {
                'img_id': place,
                'img_path': path,
                'instances': [self._instance(face) for face in image.faces if has_size(face.corners)],
                'keep_empty': self.keep_empty,
            }
            for place, (image, path) in enumerate(zip(images, paths, strict=True))
        ]

    def keeps(self, info: dict, filter_empty_gt: bool = False, min_face: float = 0) -> bool:
        """Whether an image is used for training."""
        boxes = (instance['bbox'] for instance in info['instances'])
        large = all(min(right - left, bottom - top) >= min_face for left, top, right, bottom in boxes)
        return large and super().keeps(info, filter_empty_gt)

    def _instance(self, face: WiderFace) -> dict:
        attributes = dict(zip(ATTRIBUTES, face.attributes, strict=False))
        return {**instance_of(face.corners, ignored=self.ignore_invalid and face.invalid), 'attributes': attributes}

    def _wanted(self, images: list[WiderImage]) -> list[WiderImage]:
        if self.only is None:
            return images
        text = read_text(self.only, 'only', 'name a text file with one image name per line')
        names = {_event_and_stem(line) for _, line in lines_of(text)}
        wanted = [image for image in images if _event_and_stem(image.name) in names]
        if unknown := sorted(names - {_event_and_stem(image.name) for image in wanted}):
            raise InputError(
                f'{self.only}: {len(unknown)} of {len(names)} images ({unknown[0]} first) are not in {self.ann_file}: '
                'take them out, or name the annotation that holds them'
            )
        return wanted

    def _check_images(self, images: list[WiderImage], paths: list[str]) -> None:
        """Raise if images are missing; each folder is listed only once, which is fast on network drives."""
        listings = {folder: names_in(folder) for folder in {os.path.dirname(path) for path in paths}}
        missing = [
            (image, path)
            for image, path in zip(images, paths, strict=True)
            if os.path.basename(path) not in listings[os.path.dirname(path)]
        ]
        if missing:
            image, path = missing[0]
            raise InputError(
                f'{self.ann_file}:{image.line}: image {image.name[:60]} is not there: looked for {path} '
                f'({len(missing)} of {len(images)} images are missing); set data_root and data_prefix to the folder of '
                'the images, or take the missing ones out of the annotation'
            )


def _event_and_stem(name: str) -> str:
    """The last folder and the file name without suffix, ``event/image``."""
    return '/'.join(PurePosixPath(name).with_suffix('').parts[-2:])
