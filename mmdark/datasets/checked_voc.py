"""mmdet's ``XMLDataset``, with checks for the VOC files of common tools."""

from __future__ import annotations

import os

from mmdet.datasets import XMLDataset
from mmdet.registry import DATASETS

from mmdark.datasets.image_files import image_size
from mmdark.datasets.label_files import read_all, read_bytes, read_text, warn_left_out
from mmdark.datasets.text_labels import instance_of
from mmdark.datasets.voc_annotation import VocImage, VocObject, parse_voc, parse_voc_list
from mmdark.errors import InputError, shown

_SET_LIST = (
    'ann_file names a list such as ImageSets/Main/train.txt below data_root, with one image name per line, without '
    'folder and suffix'
)


@DATASETS.register_module()
class CheckedVocDataset(XMLDataset):
    """``XMLDataset`` that reports in one line which file is malformed and how to correct it.

    Lists may have the class flags of VOC. If a file has no image size, it is read from the header of the image; see
    :mod:`mmdark.datasets.voc_annotation`. Corners are truncated to integers and counted from 0, as in mmdet. Boxes
    without a size are left out with one warning.

    Raises:
        InputError: the list or a file is missing or malformed, or no object has a name of ``metainfo['classes']``.
    """

    def load_data_list(self) -> list[dict]:
        """Read the list and its files; one dict per image as mmdet's."""
        self.cat2label = {name: label for label, name in enumerate(self.metainfo['classes'])}
        text = read_text(self.ann_file, 'list', _SET_LIST, self.backend_args)
        names = parse_voc_list(text, self.ann_file, lambda name: os.path.isfile(self._xml_path(name)))
        paths = [self._xml_path(name) for name in names]
        images = read_all(paths, self._read)
        self._check_names(images)
        infos, without_size = [], []
        for name, path, image in zip(names, paths, images, strict=True):
            instances = [self._instance(each) for each in image.objects if each.name in self.cat2label]
            kept = [instance for instance in instances if _has_size(instance['bbox'])]
            without_size += [path] * (len(instances) - len(kept))
            img_path = os.path.join(self.sub_data_root, self.img_subdir, f'{name}.jpg')
            width, height = image.size or image_size(img_path)
            info = {'img_id': name, 'img_path': img_path, 'xml_path': path, 'width': width, 'height': height}
            infos.append({**info, 'instances': kept})
        warn_left_out(without_size, 'without a width or height')
        return infos

    def _xml_path(self, name: str) -> str:
        return os.path.join(self.sub_data_root, self.ann_subdir, f'{name}.xml')

    def _read(self, path: str) -> VocImage:
        return parse_voc(read_bytes(path, 'annotation', _SET_LIST, self.backend_args), path)

    def _check_names(self, images: list[VocImage]) -> None:
        names = {each.name for image in images for each in image.objects}
        if names and not names & self.cat2label.keys():
            raise InputError(
                f'{self.ann_file}: the objects are called {shown(", ".join(sorted(names)))}, none is '
                f'{shown(", ".join(self.cat2label))}: write metainfo=dict(classes=...) into the config, letter by '
                'letter'
            )

    def _instance(self, annotated: VocObject) -> dict:
        """An object as mmdet's instance; objects below ``bbox_min_size``, if it is set, are ignored."""
        left, top, right, bottom = (int(value) - 1 for value in annotated[1:5])
        smallest = self.bbox_min_size or 0
        is_small = right - left < smallest or bottom - top < smallest
        return instance_of(
            (left, top, right, bottom), self.cat2label[annotated.name], bool(annotated.difficult or is_small)
        )


def _has_size(box: list[int]) -> bool:
    return box[0] < box[2] and box[1] < box[3]
