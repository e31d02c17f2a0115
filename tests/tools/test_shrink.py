"""shrink.py: within the budget, and the boxes are still where the faces are.

The oracle for the boxes: each image is dark noise with one white rectangle; its extent in the resized image must be the
scaled box, within a pixel.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmdet.datasets import CocoDataset, XMLDataset
from PIL import Image

from mmdark.datasets import WiderDataset
from mmdark.datasets.resized_images import Resized, ResizedImages, Tally
from mmdark.datasets.scaled_annotations import scaled_annotation
from mmdark.datasets.small_copy import Setting, largest_setting, parse_budget
from mmdark.errors import InputError
from tests.converter_runs import fault, run
from tests.tiny_own_data import write_yolo

SHARED = Path(__file__).resolve().parents[3] / 'shared' / 'data' / 'wider'
SIZES = ((400, 300), (240, 320), (101, 77), (640, 90))
BOXES = ((40, 30, 120, 150), (60, 200, 90, 60), (11, 9, 30, 40), (500, 10, 77, 51))
"""x y w h of the white rectangle in each image."""
NAMES = [f'in/{place}.jpg' for place in range(4)]
META = {'metainfo': {'classes': ('face',)}}


def picture(place: int) -> np.ndarray:
    width, height = SIZES[place]
    pixels = np.random.default_rng(place).integers(0, 60, (height, width, 3), dtype=np.uint8)
    x, y, box_width, box_height = BOXES[place]
    pixels[y : y + box_height, x : x + box_width] = 255
    return pixels


@pytest.fixture
def everything(tmp_path: Path) -> Path:
    """One set of images with annotations of all formats."""
    root = tmp_path / 'set'
    for folder in ('in', 'VOC/JPEGImages', 'VOC/Annotations', 'dark/image', 'dark/label'):
        (root / folder).mkdir(parents=True)
    official, one_line, images, annotations = [], [], [], []
    for place, name in enumerate(NAMES):
        x, y, width, height = BOXES[place]
        for path in (name, f'VOC/JPEGImages/{place}.jpg', f'dark/image/{place}.png'):
            cv2.imwrite(str(root / path), picture(place), [cv2.IMWRITE_JPEG_QUALITY, 98] * (path[-3:] == 'jpg'))
        official += [name, '2', f'{x} {y} {width} {height} 2 0 1 0 0 0 ', '5 5 0 0 0 0 0 1 0 0 ']
        one_line.append(f'root/{name} 1 {x} {y} {width} {height} 1')
        images.append({'id': place, 'file_name': name, 'width': SIZES[place][0], 'height': SIZES[place][1]})
        polygon = [x, y, x + width, y, x + width, y + height]
        more = {'segmentation': [polygon], 'keypoints': [x, y, 2], 'area': width * height, 'iscrowd': 0}
        annotations.append({'id': place + 1, 'image_id': place, 'category_id': 1, 'bbox': list(BOXES[place]), **more})
        (root / f'dark/label/{place}.txt').write_text(f'1\n{x} {y} {x + width} {y + height}\n')
        (root / f'VOC/Annotations/{place}.xml').write_text(
            f'<annotation><filename>{place}.jpg</filename><size><width>{SIZES[place][0]}</width><height>'
            f'{SIZES[place][1]}</height></size><object><name>face</name><bndbox>'
            f'<xmin>{x + 1}</xmin><ymin>{y + 1}</ymin>'
            f'<xmax>{x + width + 1}</xmax><ymax>{y + height + 1}</ymax></bndbox></object></annotation>'
        )
    (root / 'gt.txt').write_text('\n'.join([*official, 'in/none.jpg', '0', '0 0 0 0 0 0 0 0 0 0 ']) + '\n')
    (root / 'list.txt').write_text('\n'.join([*one_line, 'in/gone.jpg 0']) + '\n')
    categories = [{'id': 1, 'name': 'face'}]
    (root / 'coco.json').write_text(
        json.dumps({'images': images, 'annotations': annotations, 'categories': categories})
    )
    (root / 'VOC/ids.txt').write_text('0\n1\n2\n3\n')
    (root / 'ground_truth.mat').write_bytes(b'MATLAB')
    write_yolo(root / 'yolo')
    return root


def bytes_of(root: Path) -> int:
    return sum(path.stat().st_size for path in root.rglob('*') if path.is_file())


def white(path: str | Path) -> list[int]:
    """x1 y1 x2 y2 of the white rectangle."""
    rows, columns = np.nonzero(cv2.imread(str(path)).min(2) > 150)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def check(dataset: WiderDataset | CocoDataset | XMLDataset, size: int) -> None:
    assert len(dataset) == 4
    for place in range(4):
        info = dataset.get_data_info(place)
        (face,) = info['instances']
        assert np.allclose(face['bbox'], white(info['img_path']), atol=1)
        width, height = Image.open(info['img_path']).size
        assert max(width, height) == min(size, max(SIZES[place]))
        assert (info.get('width', width), info.get('height', height)) == (width, height)


def test_boxes_of_all_formats_are_scaled_along(everything: Path, capsys: pytest.CaptureFixture) -> None:
    out = everything.parent / 'small'
    run('shrink', everything, '--out', out, '--budget', '10MiB', '--max-side', 120)
    line = capsys.readouterr().out
    assert 'longest side 120, quality 90' in line and '2 annotated images without a file left out' in line
    assert 'not scaled and left out: ground_truth.mat' in line and not (out / 'ground_truth.mat').exists()
    paths = [path.relative_to(everything) for path in everything.rglob('*') if path.is_file() and path.suffix != '.mat']
    assert sorted(paths) == sorted(path.relative_to(out) for path in out.rglob('*') if path.is_file())
    check(WiderDataset(data_root=str(out), ann_file='gt.txt'), 120)
    check(CocoDataset(data_root=str(out), ann_file='coco.json', data_prefix={'img': ''}, **META), 120)
    check(XMLDataset(data_root=str(out / 'VOC'), ann_file='ids.txt', data_prefix={'sub_data_root': ''}, **META), 120)
    for place in range(4):
        count, row = (out / f'dark/label/{place}.txt').read_text().splitlines()
        assert count == '1' and np.allclose(
            [float(v) for v in row.split()], white(out / f'dark/image/{place}.png'), atol=1
        )
        labels = f'yolo/labels/sub/{place % 3}.txt'
        assert (out / labels).read_bytes() == (everything / labels).read_bytes()
    official = (out / 'gt.txt').read_text().splitlines()
    assert official[:2] == ['in/0.jpg', '2'] and official[2:4] == ['12 9 36 45 2 0 1 0 0 0', '1.5 1.5 0 0 0 0 0 1 0 0']
    assert (out / 'list.txt').read_text().splitlines()[0] == 'root/in/0.jpg 1 12 9 36 45 1'
    first = json.loads((out / 'coco.json').read_text())['annotations'][0]
    assert first['bbox'] == [12, 9, 36, 45] and first['area'] == pytest.approx(36 * 45)
    assert first['segmentation'] == [[12, 9, 48, 9, 48, 54]] and first['keypoints'] == pytest.approx([12, 9, 2])


@pytest.mark.parametrize('share', [0.7, 0.4, 0.15])
def test_the_budget_is_kept_and_filled(tmp_path: Path, share: float, capsys: pytest.CaptureFixture) -> None:
    root, out = tmp_path / 'set', tmp_path / 'small'
    root.mkdir()
    for place in range(60):  # more than the sample, and of varied noise
        pixels = np.random.default_rng(place).integers(0, 30 + 3 * place, (150, 200, 3), dtype=np.uint8)
        cv2.imwrite(str(root / f'{place}.jpg'), cv2.GaussianBlur(pixels, (0, 0), 0.8), [cv2.IMWRITE_JPEG_QUALITY, 95])
    (root / 'rest.bin').write_bytes(os.urandom(20000))
    budget = int(bytes_of(root) * share) + 10000
    run('shrink', root, '--out', out, '--budget', f'{budget}B', '--workers', 2)
    assert 0.93 * budget < bytes_of(out) <= budget
    assert f'{bytes_of(out) / 2**20:.2f} MiB of a budget of {budget / 2**20:.2f} MiB' in capsys.readouterr().out
    assert len({Image.open(path).size for path in out.glob('*.jpg')}) == 1  # one setting for all


def test_the_largest_setting_that_fits() -> None:
    """Against trying every setting of the two legs, quality first."""

    def size(setting: Setting) -> float:
        return setting.max_side**2 * setting.quality**0.5

    ceiling = Setting(200, 90)
    legs = [Setting(200, quality) for quality in range(75, 91)] + [Setting(side, 75) for side in range(32, 200)]
    for room in (1e9, 375000, 360000, 346500, 200000, 9000):
        fitting = [setting for setting in legs if size(setting) <= room]
        assert largest_setting(size, room, ceiling) == max(fitting, key=size)
    assert largest_setting(size, 100, ceiling) is None
    assert largest_setting(size, 375000, Setting(200, 60)) == Setting(200, 60)


def test_small_images_are_copied_as_they_are(tmp_path: Path) -> None:
    root, out = tmp_path / 'set', tmp_path / 'small'
    root.mkdir()
    cv2.imwrite(str(root / 'small.jpg'), picture(0), [cv2.IMWRITE_JPEG_QUALITY, 50])
    cv2.imwrite(str(root / 'large.jpg'), picture(0), [cv2.IMWRITE_JPEG_QUALITY, 100])
    run('shrink', root, '--out', out, '--budget', '1MiB')
    assert (out / 'small.jpg').read_bytes() == (root / 'small.jpg').read_bytes()
    assert (out / 'large.jpg').stat().st_size < (root / 'large.jpg').stat().st_size


def test_faces_below_a_pixel_are_kept_and_counted() -> None:
    images = ResizedImages({'a.jpg': Resized((1000, 500), (100, 50))})
    tally = Tally()
    text = b'a.jpg\n3\n100 100 5 50\n0 0 300 300\n7 7 0 0\n'
    assert scaled_annotation('gt.txt', text, images, tally) == b'a.jpg\n3\n10 10 0.5 5\n0 0 30 30\n0.7 0.7 0 0\n'
    assert (tally.boxes, tally.below_pixel) == (3, 1)
    images = ResizedImages({'a.jpg': Resized((9000, 9000), (32, 32))})
    assert scaled_annotation('gt.txt', b'a.jpg 1 0 0 1 2 1', images, tally) == b'a.jpg 1 0 0 0.01 0.01 1\n'
    voc = '<annotation><filename>a.jpg</filename><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax>'
    voc += '</bndbox></annotation>'
    assert (
        scaled_annotation('a.xml', voc.format(10, 10, 20, 20).encode(), images, tally)
        == voc.format(1, 1, 2, 2).encode()
    )


def test_each_side_has_its_own_factor() -> None:
    """A short side is rounded more than a long one."""
    images = ResizedImages({'a.jpg': Resized((100, 10), (50, 4))})
    assert scaled_annotation('gt.txt', b'a.jpg 1 10 5 20 5 1', images, Tally()) == b'a.jpg 1 5 2 10 2 1\n'


@pytest.mark.parametrize('label', ['ExDark_Annno/Cup/a.JPG.txt', 'labels/a.txt'])
def test_labels_of_exdark_go_with_their_image(label: str) -> None:
    """That of the same folder and name, of two with that name; where it is not there, the label stays as it is."""
    names = ('ExDark/Cup/a.JPG', 'ExDark/Dog/a.JPG') if 'Cup' in label else ('images/a.jpg',)
    sizes = (Resized((1000, 500), (100, 50)), Resized((1000, 500), (500, 250)))
    images, tally = ResizedImages(dict(zip(names, sizes, strict=False))), Tally()
    text = b'% bbGt version=3\nCup 100 50 35 20 0 0 0 0 0 0 0\n\nPeople 0 -10 1000 500 1 0 0 0 0 0 0\n'
    scaled = b'% bbGt version=3\nCup 10 5 3.5 2 0 0 0 0 0 0 0\n\nPeople 0 -1 100 50 1 0 0 0 0 0 0\n'
    assert scaled_annotation(label, text, images, tally) == scaled and (tally.boxes, tally.absent_images) == (2, 0)
    assert scaled_annotation('labels/b.txt', text, images, tally) == text and tally.absent_images == 1
    with pytest.raises(InputError, match=r'labels/a\.txt:2: class .Tram. is none of the 12 of ExDark'):
        scaled_annotation('labels/a.txt', b'% bbGt version=3\nTram 1 2 3 4', ResizedImages({'a.jpg': sizes[0]}), tally)


def test_the_turned_image_is_written_as_it_is_seen(tmp_path: Path) -> None:
    root, out = tmp_path / 'set', tmp_path / 'small'
    root.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture(0)).save(root / 'a.jpg', exif=exif, quality=98)
    (root / 'gt.txt').write_text('a.jpg\n1\n30 40 60 80\n')
    run('shrink', root, '--out', out, '--budget', '1MiB', '--max-side', 200)
    assert Image.open(out / 'a.jpg').size == (150, 200) and not Image.open(out / 'a.jpg').getexif()
    assert (out / 'gt.txt').read_text() == 'a.jpg\n1\n15 20 30 40\n'


def test_images_of_one_name_are_told_apart() -> None:
    sizes = {'train/1.jpg': (100, 100), 'val/1.jpg': (200, 200), 'extra/1.jpg': (300, 300)}
    images = ResizedImages({name: Resized(size, (50, 50)) for name, size in sizes.items()})
    assert images.find('data/val/1.jpg', 'x.txt').old == (200, 200)
    assert images.find('1.jpg', 'x.json', (300, 300)).old == (300, 300)
    assert images.find('1.jpg', 'list_train2017.txt').old == (100, 100)
    assert images.find('2.jpg', 'x.txt') is None
    with pytest.raises(InputError, match=r'x\.txt: 1\.jpg may be train/1\.jpg or val/1\.jpg'):
        images.find('1.jpg', 'x.txt')


@pytest.mark.parametrize('encoding', ['ISO-8859-1', 'UTF-16', 'UTF-8'])
def test_xml_is_read_in_the_encoding_that_it_states(encoding: str) -> None:
    text = (
        f'<?xml version="1.0" encoding="{encoding}"?><annotation><folder>Bilder für Müller</folder><size><width>400'
        '</width><height>200</height></size><object><name>face</name><bndbox><xmin>101</xmin><ymin>41</ymin><xmax>201'
        '</xmax><ymax>81</ymax></bndbox></object></annotation>'
    )
    images = ResizedImages({'JPEGImages/a.jpg': Resized((400, 200), (200, 100))})
    scaled = scaled_annotation('Annotations/a.xml', text.encode(encoding), images, Tally()).decode()
    assert '<width>200</width><height>100</height>' in scaled and 'Müller' in scaled
    assert '<xmin>51</xmin><ymin>21</ymin><xmax>101</xmax><ymax>41</ymax>' in scaled


@pytest.mark.parametrize(
    ('name', 'content', 'said'),
    [
        ('faces.json', '{"images": []}'.encode('utf-16'), 'faces.json is not UTF-8'),
        ('faces.txt', 'in/f\u00fcr.jpg\n1\n1 2 3 4'.encode('latin-1'), 'faces.txt is not UTF-8'),
        ('results.json', b'[{"image_id": 1, "bbox": [1, 2, 3, 4]}]', 'results.json holds boxes without images'),
    ],
)
def test_boxes_that_cannot_be_scaled_are_refused(name: str, content: bytes, said: str) -> None:
    with pytest.raises(InputError, match=said):
        scaled_annotation(name, content, ResizedImages({}), Tally())


@pytest.mark.parametrize(
    'text', ['face\n', 'a.jpg\nb.jpg\n', '7\n', '000012 -1\n', '0 .5 .5 .1 .1\n', '\n', 'a.jpg 1\n']
)
def test_text_that_is_no_annotation_stays(text: str) -> None:
    images = ResizedImages({'a.jpg': Resized((10, 10), (5, 5)), 'x.jpg': Resized((10, 10), (5, 5))})
    assert scaled_annotation('x.txt', text.encode(), images, Tally()) == text.encode()
    assert scaled_annotation('x.json', b'[1, 2]', images, Tally()) == b'[1, 2]'
    assert scaled_annotation('x.xml', b'<a/>', images, Tally()) == b'<a/>'


@pytest.mark.parametrize(
    ('name', 'text', 'line'),
    [
        ('gt.txt', 'in/0.jpg\n2\n1 2 3 4\n', r'should have 2 faces'),
        ('a.xml', '<annotation>', r'a\.xml is not well-formed XML'),
        (
            'VOC/Annotations/0.xml',
            '<annotation><bndbox><xmin>1</xmin></bndbox></annotation>',
            r'0\.xml: bndbox 1 has no ymin',
        ),
        ('dark/label/0.txt', '1\n1 2 x 4\n', r'0\.txt: a row should be "x1 y1 x2 y2"'),
        ('coco.json', None, r'coco\.json: annotation 1 of the list has numbers that cannot be scaled'),
    ],
)
def test_faults_are_said_before_the_work(everything: Path, name: str, text: str | None, line: str) -> None:
    if text is None:
        document = json.loads((everything / name).read_text())
        document['annotations'][0]['bbox'] = [1, 2, 3]
        text = json.dumps(document)
    (everything / name).write_text(text)
    out = everything.parent / 'small'
    message = fault('shrink', everything, '--out', out, '--budget', '1MiB')
    assert re.search(line, message) and not out.exists()


def test_what_cannot_be_done_is_said_in_one_line(everything: Path, capsys: pytest.CaptureFixture) -> None:
    out = everything.parent / 'small'
    budget = ('--budget', '1MiB')
    assert 'give a number and kB' in fault('shrink', everything, '--out', out, '--budget', '45 parsecs')
    assert 'even the smallest copy takes about' in fault('shrink', everything, '--out', out, '--budget', '9kB')
    assert 'even the smallest copy takes about' in fault('shrink', everything, '--out', out, '--budget', '1kB')
    assert 'give a --max-side of 32 or more' in fault('shrink', everything, '--out', out, *budget, '--max-side', 8)
    assert 'lie in each other' in fault('shrink', everything, '--out', everything / 'small', *budget)
    assert not out.exists()
    (everything / 'in/1.jpg').write_bytes((everything / 'in/1.jpg').read_bytes()[:9000])
    (everything / 'in/2.jpg').write_bytes(b'')
    assert '2 of 15 images could not be resized' in fault('shrink', everything, '--out', out, *budget)
    told = capsys.readouterr()
    assert 'in/1.jpg is cut off' in told.err and 'in/2.jpg cannot be read' in told.err and '13 images' in told.out
    names = {image['file_name'] for image in json.loads((out / 'coco.json').read_text())['images']}
    assert names == {'in/0.jpg', 'in/3.jpg'}
    assert 'is there already' in fault('shrink', everything, '--out', out, *budget)


def test_budgets() -> None:
    sizes = {'45MiB': 45 * 2**20, '45 mb': 45 * 10**6, '1.5kB': 1500, '2GiB': 2**31, '100': 100}
    assert {text: parse_budget(text) for text in sizes} == sizes


@pytest.mark.skipif(not SHARED.is_dir(), reason='needs the WIDER FACE subset in shared/data beside the repository')
def test_real_images_within_a_budget(tmp_path: Path) -> None:
    """Real images; boxes keep their share of the image."""
    root, out = tmp_path / 'wider', tmp_path / 'small'
    lines = (SHARED / 'wider_face_split/wider_face_val_subset.txt').read_text().splitlines()[::7]
    for line in lines:
        (root / line.split()[0]).parent.mkdir(parents=True, exist_ok=True)
        (root / line.split()[0]).symlink_to(SHARED / line.split()[0])
    (root / 'list.txt').write_text('\n'.join(lines) + '\n')
    run('shrink', root, '--out', out, '--budget', '1MiB')
    assert 0.9 * 2**20 < bytes_of(out) <= 2**20
    light, small = (WiderDataset(data_root=str(folder), ann_file='list.txt') for folder in (root, out))
    assert len(light) == len(small) == len(lines)
    for place in range(len(lines)):
        first, second = light.get_data_info(place), small.get_data_info(place)
        sizes = [np.array([*Image.open(info['img_path']).size] * 2) for info in (first, second)]
        boxes = [np.array([face['bbox'] for face in info['instances']]).reshape(-1, 4) for info in (first, second)]
        assert np.allclose(boxes[0] / sizes[0], boxes[1] / sizes[1], atol=0.011 / sizes[1].min())


IMAGES = ResizedImages(dict.fromkeys(('JPEGImages/a.jpg', 'a.jpg'), Resized((10, 10), (5, 5))))
VOC = '<annotation><size><width>10</width></size><object><bndbox>{}</bndbox></object></annotation>'
SIDES = '<xmin>{}</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax>'


def coco_text(**fields: object) -> str:
    entry = {'id': 1, 'image_id': 1, 'bbox': [1, 2, 3, 4], 'area': 12, **fields}
    return json.dumps({'images': [{'id': 1, 'file_name': 'a.jpg'}], 'annotations': [entry]})


@pytest.mark.parametrize(
    ('name', 'text', 'line'),
    [
        ('Annotations/a.xml', VOC.format(SIDES.format('inf')), "a.xml: bndbox 1 has 'inf' for xmin"),
        ('Annotations/a.xml', VOC.format(SIDES.format('1e300')), "a.xml: bndbox 1 has '1e300' for xmin"),
        ('Annotations/a.xml', VOC.format('<xmin/>'), "a.xml: bndbox 1 has '' for xmin"),
        ('Annotations/a.xml', '', 'a.xml is empty'),
        ('a.json', coco_text(bbox=[1, 2, float('inf'), 4]), 'a.json: annotation 1 of the list has numbers that cannot'),
        ('a.json', coco_text(bbox=None), 'a.json: annotation 1 of the list'),
        ('a.json', coco_text(image_id=[1]), 'a.json: annotation 1 of the list'),
        ('a.json', coco_text(segmentation=[['x']]), 'a.json: annotation 1 of the list'),
        ('a.json', '{"images": [{"id": 1}], "annotations": []}', 'a.json: an image has no id or no file_name'),
        ('a.json', '{"images": [], "annotations": {}}', 'a.json: annotations should be a list, not {}'),
        ('a.json', '[' * 100_000, 'a.json is nested too deep'),
    ],
)
def test_numbers_that_cannot_be_scaled_are_named(name: str, text: str, line: str) -> None:
    with pytest.raises(InputError, match=re.escape(line)) as caught:
        scaled_annotation(name, text.encode(), IMAGES, Tally())
    assert len(str(caught.value)) <= 300


def test_what_is_missing_beside_the_boxes_does_not_matter() -> None:
    """An area that is no number, a size that is none, and a count of more than 4,300 digits, which is text then."""
    scaled = json.loads(scaled_annotation('a.json', coco_text(area=None).encode(), IMAGES, Tally()))
    assert scaled['annotations'][0] == {'id': 1, 'image_id': 1, 'bbox': [0.5, 1, 1.5, 2], 'area': None}
    assert b'<xmax>5</xmax>' in scaled_annotation(
        'Annotations/a.xml', VOC.format(SIDES.format(1)).encode(), IMAGES, Tally()
    )
    for text in (f'a.jpg\n{"9" * 5000}\n', f'a.jpg {"9" * 5000} 1 2 3 4 1\n', f'{"1 " * 50_000}\n'):
        assert scaled_annotation('a.txt', text.encode(), IMAGES, Tally()) == text.encode()
