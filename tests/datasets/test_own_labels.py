"""COCO and VOC files as tools write them train as well-formed ones do, or end with a line that names file and place."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.dataset import BaseDataset

from mmdark.errors import InputError
from tests.tiny_own_data import SIZE, write_coco, write_voc
from tests.tiny_wider import FACE, ROOT

NAN, INF = float('nan'), float('inf')
DIGITS = '9' * 5000
CORNERS = [FACE[0], FACE[1], FACE[0] + FACE[2], FACE[1] + FACE[3]]


def data_set(name: str, root: Path, **options: Any) -> BaseDataset:
    """The training images of our config, ``coco`` or ``voc``, without a pipeline."""
    cfg = Config.fromfile(ROOT / f'configs/_base_/datasets/{name}_face.py').train_dataloader.dataset
    return DATASETS.build({**cfg, 'data_root': str(root), 'pipeline': [], **options})


def faces(dataset: BaseDataset) -> list[tuple[int, int, list[float], int]]:
    """Width and height, box, and label of each face."""
    infos = [dataset.get_data_info(place) for place in range(len(dataset))]
    return [
        (info['width'], info['height'], one['bbox'], one['bbox_label']) for info in infos for one in info['instances']
    ]


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Lines of the log."""
    lines = []
    monkeypatch.setattr('mmdark.datasets.label_files.print_log', lambda text, **_: lines.append(text))
    return lines


@pytest.fixture(scope='module')
def coco(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_coco(tmp_path_factory.mktemp('coco'), train=3, val=0)
    shutil.copy(root / 'annotations/train.json', root / 'whole.json')
    return root


def edited(root: Path, edit: Callable[[dict], Any]) -> Path:
    """The annotation after ``edit``, which changes the document or returns another."""
    document = json.loads((root / 'whole.json').read_text())
    changed = edit(document)
    text = changed if isinstance(changed, str) else json.dumps(document if changed is None else changed)
    (root / 'annotations/train.json').write_text(text)
    return root


def each(key: str, field: str, value: Any = None) -> Callable[[dict], None]:
    """Set a field of all entries, or take it out."""

    def edit(document: dict) -> None:
        for entry in document[key]:
            entry.pop(field, None)
            if value is not None:
                entry[field] = value

    return edit


def first(field: str, *value: Any, key: str = 'annotations') -> Callable[[dict], None]:
    """Set a field of the first entry, or take it out."""

    def edit(document: dict) -> None:
        document[key][0].pop(field, None)
        if value:
            document[key][0][field] = value[0]

    return edit


def both(*edits: Callable[[dict], None]) -> Callable[[dict], None]:
    def edit(document: dict) -> None:
        for one in edits:
            one(document)

    return edit


def without(key: str) -> Callable[[dict], None]:
    def edit(document: dict) -> None:
        del document[key]

    return edit


@pytest.mark.parametrize(
    'edit',
    [
        each('annotations', 'area'),
        each('annotations', 'area', 0),
        each('annotations', 'area', 'large'),
        each('annotations', 'iscrowd'),
        each('images', 'width'),
        each('images', 'height', 0),
        without('categories'),
        lambda document: document.update(categories=[]),
        both(without('categories'), each('annotations', 'category_id')),
        lambda document: document['categories'].insert(0, {'id': 7, 'name': 'body'}),
    ],
)
def test_coco_files_that_leave_things_out(coco: Path, edit: Callable) -> None:
    x, y, width, height = FACE
    everything = [(*SIZE, [x, y, x + width, y + height], 0)] * 3
    assert faces(data_set('coco', edited(coco, edit))) == everything


def test_labels_follow_the_order_of_the_classes(coco: Path) -> None:
    """And a class that the file does not have takes no other's label."""

    def edit(document: dict) -> None:
        document['categories'] = [{'id': 3, 'name': 'face'}, {'id': 9, 'name': 'body'}]
        for entry, category in zip(document['annotations'], (3, 9, 3), strict=True):
            entry['category_id'] = category

    metainfo = dict(classes=('hand', 'body', 'face'))
    assert [label for *_, label in faces(data_set('coco', edited(coco, edit), metainfo=metainfo))] == [2, 1, 2]


@pytest.mark.parametrize(
    ('edit', 'line'),
    [
        (lambda document: '', r'train\.json is empty'),
        (lambda document: '{"images": [', r'train\.json is not whole JSON \(.*line 1'),
        (lambda document: '[' * 100_000, r'train\.json is not whole JSON \(it nests too deep'),
        (lambda document: f'{{"images": {DIGITS}}}', r'train\.json is not whole JSON'),
        (lambda document: 'null', r'train\.json holds None'),
        (lambda document: document['annotations'], r'train\.json holds a list, as of results'),
        (without('images'), r'train\.json: images should be a list, not None'),
        (lambda document: document.update(images=[]), r'train\.json lists no image'),
        (lambda document: document.update(annotations=None), r'annotations should be a list, not None'),
        (first('id', key='images'), r"image 'train_1\.jpg' has the id None"),
        (first('id', [1], key='images'), r"image 'train_1\.jpg' has the id \[1\]"),
        (first('id', 2, key='images'), r"images 'train_1\.jpg' and 'train_2\.jpg' have the same id 2"),
        (first('file_name', key='images'), r'image 1 of the list has no file_name'),
        (first('width', NAN, key='images'), r"image 'train_1\.jpg' is nan by 80 pixels"),
        (first('width', '96', key='images'), r"image 'train_1\.jpg' is '96' by 80 pixels"),
        (first('id'), r'annotation number 1 has no id; mend it or take it out$'),
        (first('id', 2), r'annotation 2 has the id of another one; mend'),
        (first('bbox'), r'annotation 1 has the bbox None, not four numbers x y width height; mend it or take it out$'),
        (first('bbox', '1 2 3 4'), r"annotation 1 has the bbox '1 2 3 4', not"),
        (first('bbox', ['1', '2', '3', '4']), r'annotation 1 has the bbox'),
        (first('bbox', []), r'annotation 1 has the bbox \[\], not'),
        (first('bbox', [1, 2, 3]), r'annotation 1 has the bbox \[1, 2, 3\], not'),
        (first('bbox', [1, 2, NAN, 4]), r'annotation 1 has the bbox \[1, 2, nan, 4\], not'),
        (first('bbox', [1, 2, INF, 4]), r'annotation 1 has the bbox'),
        (first('bbox', [1, 2, 1e300, 4]), r'annotation 1 has the bbox'),
        (each('annotations', 'bbox', 'x'), r'annotation 1 has the bbox .*\(3 such annotations in all\)$'),
        (first('image_id'), r'annotation 1 has the image_id None'),
        (first('category_id', 0), r'annotation 1 has category_id 0, but the categories are \[1\]'),
        (first('iscrowd', '0'), r"annotation 1 has iscrowd '0', not 0 or 1"),
        (lambda document: document['annotations'].insert(0, None), r'annotation number 1 of the list is None, not'),
        (first('name', 'Face', key='categories'), r"the categories 'Face', none is 'face': write metainfo"),
        (first('id', key='categories'), r'category 1 of the list needs an id'),
        (
            both(without('categories'), first('category_id', 5)),
            r'annotation 2 has category_id 1, others differ, and the file has no categories',
        ),
        (lambda document: document['images'][0].update(file_name='a' * 9000, width=0), r'cannot be read'),
    ],
)
def test_faults_of_coco_files(coco: Path, edit: Callable, line: str) -> None:
    with pytest.raises(InputError, match=line) as caught:
        data_set('coco', edited(coco, edit))
    assert 'train.json' in str(caught.value) or 'cannot be read' in line


def test_odd_boxes_of_coco_files(coco: Path, warnings: list[str]) -> None:
    data_set('coco', edited(coco, lambda document: None))
    assert warnings == []
    data_set('coco', edited(coco, each('annotations', 'bbox', [60, 20, 20, 20])))
    assert warnings == []
    data_set('coco', edited(coco, each('annotations', 'bbox', [60, 50, 80, 75])))
    assert len(warnings) == 1 and re.search(r'3 of 3 boxes reach beyond .* if they are corners, write', warnings[0])
    dataset = data_set('coco', edited(coco, first('bbox', [97, 10, 5, 5])))
    assert len(faces(dataset)) == 2 and 'annotation 1: 1 box(es) below 1 pixel or outside' in warnings[-1]
    dataset = data_set('coco', edited(coco, first('image_id', 77)))
    assert len(faces(dataset)) == 2 and 'annotation 1: 1 of no image of the file left out' in warnings[-1]


@pytest.fixture(scope='module')
def voc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_voc(tmp_path_factory.mktemp('voc'), train=2, val=0)


@pytest.fixture
def with_xml(voc: Path) -> Callable[[str, str], Path]:
    """The folder with one text of the first file replaced by another; afterwards all is as before."""
    path = voc / 'Annotations/train_0.xml'
    whole, listed = path.read_bytes(), (voc / 'ImageSets/Main/train.txt').read_bytes()

    def replace(old: str, new: str) -> Path:
        text = whole.decode()
        path.write_text(new if old == text else text.replace(old, new))
        return voc

    yield replace
    path.write_bytes(whole)
    (voc / 'ImageSets/Main/train.txt').write_bytes(listed)


@pytest.mark.parametrize(
    ('old', 'new'),
    [
        ('<difficult>0</difficult>', '<difficult>Unspecified</difficult>'),
        ('<difficult>0</difficult>', '<difficult/>'),
        ('<width>96</width>', '<width></width>'),
        ('<width>96</width>', '<width>0</width>'),
        ('<size><width>96</width><height>80</height><depth>3</depth></size>', '<size/>'),
        ('<name>face</name>', '<name> face\n</name>'),
        ('<xmin>21</xmin>', '<xmin>21.7</xmin>'),
    ],
)
def test_voc_files_that_leave_things_out(with_xml: Callable, old: str, new: str) -> None:
    dataset = data_set('voc', with_xml(old, new))
    assert faces(dataset) == [(*SIZE, CORNERS, 0)] * 2
    assert not any(one['ignore_flag'] for place in (0, 1) for one in dataset.get_data_info(place)['instances'])


@pytest.mark.parametrize(
    ('old', 'new', 'line'),
    [
        ('<annotation>', '', r'is not well-formed XML: write it again'),
        ('<annotation>', '<?xml version="1.0" encoding="klingon"?><annotation>', r'is not well-formed XML'),
        ('annotation>', 'html>', r'holds <html>, not <annotation>'),
        ('bndbox>', 'polygon>', r"object 1 \('face'\) has no bndbox; mend it or take it out"),
        ('<name>face</name>', '', r'object 1 has no name'),
        ('<xmax>73</xmax>', '<xmax></xmax>', r"object 1 \('face'\) has '' for xmax, which should be a number"),
        ('<xmax>73</xmax>', '', r"object 1 \('face'\) has no xmax"),
        ('<xmax>73</xmax>', '<xmax>inf</xmax>', r"has 'inf' for xmax"),
        ('<xmax>73</xmax>', '<xmax>nan</xmax>', r"has 'nan' for xmax"),
        ('<xmax>73</xmax>', '<xmax>1e300</xmax>', r"has '1e300' for xmax"),
        ('<xmax>73</xmax>', f'<xmax>{DIGITS}</xmax>', r"has '9+\.\.\.9+' for xmax"),
        ('<xmax>73</xmax>', '<xmax>9</xmax>', r'has xmin 21 above xmax 9: is it turned, or x y width height'),
        (
            '<difficult>0</difficult>',
            '<difficult>very</difficult>',
            r"has 'very' for difficult, which should be 0 or 1",
        ),
    ],
)
def test_faults_of_voc_files(with_xml: Callable, old: str, new: str, line: str) -> None:
    root = with_xml(old, new)
    with pytest.raises(InputError, match=rf'train_0\.xml.* {line}') as caught:
        data_set('voc', root)
    assert len(str(caught.value)) < 300


def test_empty_and_absent_voc_files(with_xml: Callable, voc: Path) -> None:
    path = voc / 'Annotations/train_0.xml'
    path.write_bytes(b'')
    with pytest.raises(InputError, match=r'train_0\.xml is empty'):
        data_set('voc', voc)
    path.unlink()
    with pytest.raises(InputError, match=r'train_0\.xml cannot be read \(No such file.*without folder and suffix'):
        data_set('voc', voc)


@pytest.mark.parametrize(
    'text', ['train_0  1\ntrain_1 -1\n', '\ufefftrain_0\n\ntrain_1', 'train_0  0 \r\ntrain_1  1\r\n']
)
def test_voc_lists_with_flags_and_marks(with_xml: Callable, voc: Path, text: str) -> None:
    (voc / 'ImageSets/Main/train.txt').write_text(text, encoding='utf-8', newline='')
    dataset = data_set('voc', voc)
    assert [dataset.get_data_info(place)['img_id'] for place in (0, 1)] == ['train_0', 'train_1']


def test_a_name_may_end_like_a_flag(with_xml: Callable, voc: Path) -> None:
    (voc / 'Annotations/night 1.xml').write_bytes((voc / 'Annotations/train_0.xml').read_bytes())
    (voc / 'ImageSets/Main/train.txt').write_text('night 1\ntrain_0 1\n')
    dataset = data_set('voc', voc)
    assert [dataset.get_data_info(place)['img_id'] for place in (0, 1)] == ['night 1', 'train_0']


def test_voc_lists_and_names_that_fit_nothing(with_xml: Callable, voc: Path, warnings: list[str]) -> None:
    with_xml('face', 'Face')
    (voc / 'ImageSets/Main/train.txt').write_text('train_0\n')
    with pytest.raises(InputError, match="the objects are called 'Face', none is 'face': write metainfo"):
        data_set('voc', voc)
    (voc / 'ImageSets/Main/train.txt').write_text('\n')
    with pytest.raises(InputError, match=r'train\.txt is empty'):
        data_set('voc', voc)
    with_xml('<xmax>73</xmax>', '<xmax>21</xmax>')
    (voc / 'ImageSets/Main/train.txt').write_text('train_0\ntrain_1\n')
    assert len(faces(data_set('voc', voc))) == 1
    assert len(warnings) == 1 and re.search(
        r'train_0\.xml: 1 box\(es\) without a width or height left out', warnings[0]
    )
