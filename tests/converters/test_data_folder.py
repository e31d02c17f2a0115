"""Each layout that people have is told by its files and read into the same COCO document."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mmdark.converters.data_folder import DataPart, read_data, split_part
from mmdark.errors import InputError
from tests.tiny_own_data import SIZE, write_coco, write_voc, write_yolo
from tests.tiny_wider import FACE, photo, write_wider


def yolo_with_parts(root: Path) -> Path:
    """``images/train``, ``images/valid`` and the same below ``labels``, without a ``data.yaml``."""
    write_yolo(root, 3)
    for kind in ('images', 'labels'):
        (root / kind / 'sub').rename(root / kind / 'train')
        shutil.copytree(root / kind / 'train', root / kind / 'valid')
    (root / 'labels' / 'classes.txt').write_text('face\n')
    return root


def voc_without_lists(root: Path) -> Path:
    """All files are for training, and images may be PNG."""
    write_voc(root, train=3, val=0)
    shutil.rmtree(root / 'ImageSets')
    (root / 'JPEGImages' / 'train_0.jpg').unlink()
    photo(0).save(root / 'JPEGImages' / 'train_0.png')
    return root


def coco_beside_images(root: Path) -> Path:
    """``train/_annotations.coco.json`` among the images, with a category that no box has."""
    write_coco(root, train=3, val=2)
    for part, folder in (('train', 'train'), ('val', 'valid')):
        (root / part).rename(root / folder)
        document = json.loads((root / 'annotations' / f'{part}.json').read_text())
        document['categories'].insert(0, {'id': 0, 'name': 'things'})
        (root / folder / '_annotations.coco.json').write_text(json.dumps(document))
    shutil.rmtree(root / 'annotations')
    return root


def wider_file(root: Path) -> Path:
    return write_wider(root, train=3) / 'wider_face_split' / 'wider_face_train_bbx_gt.txt'


def coco_file(root: Path) -> Path:
    return write_coco(root, train=3) / 'annotations' / 'train.json'


@pytest.mark.parametrize(
    ('write', 'kind', 'val'),
    [
        (lambda root: write_coco(root, 3, 2), 'COCO', 2),
        (coco_beside_images, 'COCO', 2),
        (coco_file, 'COCO', None),
        (lambda root: write_voc(root, 3, 2), 'VOC', 2),
        (voc_without_lists, 'VOC', None),
        (lambda root: write_yolo(root, 3), 'YOLO', None),
        (yolo_with_parts, 'YOLO', 3),
        (lambda root: write_wider(root, 3, 2), 'WIDER FACE', 2),
        (wider_file, 'WIDER FACE', None),
    ],
)
def test_each_layout(write: object, kind: str, val: int | None, tmp_path: Path) -> None:
    data = read_data(write(tmp_path / 'data'))
    assert data.kind == kind and (None if data.val is None else len(data.val.document['images'])) == val
    for part in (data.train, *([data.val] if val else [])):
        assert part.class_names() == ['face'] and len(part.image_ids(['face'])) == len(part.document['images'])
        for image in part.document['images']:
            assert (part.images / image['file_name']).is_file() and (image['width'], image['height']) == SIZE
        for box in part.document['annotations']:
            assert box['bbox'] == pytest.approx(FACE, abs=1e-3)
    assert len(data.train.document['images']) == 3


def test_ignored_boxes_stay_ignored(tmp_path: Path) -> None:
    voc = read_data(write_voc(tmp_path / 'voc', difficult=1)).train
    assert all(box['iscrowd'] for box in voc.document['annotations']) and not voc.image_ids(['face'])


def part_of(names: list[str], empty: int = 0) -> DataPart:
    """Images of these names, the last ``empty`` of them without a box."""
    images = [{'id': place, 'file_name': name} for place, name in enumerate(names)]
    boxes = [{'id': i, 'image_id': i, 'category_id': 1} for i in range(len(names) - empty)]
    return DataPart({'images': images, 'annotations': boxes, 'categories': [{'id': 1, 'name': 'face'}]}, Path('x'))


def names_of(part: DataPart) -> set[str]:
    return {image['file_name'] for image in part.document['images']}


@pytest.mark.parametrize(
    ('full', 'empty', 'held_out', 'held_out_empty'), [(2, 0, 1, 0), (60, 20, 9, 3), (5000, 0, 200, 0)]
)
def test_the_split(full: int, empty: int, held_out: int, held_out_empty: int) -> None:
    """Nothing is lost or in both parts; images with and without boxes are held out alike."""
    names = [f'{number}.jpg' for number in range(full + empty)]
    train, val = split_part(part_of(names, empty), ['face'])
    assert names_of(train) | names_of(val) == set(names) and not names_of(train) & names_of(val)
    with_box = val.image_ids(['face'])
    assert (len(with_box), len(names_of(val)) - len(with_box)) == (held_out, held_out_empty)
    assert {box['image_id'] for box in val.document['annotations']} == with_box


def test_images_that_are_added_hardly_move_others() -> None:
    """An image goes from one part to the other only as the part grows."""
    names = [f'{number}.jpg' for number in range(100)]
    before = names_of(split_part(part_of(names), ['face'])[1])
    after = names_of(split_part(part_of([*names, *(f'new{number}.jpg' for number in range(20))]), ['face'])[1])
    assert len(before - after) <= 3 and len(before) == 15 and len(after) == 18


def test_files_of_one_part_must_be_one(tmp_path: Path) -> None:
    root = write_coco(tmp_path / 'data')
    shutil.copy(root / 'annotations' / 'train.json', root / 'annotations' / 'more_train.json')
    with pytest.raises(InputError, match=r'holds several annotations .*: name the file to train on'):
        read_data(root)
    (root / 'annotations' / 'train.json').unlink()
    (root / 'annotations' / 'more_train.json').unlink()
    with pytest.raises(InputError, match='nothing to train on'):
        read_data(root)


@pytest.mark.parametrize('text', ['', '[]', '{"images": [3]}', '{"images": [], "annotations": 0}', '{"images": 5'])
def test_a_damaged_file_is_said_in_a_line(text: str, tmp_path: Path) -> None:
    (tmp_path / 'a.json').write_text(text)
    with pytest.raises(InputError, match=r'a\.json') as raised:
        read_data(tmp_path / 'a.json')
    assert '\n' not in str(raised.value)
