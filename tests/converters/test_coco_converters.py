"""wider_to_coco and yolo_to_coco: pycocotools and mmdet's CocoDataset read what they write, and faults get one line."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmdark.apis import load_config
from mmdark.converters.yolo import yolo_to_images
from mmdark.datasets import WiderDataset
from mmdark.inference.result import DetectionResult
from mmdark.inference.result_files import ResultFiles
from tests.converters.converter_runs import fault, run
from tests.tiny_own_data import SIZE, write_yolo
from tests.tiny_wider import FACE, photo

SHARED = Path(__file__).resolve().parents[3] / 'shared' / 'data' / 'wider'
OFFICIAL = """0--Noise/b.jpg
3
20 16 52 56 0 0 0 0 0 0
1 2 5 6 0 0 0 1 0 0
9 9 0 7 0 0 0 0 0 0
0--Noise/turned.jpg
0
0 0 0 0 0 0 0 0 0 0
0--Noise/a.jpg
1
3.5 4 10 12
"""
"""Three images: a face, an invalid one and one without a width; none; one with a fraction."""


@pytest.fixture
def wider(tmp_path: Path) -> Path:
    folder = tmp_path / 'WIDER_val' / 'images' / '0--Noise'
    folder.mkdir(parents=True)
    photo(0).save(folder / 'b.jpg')
    photo(1, (60, 40)).save(folder / 'a.jpg')
    exif = Image.Exif()
    exif[0x0112] = 6
    photo(2, (64, 32)).save(folder / 'turned.jpg', exif=exif)
    (tmp_path / 'gt.txt').write_text(OFFICIAL)
    return tmp_path


def converted(root: Path, annotation: str = 'gt.txt') -> Path:
    run('wider_to_coco', root / annotation, '--images', root / 'WIDER_val/images', '--out', root / 'out/val.json')
    return root / 'out/val.json'


def test_pycocotools_reads_wider(wider: Path, capsys: pytest.CaptureFixture) -> None:
    coco = COCO(str(converted(wider)))
    images = [(i['id'], i['file_name'], i['width'], i['height']) for i in coco.loadImgs(coco.getImgIds())]
    # LoadPhoto turns the second as its EXIF says
    assert images == [(1, '0--Noise/b.jpg', *SIZE), (2, '0--Noise/turned.jpg', 32, 64), (3, '0--Noise/a.jpg', 60, 40)]
    boxes = [
        (a['id'], a['image_id'], a['bbox'], a['area'], a['iscrowd'], a['category_id'])
        for a in coco.loadAnns(coco.getAnnIds())
    ]
    assert boxes == [
        (1, 1, [20, 16, 52, 56], 2912, 0, 1),
        (2, 1, [1, 2, 5, 6], 30, 1, 1),
        (4, 3, [3.5, 4, 10, 12], 120, 0, 1),  # the box without a width was number 3
    ]
    assert [category['name'] for category in coco.loadCats(coco.getCatIds())] == ['face']
    assert '3 images, 3 faces, 1 of them ignored (invalid); 1 boxes without a size left out' in capsys.readouterr().out


def test_invalid_faces_count_neither_way(wider: Path) -> None:
    """COCO's AP is 1 with both valid faces found, whether or not the invalid one is detected, even with a top score."""
    coco = COCO(str(converted(wider)))
    valid = [a for a in coco.loadAnns(coco.getAnnIds()) if not a['iscrowd']]
    found = [{'image_id': a['image_id'], 'category_id': 1, 'bbox': a['bbox'], 'score': 0.5} for a in valid]
    for more in ([], [{'image_id': 1, 'category_id': 1, 'bbox': [1, 2, 5, 6], 'score': 0.9}]):
        evaluation = COCOeval(coco, coco.loadRes(found + more), 'bbox')
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        assert evaluation.stats[0] == pytest.approx(1)


def test_coco_data_set_agrees_with_wider_data_set(wider: Path) -> None:
    settings = {'data_root': str(wider), 'data_prefix': {'img': 'WIDER_val/images'}, 'test_mode': True}
    official = WiderDataset(ann_file='gt.txt', ignore_invalid=True, **settings)
    settings['metainfo'] = {'classes': ('face',)}
    coco = CocoDataset(ann_file=str(converted(wider)), **settings)
    for place in range(3):
        ours, theirs = (dataset.get_data_info(place) for dataset in (official, coco))
        for face in ours['instances']:
            del face['attributes']  # COCO has no place for them
        assert ours['img_path'] == theirs['img_path'] and ours['instances'] == theirs['instances']


def test_one_line_lists_and_official_files_give_the_same(wider: Path) -> None:
    first = json.loads(converted(wider).read_text())
    prefix = 'WIDER_val/images/0--Noise'
    (wider / 'list.txt').write_text(
        f'{prefix}/b.jpg 3 20 16 52 56 1 1 2 5 6 1 9 9 0 7 1\n{prefix}/turned.jpg 0\n{prefix}/a.jpg 1 3.5 4 10 12 1\n'
    )
    second = json.loads(converted(wider, 'list.txt').read_text())
    for annotation in first['annotations']:
        annotation['iscrowd'] = 0  # the list has no such flag
    assert first == second


@pytest.mark.skipif(not SHARED.is_dir(), reason='needs the WIDER FACE subset in shared/data beside the repository')
def test_real_validation_images(tmp_path: Path) -> None:
    annotation = SHARED / 'wider_face_split' / 'wider_face_val_subset_bbx_gt.txt'
    run('wider_to_coco', annotation, '--images', SHARED / 'WIDER_val/images', '--out', tmp_path / 'val.json')
    coco = COCO(str(tmp_path / 'val.json'))
    assert (len(coco.imgs), len(coco.anns)) == (249, 6037)
    invalid = sum(row.split()[7:8] == ['1'] for row in annotation.read_text().splitlines())
    assert sum(a['iscrowd'] for a in coco.anns.values()) == invalid == 185
    outside = [
        a['id']
        for a in coco.anns.values()
        for image in [coco.imgs[a['image_id']]]
        if a['bbox'][0] >= image['width'] or a['bbox'][1] >= image['height']
    ]
    assert outside == []  # sizes and images belong together


@pytest.mark.parametrize(
    ('text', 'line'),
    [
        ('0--Noise/c.jpg\n0\n', r'gt\.txt:1: image 0--Noise/c\.jpg is not there: looked for .*1 of 1 .*--images'),
        ('0--Noise/b.jpg\nmany\n', r"gt\.txt:2: the number of faces .* not 'many'"),
        ('0--Noise/b.jpg\n2\n1 2 3 4\n', r'gt\.txt:1: 0--Noise/b\.jpg should have 2 faces; the file ends after 1'),
        ('0--Noise/b.jpg\n1\n1 2 three 4\n', r'gt\.txt:3: a face row .* should be numbers'),
        ('', r'gt\.txt is empty'),
        (b'\xff\xfe\x00\x01', r'gt\.txt is not a text file'),
        ('0--Noise/broken.jpg\n0\n', r'broken\.jpg cannot be read \(its header is not that of an image\)'),
    ],
)
def test_faults_of_wider_annotations(wider: Path, text: str | bytes, line: str) -> None:
    (wider / 'WIDER_val/images/0--Noise/broken.jpg').write_bytes(b'no image')
    (wider / 'gt.txt').write_bytes(text if isinstance(text, bytes) else text.encode())
    out = wider / 'out.json'
    assert re.search(
        line, fault('wider_to_coco', wider / 'gt.txt', '--images', wider / 'WIDER_val/images', '--out', out)
    )
    assert not out.exists()


def test_folders_that_are_not_there(wider: Path) -> None:
    arguments = ('--images', wider / 'nowhere', '--out', wider / 'out.json')
    assert 'nowhere is not a folder' in fault('wider_to_coco', wider / 'gt.txt', *arguments)
    assert 'nowhere is not a folder' in fault('yolo_to_coco', wider, *arguments)
    arguments = ('--images', wider, '--out', wider / 'out.json')
    assert 'no.txt cannot be read' in fault('wider_to_coco', wider / 'no.txt', *arguments)


def yolo(root: Path, *options: object) -> COCO:
    run('yolo_to_coco', root / 'labels', '--images', root / 'images', '--out', root / 'all.json', *options)
    return COCO(str(root / 'all.json'))


def test_yolo_boxes_are_where_they_were(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    root = write_yolo(tmp_path)
    photo(7).save(root / 'images/none.png')
    (root / 'labels/classes.txt').write_text('face\n')
    coco = yolo(root)
    names = [image['file_name'] for image in coco.loadImgs(coco.getImgIds())]
    assert names == ['none.png', 'sub/0.jpg', 'sub/1.jpg', 'sub/2.jpg']
    assert coco.getAnnIds(imgIds=[1]) == []
    for image_id in (2, 3, 4):
        (annotation,) = coco.loadAnns(coco.getAnnIds(imgIds=[image_id]))
        assert np.allclose(annotation['bbox'], FACE, atol=1e-3)
    assert coco.cats == {1: {'id': 1, 'name': 'face', 'supercategory': ''}}
    assert '1 images without a label file, the first none.png' in capsys.readouterr().out


def test_yolo_classes_have_names(tmp_path: Path) -> None:
    root = write_yolo(tmp_path, 1)
    (root / 'names.txt').write_text('body\nface\n')
    (root / 'labels/sub/0.txt').write_text('1 .5 .5 .25 .5\n0 1 1 0 0\n')
    coco = yolo(root, '--names', root / 'names.txt')
    assert {key: category['name'] for key, category in coco.cats.items()} == {1: 'body', 2: 'face'}
    ((key, annotation),) = coco.anns.items()
    assert (key, annotation['category_id'], annotation['bbox']) == (1, 2, [36, 20, 24, 40])


@pytest.mark.parametrize(
    ('row', 'line'),
    [
        (
            '0 .5 .5 .1',
            r'0\.txt:2: a row should be the five numbers "class cx cy w h".*, not .0 \.5 \.5 \.1.; .*take it out$',
        ),
        ('0 .5 .5 .1 .1 .9 .9', r'0\.txt:2: .* not .0 \.5 \.5 \.1 \.1 \.9 \.9.'),
        (f'{"9" * 5000} .5 .5 .1 .1', r'0\.txt:2: the class should be a whole number'),
        ('face .5 .5 .1 .1', r"0\.txt:2: .* not 'face \.5 \.5 \.1 \.1'"),
        ('0 .5 .5 1.2 .1', r'0\.txt:2: cx cy w h should be fractions .* not \.5 \.5 1\.2 \.1'),
        ('0 .5 -.1 .2 .1', r'0\.txt:2: cx cy w h should be fractions'),
        ('0 nan .5 .2 .1', r'0\.txt:2: cx cy w h should be fractions'),
        ('0.5 .5 .5 .2 .1', r'0\.txt:2: the class should be a whole number from 0 on, not 0\.5'),
        ('-1 .5 .5 .2 .1', r'0\.txt:2: the class should be a whole number'),
        ('nan .5 .5 .2 .1', r'0\.txt:2: the class should be a whole number'),
        ('1 .5 .5 .2 .1', r'0\.txt:2: class 1 has no name: without names'),
        ('0 1 2\n0 3', r'0\.txt:2: .*\(2 such rows in all\)$'),
    ],
)
def test_faults_of_yolo_rows(tmp_path: Path, row: str, line: str) -> None:
    root = write_yolo(tmp_path)
    with (root / 'labels/sub/0.txt').open('a') as file:
        file.write(f'{row}\n')
    arguments = (root / 'labels', '--images', root / 'images', '--out', root / 'all.json')
    assert re.search(line, fault('yolo_to_coco', *arguments))
    assert not (root / 'all.json').exists()


def test_faults_of_yolo_folders(tmp_path: Path) -> None:
    root = write_yolo(tmp_path)
    arguments = (root / 'labels', '--images', root / 'images', '--out', root / 'all.json')
    (root / 'labels/sub/9.txt').write_text('')
    assert re.search(r'9\.txt: its image is not below .*1 of 4', fault('yolo_to_coco', *arguments))
    (root / 'labels/sub/9.txt').write_bytes(b'\xff\xfe')
    (root / 'images/sub/9.jpg').write_bytes(b'no image')
    assert '9.jpg cannot be read' in fault('yolo_to_coco', *arguments)
    photo(0).save(root / 'images/sub/9.jpg')
    assert '9.txt is not a text file' in fault('yolo_to_coco', *arguments)
    photo(0).save(root / 'images/sub/9.png')
    assert "two images share the name 'sub/9'" in fault('yolo_to_coco', *arguments)
    (root / 'empty').mkdir()
    assert 'holds no image' in fault('yolo_to_coco', root / 'labels', '--images', root / 'empty', *arguments[3:])
    (root / 'names.txt').write_text('face\nface\n')
    assert 'each once' in fault('yolo_to_coco', *arguments, '--names', root / 'names.txt')
    assert 'write one name per line' in fault('yolo_to_coco', *arguments, '--names', root / 'no.txt')


def standard(root: Path, yaml: str) -> Path:
    """``images/train``, ``images/val``, ``labels/train``, ``labels/val`` and ``data.yaml``; rows with a score, too."""
    for part in ('train', 'val'):
        once = write_yolo(root / part, 2)
        for kind in ('images', 'labels'):
            (root / kind).mkdir(exist_ok=True)
            (once / kind / 'sub').rename(root / kind / part)
        row = (root / f'labels/{part}/0.txt').read_text().strip()
        (root / f'labels/{part}/0.txt').write_text(f'{row} 0.875000\n')
    (root / 'data.yaml').write_text(yaml)
    return root / 'data.yaml'


@pytest.mark.parametrize(
    'yaml',
    [
        'path: .\ntrain: images/train\nval: images/val\nnames: [face]\n',
        'path: ../datasets/mine\ntrain: images/train/\nval: images/val\nnc: 1\nnames:\n  0: face\n',
        "train: ../images/train\nval: ../images/val\ntest:\nnc: 1\nnames: ['face']\n",
    ],
    ids=['ultralytics', 'moved', 'exported'],
)
def test_the_standard_layout_of_yolo_trains(tmp_path: Path, yaml: str, capsys: pytest.CaptureFixture) -> None:
    """From ``data.yaml`` to the images and boxes that our config trains and tests on, with the options it names."""
    path = standard(tmp_path, yaml)
    run('yolo_to_coco', path)
    command = capsys.readouterr().out.splitlines()[-1]
    options = dict(word.split('=') for word in command.split()[command.split().index('--cfg-options') + 1 :])
    assert options == {'data_root': f'{tmp_path}/', 'train_images': 'images/train', 'val_images': 'images/val'}
    cfg = load_config('dsfd_dark_coco', options)
    x, y, width, height = FACE
    for part, settings in (('train', cfg.train_dataloader.dataset), ('val', cfg.val_dataloader.dataset.datasets[0])):
        dataset = DATASETS.build({**settings, 'pipeline': []})
        infos = [dataset.get_data_info(place) for place in range(len(dataset))]
        assert [info['img_path'] for info in infos] == [str(tmp_path / f'images/{part}/{name}.jpg') for name in (0, 1)]
        boxes = [one['bbox'] for info in infos for one in info['instances']]
        assert np.allclose(boxes, [[x, y, x + width, y + height]] * 2, atol=1e-3)


def test_what_mmdark_detect_writes_is_read(tmp_path: Path) -> None:
    """``mmdark detect --format yolo`` writes six numbers a row."""
    boxes = np.array([[20, 16, 72, 72], [1.5, 2.5, 30, 40]], np.float32)
    scores = np.array([0.9, 0.4], np.float32)
    photo(0).save(tmp_path / 'a.png')
    files = ResultFiles(tmp_path, ['yolo'])
    files.add('a', DetectionResult(boxes, scores, *SIZE, str(tmp_path / 'a.png')))
    ((image,), _) = yolo_to_images(tmp_path / 'labels', tmp_path)
    corners = [(box.x, box.y, box.x + box.width, box.y + box.height) for box in image.boxes]
    assert np.allclose(corners, boxes, atol=1e-3)


@pytest.mark.parametrize(
    ('yaml', 'line'),
    [
        ('names: [face', r'data\.yaml:\d+ is no YAML'),
        ('- a', r"data\.yaml holds \['a'\], not names and values"),
        ('', r'data\.yaml holds None'),
        ('a: &a [*a]\ntrain: *a\n', r'data\.yaml'),
        ('names: [face]', r'data\.yaml names no part: write train: images/train'),
        ('train: nowhere\nnames: [face]', r"train is 'nowhere', but .*nowhere is not a folder"),
        (f'train: {"a" * 5000}\nnames: [face]', r'is not a folder: correct it'),
        ('train: [a, b]\nnames: [face]', r"train is \['a', 'b'\]: it should be one folder"),
        ('train: train\nnames: [face]', r'holds no image'),
        ('train: images/train', r'names is None: write the name of each class'),
        ('train: images/train\nnames: {0: face, 2: body}', r'names is \{0: .*: write the name of each class'),
        ('train: images/train\nnames: [face, face]', r'names holds one name twice'),
        (f'train: images/train\nnames: [{"9" * 5000}]', r'data\.yaml'),
    ],
)
def test_faults_of_data_yaml(tmp_path: Path, yaml: str, line: str) -> None:
    path = standard(tmp_path, yaml)
    said = fault('yolo_to_coco', path)
    assert re.search(line, said) and len(said) <= 300
    shutil.rmtree(tmp_path / 'labels/train')
    path.write_text('train: images/train\nnames: [face]\n')
    assert re.search(
        r'the labels of train should be in .*labels/train, which is not a folder', fault('yolo_to_coco', path)
    )
