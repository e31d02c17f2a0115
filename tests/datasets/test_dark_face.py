"""The DARK FACE data set on small made-up folders in the official layout."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.registry import METRICS
from mmengine.logging import MMLogger

import mmdark.register  # noqa: F401
from mmdark.datasets import DarkFaceDataset
from mmdark.datasets.dark_face_annotation import split_numbers
from mmdark.errors import InputError
from tests.tiny_dark_face import BOX, VAL, write_dark_face

GOLDEN = Path(__file__).resolve().parents[2].parent / 'shared' / 'golden' / 'darkface_eval'
needs_golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason=f'no labels of the official tool at {GOLDEN}')

PIPELINE = [
    {'type': 'LoadPhoto'},
    {'type': 'LoadAnnotations', 'with_bbox': True},
    {'type': 'PackDetInputs'},
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Five images that are never opened; the last has no face."""
    labels = {
        1: '1\n10 20 40 60\n',
        2: '2\n1 2 3 4\n5 6 8 10\n',
        10: '1\n-3 5 1090 700\n',
        18: '1\n1 1 9 9\n',
        27: '0\n',
    }
    for folder in ('image', 'label'):
        (tmp_path / folder).mkdir()
    for number, text in labels.items():
        (tmp_path / 'image' / f'{number}.png').touch()
        (tmp_path / 'label' / f'{number}.txt').write_text(text)
    return tmp_path


@pytest.fixture
def warnings() -> Iterator[list[str]]:
    records: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(f'{record.levelname} {record.getMessage()}')
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield records
    logger.removeHandler(handler)


def build(root: Path, split: str = 'folder', **options: object) -> DarkFaceDataset:
    return DarkFaceDataset(data_root=str(root), split=split, **options)


def names(dataset: DarkFaceDataset) -> list[str]:
    return [Path(dataset.get_data_info(index)['img_path']).name for index in range(len(dataset))]


def boxes(dataset: DarkFaceDataset, index: int = 0) -> list[list[float]]:
    return [face['bbox'] for face in dataset.get_data_info(index)['instances']]


def test_a_folder_is_read_in_the_order_of_its_numbers(root: Path) -> None:
    (root / 'image' / 'notes.md').touch()
    dataset = build(root)
    assert names(dataset) == ['1.png', '2.png', '10.png', '18.png', '27.png']
    assert boxes(dataset) == [[10, 20, 40, 60]] and boxes(dataset, 1) == [[1, 2, 3, 4], [5, 6, 8, 10]]
    assert boxes(dataset, 2) == [[-3, 5, 1090, 700]] and boxes(dataset, 4) == []
    info = dataset.get_data_info(1)
    assert info['img_path'] == str(root / 'image' / '2.png') and info['img_id'] == 1
    assert all(face['bbox_label'] == 0 and face['ignore_flag'] == 0 for face in info['instances'])
    assert dataset.metainfo['classes'] == ('face',)


@pytest.mark.parametrize(('split', 'found'), [('val', [18, 27]), ('train', [1, 2, 10]), ('all', [1, 2, 10, 18, 27])])
def test_a_part_of_dark_face_keeps_its_split(root: Path, split: str, found: list[int], warnings: list[str]) -> None:
    dataset = build(root, split, allow_missing=True)
    assert names(dataset) == [f'{number}.png' for number in found]
    numbers = split_numbers(split)
    assert [numbers[dataset.get_data_info(i)['img_id']] for i in range(len(dataset))] == found
    (line,) = warnings
    gone = len(numbers) - len(found)
    assert line.startswith(
        f'WARNING split {split} of {root}: of {len(numbers)} images {gone} are not there (looked for'
    )
    assert line.endswith(f'; going on with {len(found)}')


def test_missing_images_say_how_to_go_on(root: Path) -> None:
    with pytest.raises(
        InputError,
        match=r'split val of .*: of 500 images 498 are not there \(looked for .*/image/52',
    ) as caught:
        build(root, 'val')
    assert 'use the 2 others with allow_missing=True, --cfg-options allow_missing=True' in str(caught.value)
    assert '\n' not in str(caught.value)


def test_missing_labels_say_how_to_go_on(root: Path, warnings: list[str]) -> None:
    (root / 'label' / '10.txt').unlink()
    with pytest.raises(InputError, match=r'of 5 images 1 have no label \(looked for .*/label/10\.txt\): copy them'):
        build(root)
    dataset = build(root, allow_missing=True)
    assert names(dataset) == ['1.png', '2.png', '18.png', '27.png'] and len(warnings) == 1
    assert [dataset.get_data_info(i)['img_id'] for i in range(4)] == [0, 1, 3, 4]


@pytest.mark.parametrize('gone', ['image', 'label'])
def test_nothing_there_is_no_part(root: Path, gone: str) -> None:
    (root / gone).rename(root / 'elsewhere')
    with pytest.raises(InputError, match=r'data_root=FOLDER.*flyywh\.github\.io/CVPRW2019LowLight'):
        build(root, 'val', allow_missing=True)
    dataset = build(root, 'val', allow_missing=True, data_prefix={'img' if gone == 'image' else 'label': 'elsewhere'})
    assert names(dataset) == ['18.png', '27.png']


def test_missing_root_and_empty_folder_say_how_to_set_them(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'nowhere does not exist: .*data_root=FOLDER; get DARK FACE'):
        build(tmp_path / 'nowhere')
    with pytest.raises(InputError, match=r'image holds no image \(\.png'):
        build(tmp_path)


def test_a_list_names_the_images(root: Path) -> None:
    (root / 'mine.txt').write_text('./data/gt/18.txt\n2\n')
    dataset = build(root, 'val', ann_file='mine.txt')
    assert names(dataset) == ['18.png', '2.png']
    (root / 'mine.txt').write_text('18\n3\n')
    with pytest.raises(InputError, match=r'mine\.txt: of 2 images 1 are not there .*/image/3\.png'):
        build(root, ann_file='mine.txt')
    (root / 'mine.txt').write_bytes(b'\xff\xd8\xff\x80')
    with pytest.raises(InputError, match=r'list .*mine\.txt is not a text file'):
        build(root, ann_file='mine.txt')
    with pytest.raises(InputError, match=r'list .*other\.txt cannot be read \(No such file'):
        build(root, ann_file='other.txt')


def test_images_without_labels(root: Path) -> None:
    """As the hidden test images: nothing is asked of ``label/``."""
    (root / 'label').rename(root / 'elsewhere')
    dataset = build(root, labelled=False, test_mode=True)
    assert len(dataset) == 5 and all(boxes(dataset, index) == [] for index in range(5))
    with pytest.raises(InputError, match=r'of 500 images 498 are not there \(looked for'):
        build(root, 'val', labelled=False)


def test_boxes_without_size_are_left_out_of_training_only(root: Path, warnings: list[str]) -> None:
    """The official tool counts every labelled face, so a test keeps whatever is a number."""
    (root / 'label' / '2.txt').write_text('5\n1 2 3 4\n5 5 5 9\n9 9 5 5\nnan 1 2 3\n1 1 inf 2\n')
    assert boxes(build(root), 1) == [[1, 2, 3, 4]]
    assert boxes(build(root, test_mode=True), 1) == [[1, 2, 3, 4], [5, 5, 5, 9], [9, 9, 5, 5]]
    train, test = warnings
    path = root / 'label' / '2.txt'
    assert train.startswith(f'WARNING {path}:3: 4 box(es) that cannot be used (width or height zero, negative')
    assert test.startswith(f'WARNING {path}:5: 2 box(es) that cannot be used (not finite) left out')


def test_malformed_labels_are_counted_and_the_first_named(root: Path) -> None:
    (root / 'label' / '2.txt').write_text('1\n1 2 3\n')
    with pytest.raises(InputError, match=r"label/2\.txt:2: a face should be four numbers, x1 y1 x2 y2, not '1 2 3'$"):
        build(root)
    (root / 'label' / '18.txt').write_bytes(b'\xff\xfe1\x00')
    with pytest.raises(InputError, match=r'label/2\.txt:2: .* \(the first of 2 such labels among 5\)$') as caught:
        build(root, allow_missing=True)
    assert '\n' not in str(caught.value)
    (root / 'label' / '2.txt').write_bytes(b'\xef\xbb\xbf0\r\n')
    with pytest.raises(InputError, match=r'^label .*label/18\.txt is not a text file: copy it again, or name another$'):
        build(root)


def test_filter_empty_keeps_ids_and_spares_test_mode(root: Path) -> None:
    (root / 'label' / '1.txt').write_text('1\n3 3 3 3\n')
    options = {'filter_cfg': {'filter_empty_gt': True}}
    dataset = build(root, **options)
    assert [dataset.get_data_info(i)['img_id'] for i in range(len(dataset))] == [1, 2, 3]
    assert len(build(root, **options, test_mode=True)) == 5
    with pytest.raises(InputError, match='filter_cfg leaves no image with an object of face'):
        build(root, labelled=False, **options)
    with pytest.raises(InputError, match='knows filter_empty_gt, not min_size'):
        build(root, filter_cfg={'min_size': 3})


def test_images_and_boxes_pass_through_a_pipeline(tmp_path: Path) -> None:
    dataset = build(write_dark_face(tmp_path / 'tiny'), 'val', allow_missing=True, test_mode=True, pipeline=PIPELINE)
    assert names(dataset) == [f'{number}.png' for number in VAL]
    sample = dataset[0]
    assert sample['inputs'].shape == (3, 80, 96) and sample['data_samples'].img_id == 0
    assert sample['data_samples'].gt_instances.bboxes.tensor.tolist() == [BOX]


@needs_golden
def test_faces_as_labelled_give_the_official_ap(tmp_path: Path) -> None:
    """0.648250 by the official tool under Octave, from its own list and labels read by this data set."""
    for path in (GOLDEN / 'gt').glob('*.txt'):
        (tmp_path / f'{path.stem}.png').touch()
    prefix = {'img': str(tmp_path), 'label': str(GOLDEN / 'gt')}
    dataset = DarkFaceDataset(ann_file=str(GOLDEN / 'file_list.txt'), data_prefix=prefix, test_mode=True)
    metric = METRICS.build({'type': 'DarkFaceMetric'})
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        path = GOLDEN / 'pred' / f'{Path(info["img_path"]).stem}.txt'
        rows = path.read_text().split() if path.is_file() else []
        found = torch.tensor(np.array(rows, dtype=float).reshape(-1, 5))
        faces = torch.tensor([face['bbox'] for face in info['instances']]).reshape(-1, 4)
        sample = {'pred_instances': {'bboxes': found[:, :4], 'scores': found[:, 4]}, 'gt_instances': {'bboxes': faces}}
        metric.process(None, [{'img_path': info['img_path'], **sample}])
    assert metric.evaluate(len(dataset))['dark_face/AP'] == pytest.approx(0.648250, abs=1e-6)


def test_files_elsewhere_are_read_through_the_backend(root: Path) -> None:
    """With ``backend_args`` nothing is listed; a label that cannot be had is one line all the same."""
    (root / 'mine.txt').write_text('2\n18\n')
    options = {'ann_file': 'mine.txt', 'backend_args': {'backend': 'local'}}
    assert boxes(build(root, **options)) == [[1, 2, 3, 4], [5, 6, 8, 10]]
    (root / 'label' / '18.txt').unlink()
    with pytest.raises(InputError, match=r'label .*/label/18\.txt cannot be read \(No such file'):
        build(root, **options)
