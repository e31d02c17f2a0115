"""exdark_to_coco: pycocotools and mmdet's CocoDataset read what it writes, and it says what ExDarkDataset says."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmdet.datasets import CocoDataset
from pycocotools.coco import COCO

from mmdark.datasets import ExDarkDataset
from tests.converters.converter_runs import fault, run
from tests.tiny_exdark import ROWS, label_text, write_exdark
from tests.tiny_own_data import SIZE


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = write_exdark(tmp_path / 'exdark')
    rows = [('Cup', 1.5, 2, 3, 4), ('People', -5, 0, 20, 30), ('Dog', 0, 0, 0, 9)]
    (root / 'ExDark_Annno' / 'Cup' / '2015_00005.jpg.txt').write_text(label_text(*rows))
    return root


def test_pycocotools_reads_a_split(root: Path, capsys: pytest.CaptureFixture) -> None:
    run('exdark_to_coco', root, '--split', 'test', '--out', root / 'out' / 'test.json')
    coco = COCO(str(root / 'out' / 'test.json'))
    images = coco.loadImgs(coco.getImgIds())
    assert images == [
        {
            'id': number,
            'file_name': f'{class_name}/{name}',
            'width': SIZE[0],
            'height': SIZE[1],
            'light': light,
            'place': place,
        }
        for number, (name, class_name, light, place, _) in enumerate(ROWS[3:], 1)
    ]
    boxes = [(coco.cats[a['category_id']]['name'], a['bbox']) for a in coco.loadAnns(coco.getAnnIds(imgIds=[2]))]
    assert boxes == [('Cup', [1.5, 2, 3, 4]), ('People', [-5, 0, 20, 30])]
    assert len(coco.cats) == 12 and '2 images, 3 objects' in capsys.readouterr().out


@pytest.mark.parametrize('coco_classes', [False, True])
def test_coco_data_set_agrees_with_exdark_data_set(root: Path, coco_classes: bool) -> None:
    run('exdark_to_coco', root, '--out', root / 'all.json', *(['--coco-classes'] if coco_classes else []))
    ours = ExDarkDataset(data_root=str(root), coco_classes=coco_classes, test_mode=True)
    theirs = CocoDataset(
        ann_file=str(root / 'all.json'),
        data_prefix={'img': str(root / 'ExDark')},
        metainfo=ours.metainfo,
        test_mode=True,
    )
    assert len(theirs) == 5
    for index in range(5):
        one, other = ours.get_data_info(index), theirs.get_data_info(index)
        assert one['img_path'] == other['img_path'] and one['instances'] == other['instances']


def test_faults(root: Path) -> None:
    assert 'nowhere is not a folder' in fault('exdark_to_coco', root / 'nowhere', '--out', root / 'a.json')
    (root / 'ExDark_Annno' / 'People' / '2015_00002.jpg.txt').write_text('nothing\n')
    assert "'% bbGt version=3' should stand here" in fault('exdark_to_coco', root, '--out', root / 'a.json')
    (root / 'ExDark' / 'Table' / '2015_00003.JPG').unlink()
    assert 'of 5 images 1 are not there' in fault('exdark_to_coco', root, '--out', root / 'a.json')
    assert not (root / 'a.json').exists()
    run('exdark_to_coco', root, '--split', 'test', '--out', root / 'a.json')
    arguments = ('--split', 'val', '--images', 'elsewhere', '--allow-missing', '--out', root / 'b.json')
    assert 'of 1 images 1 are not there' in fault('exdark_to_coco', root, *arguments)
