"""A box that single precision holds as infinite is left out, and a name with a NUL is the name of no file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mmengine.dataset import BaseDataset

from mmdark.converters.coco_document import AnnotatedBox, AnnotatedImage, coco_document
from mmdark.datasets import DarkFaceDataset, ExDarkDataset, WiderDataset
from mmdark.errors import InputError
from tests.datasets.test_own_labels import data_set
from tests.tiny_dark_face import BOX, write_dark_face
from tests.tiny_exdark import label_text, write_exdark
from tests.tiny_own_data import write_voc
from tests.tiny_wider import FACE, write_annotation, write_wider


def wider(root: Path) -> BaseDataset:
    write_wider(root, train=1, val=0)
    write_annotation(root, 'train', [('0--Noise/train_0.jpg', [FACE, (0, 0, 1e300, 5)])])
    file = 'wider_face_split/wider_face_train_bbx_gt.txt'
    return WiderDataset(data_root=str(root), ann_file=file, data_prefix=dict(img='WIDER_train/images'))


def dark_face(root: Path) -> BaseDataset:
    write_dark_face(root, [1])
    (root / 'label/1.txt').write_text(f'2\n{" ".join(map(str, BOX))}\n-1e300 0 5 5\n')
    return DarkFaceDataset(data_root=str(root), split='folder', test_mode=True)


def exdark(root: Path) -> BaseDataset:
    write_exdark(root)
    label = root / 'ExDark_Annno/Bicycle/2015_00001.png.txt'
    label.write_text(label_text(('Bicycle', *FACE), ('Bicycle', 0, 0, 1e300, 5)))
    return ExDarkDataset(data_root=str(root), split='all')


@pytest.mark.parametrize('build', [wider, dark_face, exdark])
def test_boxes_beyond_any_image_are_left_out(build: Callable[[Path], BaseDataset], tmp_path: Path) -> None:
    boxes = [one['bbox'] for one in build(tmp_path).get_data_info(0)['instances']]
    assert boxes == [BOX] and np.isfinite(np.array(boxes, np.float32)).all()


def test_converters_leave_them_out() -> None:
    image = AnnotatedImage('a.jpg', 96, 80, [AnnotatedBox(*FACE), AnnotatedBox(0, 0, 1e300, 5)])
    document, dropped = coco_document([image])
    assert len(document['annotations']) == 1 and dropped == 1


def test_a_name_with_a_nul_is_no_file(tmp_path: Path) -> None:
    write_wider(tmp_path, train=1, val=0)
    (tmp_path / 'list.txt').write_text('a\0b/c.jpg 1 1 2 3 4 1\n')
    with pytest.raises(InputError, match=r'list\.txt:1: image a.b/c\.jpg is not there'):
        WiderDataset(data_root=str(tmp_path), ann_file='list.txt')
    root = write_voc(tmp_path / 'voc', train=1, val=0)
    (root / 'ImageSets/Main/train.txt').write_text('a\0b\n')
    with pytest.raises(InputError, match=r'a.b\.xml cannot be read'):
        data_set('voc', root)
