"""mmdet's ``XMLDataset`` for files as tools write them."""

from __future__ import annotations

import os

import mmengine.fileio as fileio
from mmdet.datasets import XMLDataset
from mmdet.registry import DATASETS

from mmdark.datasets.face_formats import image_size
from mmdark.datasets.label_files import read_all, read_text, warn
from mmdark.datasets.voc_annotation import VocImage, VocObject, parse_voc, parse_voc_list
from mmdark.errors import InputError, shown
from mmdark.file_limits import refuse_endless

_SET_LIST = (
    'ann_file names a list such as ImageSets/Main/train.txt below data_root, with the name of one image a line, '
    'without folder and suffix'
)


@DATASETS.register_module()
class CheckedVocDataset(XMLDataset):
    """``XMLDataset`` that says in one line which file is wrong, and how to mend it.

    Lists may have the flags of VOC's classes, and files may lack a size, which the image's header then gives; see
    :mod:`mmdark.datasets.voc_annotation`. Corners become whole pixels counted from 0, cut as mmdet cuts them. Boxes
    without a size are left out, with one warning for all.

    Args:
        *args: as :class:`mmdet.datasets.XMLDataset`.
        **kwargs: likewise.

    Raises:
        InputError: the list or a file is missing or malformed, or no object has a name of ``metainfo['classes']``.
    """

    def load_data_list(self) -> list[dict]:
        """Read the list and its files; one dict an image as by mmdet."""
        self.cat2label = {name: label for label, name in enumerate(self.metainfo['classes'])}
        text = read_text(self.ann_file, 'list', _SET_LIST, self.backend_args)
        names = parse_voc_list(text, self.ann_file, lambda name: os.path.isfile(self._xml_path(name)))
        paths = [self._xml_path(name) for name in names]
        images = read_all(paths, self._read)
        self._check_names(images)
        infos, lost = [], []
        for name, path, image in zip(names, paths, images, strict=True):
            wanted = [one for one in image.objects if one.name in self.cat2label]
            instances = [one for one in map(self._instance, wanted) if _has_size(one['bbox'])]
            lost += [path] * (len(wanted) - len(instances))
            infos.append(self._info(name, path, image.size, instances))
        if lost:
            warn(f'{lost[0]}: {len(lost)} box(es) without a width or height left out, the first here')
        return infos

    def _xml_path(self, name: str) -> str:
        return os.path.join(self.sub_data_root, self.ann_subdir, f'{name}.xml')

    def _read(self, path: str) -> VocImage:
        try:
            refuse_endless(path)
            content = fileio.get(path, backend_args=self.backend_args)
        except (OSError, ValueError) as error:  # the latter of a NUL in a name
            reason = getattr(error, 'strerror', None) or error
            raise InputError(f'annotation {path} cannot be read ({reason}): {_SET_LIST}') from None
        return parse_voc(content, path)

    def _check_names(self, images: list[VocImage]) -> None:
        """Raise where there are objects, but none of a known class."""
        names = {one.name for image in images for one in image.objects}
        if names and not names & self.cat2label.keys():
            raise InputError(
                f'{self.ann_file}: the objects are called {shown(", ".join(sorted(names)))}, none is '
                f'{shown(", ".join(self.cat2label))}: write metainfo=dict(classes=...) into the config, letter by '
                'letter'
            )

    def _info(self, name: str, path: str, size: tuple[int, int] | None, instances: list[dict]) -> dict:
        """What mmdet is told of an image."""
        img_path = os.path.join(self.sub_data_root, self.img_subdir, f'{name}.jpg')
        width, height = size or image_size(img_path)
        info = {'img_id': name, 'img_path': img_path, 'xml_path': path, 'width': width, 'height': height}
        return {**info, 'instances': instances}

    def _instance(self, one: VocObject) -> dict:
        """An object as mmdet knows it; where ``bbox_min_size`` is set, smaller ones are ignored."""
        left, top, right, bottom = (int(value) - 1 for value in one[1:5])
        smallest = self.bbox_min_size or 0
        is_small = right - left < smallest or bottom - top < smallest
        return {
            'bbox': [left, top, right, bottom],
            'bbox_label': self.cat2label[one.name],
            'ignore_flag': int(one.difficult or is_small),
        }


def _has_size(box: list[int]) -> bool:
    """Whether x1 y1 x2 y2 end after they start."""
    return box[0] < box[2] and box[1] < box[3]
