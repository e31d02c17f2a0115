"""The ExDark data set on small made-up folders, in the official layout and others."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from mmdet.datasets import CocoDataset
from mmengine.logging import MMLogger
from PIL import Image

from mmdark.datasets import ExDarkDataset
from mmdark.errors import InputError
from tests.tiny_exdark import ROWS, label_text, list_text, write_exdark
from tests.tiny_wider import FACE

x, y, width, height = FACE
BOX = [x, y, x + width, y + height]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_exdark(tmp_path / 'exdark')


@pytest.fixture
def warnings() -> Iterator[list[str]]:
    records: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(f'{record.levelname} {record.getMessage()}')
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield records
    logger.removeHandler(handler)


def build(root: Path, split: str = 'all', **options: object) -> ExDarkDataset:
    return ExDarkDataset(data_root=str(root), split=split, **options)


def infos(dataset: ExDarkDataset) -> list[dict]:
    return [dataset.get_data_info(index) for index in range(len(dataset))]


def label(root: Path, number: int) -> Path:
    """The label file of one of :data:`ROWS`."""
    name, class_name, *_ = ROWS[number]
    return root / 'ExDark_Annno' / class_name / f'{name}.txt'


@pytest.mark.parametrize('split', ['train', 'val', 'test', 'all'])
def test_the_official_folders_and_split(root: Path, split: str, warnings: list[str]) -> None:
    dataset = build(root, split)
    wanted = [(place, row) for place, row in enumerate(ROWS) if split in ('all', row[4])]
    assert len(dataset) == len(wanted) and not warnings
    for info, (place, (name, class_name, light, inside, _)) in zip(infos(dataset), wanted, strict=True):
        assert info['img_path'] == str(root / 'ExDark' / class_name / name) and info['img_id'] == place
        assert (info['light'], info['place'], info['width'], info['height']) == (light, inside, 96, 80)
        (instance,) = info['instances']
        assert instance == {
            'bbox': BOX,
            'bbox_label': dataset.metainfo['classes'].index(class_name),
            'ignore_flag': 0,
        }
    assert len(dataset.metainfo['classes']) == len(dataset.metainfo['palette']) == 12


def test_objects_have_the_labels_of_cocos_classes(root: Path) -> None:
    dataset = build(root, coco_classes=True)
    assert dataset.metainfo['classes'] == CocoDataset.METAINFO['classes']
    names = [dataset.metainfo['classes'][info['instances'][0]['bbox_label']] for info in infos(dataset)]
    assert names == ['bicycle', 'person', 'dining table', 'motorcycle', 'cup']
    assert infos(dataset)[1]['instances'][0]['bbox_label'] == 0


def test_some_classes_in_another_order(root: Path) -> None:
    """By names of either; objects of other classes are left out, and in training images that have no others."""
    options = {'metainfo': {'classes': ('cup', 'People')}, 'filter_cfg': {'filter_empty_gt': True}}
    assert [[face['bbox_label'] for face in info['instances']] for info in infos(build(root, **options))] == [[1], [0]]
    assert len(build(root, test_mode=True, **options)) == 5
    with pytest.raises(InputError, match=r'split val of .*: filter_cfg leaves no image with an object of cup, People'):
        build(root, 'val', **options)
    with pytest.raises(InputError, match='ExDarkDataset knows filter_empty_gt, not min_size'):
        build(root, filter_cfg={'min_size': 3})


def test_folders_without_classes_and_labels_by_stem(root: Path, tmp_path: Path) -> None:
    (tmp_path / 'flat' / 'images').mkdir(parents=True)
    (tmp_path / 'flat' / 'labels').mkdir()
    for name, class_name, *_ in ROWS:
        (root / 'ExDark' / class_name / name).rename(tmp_path / 'flat' / 'images' / name)
        (root / 'ExDark_Annno' / class_name / f'{name}.txt').rename(
            tmp_path / 'flat' / 'labels' / f'{Path(name).stem}.txt'
        )
    (root / 'imageclasslist.txt').rename(tmp_path / 'flat' / 'imageclasslist.txt')
    dataset = build(tmp_path / 'flat', data_prefix={'img': 'images', 'label': 'labels'})
    assert [Path(info['img_path']).name for info in infos(dataset)] == [row[0] for row in ROWS]
    assert all(info['instances'][0]['bbox'] == BOX for info in infos(dataset))


def test_case_and_suffix_of_a_name_do_not_matter(root: Path, warnings: list[str]) -> None:
    bicycle, table = root / 'ExDark' / 'Bicycle', root / 'ExDark' / 'Table'
    (bicycle / '2015_00001.png').rename(bicycle / '2015_00001.Jpg')
    (table / '2015_00003.JPG').rename(table / '2015_00003.jpg')
    label(root, 0).rename(label(root, 0).with_name('2015_00001.JPG.TXT'))
    found = infos(build(root))
    assert [Path(found[place]['img_path']).name for place in (0, 2)] == ['2015_00001.Jpg', '2015_00003.jpg']
    assert all(info['instances'] for info in found) and not warnings


def test_missing_images_and_labels_say_how_to_go_on(root: Path, warnings: list[str]) -> None:
    (root / 'ExDark' / 'People' / '2015_00002.jpg').unlink()
    label(root, 0).unlink()
    said = r'split train of .*imageclasslist\.txt: of 2 images 1 are not there and 1 have no label \(looked for '
    with pytest.raises(InputError, match=said + r'.*/ExDark/People/2015_00002\.jpg\): name the folder that holds'):
        build(root, 'train', allow_missing=True)
    with pytest.raises(InputError, match=r'of 5 images .*use the 3 others with allow_missing=True') as caught:
        build(root)
    assert '\n' not in str(caught.value)
    assert [info['img_id'] for info in infos(build(root, allow_missing=True))] == [2, 3, 4]
    (line,) = warnings
    assert line.endswith('; going on with 3')


def test_nothing_there_says_where_to_get_it(root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'^list .*imageclasslist\.txt cannot be read .*data_root=FOLDER'):
        build(tmp_path / 'nowhere')
    (root / 'ExDark').rename(root / 'elsewhere')
    with pytest.raises(InputError, match=r'of 5 images 5 are not there .*cs-chan/Exclusively-Dark-Image-Dataset$'):
        build(root, allow_missing=True)
    with pytest.raises(InputError, match=r"split of ExDark is 'validation': choose one of train, val, test, all"):
        build(root, 'validation')
    (root / 'mine.txt').write_text(list_text(ROWS[:2]))
    with pytest.raises(InputError, match=r'^split test of .*mine\.txt holds no image'):
        build(root, 'test', ann_file='mine.txt')


def test_malformed_labels_are_counted_and_the_first_named(root: Path) -> None:
    label(root, 1).write_text('% bbGt version=3\nface 1 2 3 4 0 0 0 0 0 0 0\n')
    with pytest.raises(InputError, match=r"2015_00002\.jpg\.txt:2: class 'face' is none of .*\)$"):
        build(root)
    label(root, 3).write_text('1 2 3 4\n')
    with pytest.raises(InputError, match=r'2015_00002\.jpg\.txt:2: .* \(the first of 2 such labels among 5\)$'):
        build(root, allow_missing=True)
    label(root, 0).write_bytes(b'\xff\xfe\x00')
    with pytest.raises(InputError, match=r'^label .*2015_00001\.png\.txt is not a text file: copy it again'):
        build(root)


def test_boxes_without_size_or_outside_are_left_out_with_one_line(root: Path, warnings: list[str]) -> None:
    """The image is 96 x 80: what reaches into it stays as written, what begins at its end or before 0 goes."""
    kept = [('Cup', -5, -5, 6, 6), ('Cup', 95, 79, 30, 30)]
    gone = [
        ('Cup', 1, 1, 0, 5),
        ('Cup', 1, 1, 5, -2),
        ('Cup', 96, 1, 5, 5),
        ('Cup', 1, 80, 5, 5),
        ('Cup', -9, 1, 9, 5),
        ('Cup', 'nan', 1, 5, 5),
        ('Cup', 1, 1, 'inf', 5),
    ]
    label(root, 4).write_text(label_text(*kept, *gone))
    for test_mode in (True, False):
        (info,) = [info for info in infos(build(root, test_mode=test_mode)) if info['img_id'] == 4]
        assert [face['bbox'] for face in info['instances']] == [[-5, -5, 1, 1], [95, 79, 125, 109]]
        assert warnings.pop() == (
            f'WARNING {label(root, 4)}:4: 7 box(es) without a size or outside their image left out, the first here'
        )
        assert not warnings


def test_an_image_that_its_exif_turns_is_measured_as_it_is_loaded(root: Path, warnings: list[str]) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = root / 'ExDark' / 'Cup' / '2015_00005.jpg'
    Image.open(path).save(path, exif=exif)
    label(root, 4).write_text(label_text(('Cup', 2, 85, 5, 5), ('Cup', 85, 2, 5, 5)))
    info = infos(build(root, 'test'))[-1]
    assert (info['width'], info['height']) == (80, 96) and len(info['instances']) == 1 and len(warnings) == 1


def test_labels_without_objects_are_said(root: Path, warnings: list[str]) -> None:
    """The official label of 2015_05894.jpg has none; the image is tested, and not trained on where that is asked."""
    label(root, 1).write_text('% bbGt version=3\n')
    dataset = build(root, 'train')
    assert len(dataset) == 2 and infos(dataset)[1]['instances'] == []
    said = '1 label(s) without an object, the first here; detections there are false'
    assert warnings == [f'WARNING {label(root, 1)}: {said}']
    assert len(build(root, 'train', filter_cfg={'filter_empty_gt': True})) == 1


def test_an_image_that_is_none_is_one_line(root: Path) -> None:
    (root / 'ExDark' / 'Cup' / '2015_00005.jpg').write_bytes(b'no image')
    with pytest.raises(InputError, match=r'2015_00005\.jpg cannot be read \(its header is not that of an image\)'):
        build(root)


def test_files_elsewhere_are_read_through_the_backend(root: Path) -> None:
    """With ``backend_args`` nothing is listed or measured; each file is where the official copy has it."""
    (first, *_) = infos(build(root, backend_args={'backend': 'local'}))
    assert 'width' not in first and first['instances'][0]['bbox'] == BOX
    assert first['img_path'] == str(root / 'ExDark' / 'Bicycle' / '2015_00001.png')


def test_light_and_place_come_with_the_data_samples(root: Path) -> None:
    pipeline = [
        {'type': 'LoadPhoto'},
        {'type': 'LoadAnnotations', 'with_bbox': True},
        {'type': 'PackDetInputs', 'meta_keys': ('img_id', 'light', 'place')},
    ]
    sample = build(root, 'val', pipeline=pipeline, test_mode=True)[0]['data_samples']
    assert (sample.img_id, sample.light, sample.place) == (2, 'Screen', 'Indoor')
    assert sample.gt_instances.labels.tolist() == [11] and sample.gt_instances.bboxes.tensor.tolist() == [BOX]
