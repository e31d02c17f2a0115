"""The WIDER FACE data set on small made-up folders in the real layout, and on the real one where it is at hand."""

import logging
import re
from pathlib import Path

import numpy as np
import pytest
from mmengine.logging import MMLogger

import mmdark.register  # noqa: F401
from mmdark.datasets import WiderDataset
from mmdark.datasets.wider_annotation import ATTRIBUTES
from mmdark.errors import InputError

REAL_ROOT = Path(__file__).resolve().parents[2].parent / 'shared' / 'data' / 'wider'
needs_real = pytest.mark.skipif(not REAL_ROOT.is_dir(), reason=f'no WIDER FACE images at {REAL_ROOT}')

GT = '0--Parade/a.jpg\n2\n10 20 30 40 0 0 0 0 0 0\n1 2 3 4 2 0 0 1 0 0\n0--Parade/none.jpg\n0\n0 0 0 0 0 0 0 0 0 0\n'
LIST = 'WIDER_val/images/0--Parade/a.jpg 2 10 20 30 40 1 1 2 3 4 1\nWIDER_val/images/0--Parade/none.jpg 0\n'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder in the official layout with two images; the files are never opened."""
    folder = tmp_path / 'WIDER_val' / 'images' / '0--Parade'
    folder.mkdir(parents=True)
    (folder / 'a.jpg').touch()
    (folder / 'none.jpg').touch()
    (tmp_path / 'gt.txt').write_text(GT)
    (tmp_path / 'list.txt').write_text(LIST)
    return tmp_path


def build(root: Path, ann_file: str = 'gt.txt', prefix: str = 'WIDER_val/images', **options: object) -> WiderDataset:
    return WiderDataset(data_root=str(root), ann_file=ann_file, data_prefix={'img': prefix}, **options)


@pytest.mark.parametrize(
    ('ann_file', 'prefix'),
    [
        ('gt.txt', 'WIDER_val/images'),
        ('list.txt', 'WIDER_val/images'),
        ('list.txt', 'WIDER_val/images/'),
        ('list.txt', ''),
    ],
)
def test_both_formats_give_the_same(root: Path, ann_file: str, prefix: str) -> None:
    dataset = build(root, ann_file, prefix)
    first, second = dataset.get_data_info(0), dataset.get_data_info(1)
    assert Path(first['img_path']) == root / 'WIDER_val/images/0--Parade/a.jpg'
    assert [first['img_id'], second['img_id']] == [0, 1]
    assert [face['bbox'] for face in first['instances']] == [[10, 20, 40, 60], [1, 2, 4, 6]]
    assert all(face['bbox_label'] == 0 and face['ignore_flag'] == 0 for face in first['instances'])
    assert second['instances'] == []
    assert dataset.metainfo['classes'] == ('face',)


def test_absolute_names_stand_for_themselves(root: Path) -> None:
    (root / 'abs.txt').write_text(f'{root}/WIDER_val/images/0--Parade/a.jpg 1 1 2 3 4 1\n')
    dataset = build(root, 'abs.txt', 'elsewhere')
    assert dataset.get_data_info(0)['img_path'] == f'{root}/WIDER_val/images/0--Parade/a.jpg'


def test_invalid_faces_can_be_ignored(root: Path) -> None:
    faces = build(root, ignore_invalid=True).get_data_info(0)['instances']
    assert [face['ignore_flag'] for face in faces] == [0, 1]
    assert [face['attributes']['invalid'] for face in faces] == [0, 1] and faces[1]['attributes'].keys() == {
        *ATTRIBUTES
    }


def test_filter_empty_keeps_ids_and_spares_test_mode(root: Path) -> None:
    (root / 'gt.txt').write_text('0--Parade/none.jpg\n0\n' + GT.split('0--Parade/none')[0])
    options = {'filter_cfg': {'filter_empty_gt': True}}
    dataset = build(root, **options)
    assert [dataset.get_data_info(i)['img_id'] for i in range(len(dataset))] == [1]
    assert len(build(root, **options, test_mode=True)) == 2


def test_min_face_keeps_images_with_large_faces_only(root: Path) -> None:
    assert len(build(root, filter_cfg={'min_face': 3})) == 2  # the smallest face is 3 x 4, and one image has none
    dataset = build(root, filter_cfg={'min_face': 4})
    assert [dataset.get_data_info(i)['instances'] for i in range(len(dataset))] == [[]]


def test_a_file_of_names_leaves_out_all_other_images(root: Path) -> None:
    (root / 'only.txt').write_text('\n0--Parade/none.png \n')  # a dark copy's suffix
    dataset = build(root, only=str(root / 'only.txt'), test_mode=True)
    assert [Path(dataset.get_data_info(index)['img_path']).name for index in range(len(dataset))] == ['none.jpg']
    with pytest.raises(InputError, match=r'gone\.txt.*cannot be read \(No such file or directory\): name a text file'):
        build(root, only=str(root / 'gone.txt'))
    (root / 'only.txt').write_text('0--Parade/a.jpg\n0--Parade/b.jpg\n')
    with pytest.raises(InputError, match=r'only\.txt: 1 of 2 images \(0--Parade/b first\) are not in .*gt\.txt'):
        build(root, only=str(root / 'only.txt'))


def test_boxes_without_size_are_dropped_with_one_warning(root: Path) -> None:
    rows = ['10 20 30 40', '1 1 0 5', '1 1 5 0', '1 1 -3 5', 'nan 1 2 3', '1 1 inf 3']
    (root / 'gt.txt').write_text(f'0--Parade/a.jpg\n{len(rows)}\n' + '\n'.join(rows) + '\n')
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    try:
        dataset = build(root)
    finally:
        logger.removeHandler(handler)
    assert [face['bbox'] for face in dataset.get_data_info(0)['instances']] == [[10, 20, 40, 60]]
    assert len(records) == 1 and records[0].levelno == logging.WARNING
    assert re.match(rf'{re.escape(str(root))}/gt.txt:4: 5 box', records[0].getMessage())


def test_missing_root_says_how_to_set_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'nowhere does not exist.*WIDERFACE.*data_root=') as caught:
        build(tmp_path / 'nowhere')
    assert '\n' not in str(caught.value)


def test_missing_annotation_says_where(root: Path) -> None:
    with pytest.raises(InputError, match=r'other\.txt.*cannot be read \(No such file'):
        build(root, 'other.txt')


def test_annotation_that_is_no_text(root: Path) -> None:
    (root / 'gt.txt').write_bytes(b'\xff\xd8\xff\xe0\x80')
    with pytest.raises(InputError, match='not a text file'):
        build(root)


def test_malformed_annotation_names_the_file(root: Path) -> None:
    (root / 'gt.txt').write_text('0--Parade/a.jpg\nmany\n')
    with pytest.raises(InputError, match=rf'^{re.escape(str(root))}/gt\.txt:2: '):
        build(root)


def test_missing_images_are_counted_and_the_first_named(root: Path) -> None:
    (root / 'gt.txt').write_text(GT + '0--Parade/gone.jpg\n0\n9--Nowhere/gone.jpg\n0\n')
    with pytest.raises(
        InputError, match=r'gt\.txt:8: image 0--Parade/gone\.jpg is not there.*\(2 of 4 images'
    ) as caught:
        build(root)
    assert '\n' not in str(caught.value)


def test_no_face_at_all_to_train_on(root: Path) -> None:
    (root / 'gt.txt').write_text('0--Parade/none.jpg\n0\n')
    with pytest.raises(InputError, match='filter_cfg leaves no image'):
        build(root, filter_cfg={'filter_empty_gt': True})


def test_unknown_filter_is_refused(root: Path) -> None:
    with pytest.raises(InputError, match='min_size'):
        build(root, filter_cfg={'min_size': 3})


@needs_real
@pytest.mark.parametrize(('part', 'images', 'faces'), [('train', 880, 28266), ('val', 249, 6037)])
def test_real_formats_agree(part: str, images: int, faces: int) -> None:
    read = []
    for ann_file in (f'wider_face_{part}_subset_bbx_gt.txt', f'wider_face_{part}_subset.txt'):
        dataset = build(REAL_ROOT, f'wider_face_split/{ann_file}', f'WIDER_{part}/images')
        infos = [dataset.get_data_info(i) for i in range(len(dataset))]
        read.append({info['img_path']: np.array([face['bbox'] for face in info['instances']]) for info in infos})
    official, one_line = read
    assert len(official) == images and sum(map(len, official.values())) == faces
    assert official.keys() == one_line.keys()
    for path, boxes in official.items():
        np.testing.assert_array_equal(np.sort(boxes, 0), np.sort(one_line[path], 0))
