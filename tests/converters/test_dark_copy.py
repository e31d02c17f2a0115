"""darken.py: the copy is what the test pipeline sees, for any number of processes, and its annotations still fit."""

from __future__ import annotations

import json
import shutil
import time
import zlib
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmdet.registry import DATASETS
from mmengine.config import Config
from PIL import Image

from mmdark.apis import load_config
from mmdark.converters.dark_copy import renamed_annotation
from mmdark.dark_isp import ISPParameters, darken, sample_noise, sample_parameters
from tests.converters.converter_runs import fault, run
from tests.tiny_dark_face import write_dark_face
from tests.tiny_own_data import write_coco, write_voc, write_yolo
from tests.tiny_wider import FACE, ROOT, photo, write_wider

PIPELINE = Config.fromfile(ROOT / 'configs/dsfd_dark_wider.py').test_pipeline[:2]
"""Of the test in the dark."""


def seen_by_the_pipeline(path: Path) -> np.ndarray:
    """Pixels after the first two steps of the main config's test pipeline, rounded."""
    assert [step['type'] for step in PIPELINE] == ['LoadImageFromFile', 'DarkISP']
    return np.rint(Compose(PIPELINE)({'img_path': str(path)})['img']).astype(np.uint8)


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob('*') if path.is_file()}


def record(out: Path) -> dict:
    return json.loads((out / 'dark_isp.json').read_text())


def test_the_copy_is_what_the_pipeline_sees(tmp_path: Path) -> None:
    """Also through WiderDataset, by another data_root alone, for both of WIDER FACE's formats."""
    root, out = write_wider(tmp_path / 'wider', train=2, val=3), tmp_path / 'dark'
    (root / 'wider_face_split/list.txt').write_text(
        ''.join(f'WIDER_val/images/0--Noise/val_{i}.jpg 1 {" ".join(map(str, FACE))} 1\n' for i in range(3))
    )
    run('darken', root, '--out', out)
    assert len(list(out.rglob('*.png'))) == 5 and not list(out.rglob('*.jpg'))
    for annotation in ('wider_face_val_bbx_gt.txt', 'list.txt'):
        light, dark = (
            DATASETS.build(
                {
                    'type': 'WiderDataset',
                    'data_root': str(folder),
                    'data_prefix': {'img': 'WIDER_val/images'},
                    'ann_file': f'wider_face_split/{annotation}',
                }
            )
            for folder in (root, out)
        )
        for place in range(3):
            first, second = light.get_data_info(place), dark.get_data_info(place)
            assert first['instances'] == second['instances'] and len(first['instances']) == 1
            expected = seen_by_the_pipeline(Path(first['img_path']))
            assert 0 < expected.mean() < 60
            assert np.array_equal(cv2.imread(second['img_path']), expected)


def test_the_number_of_processes_changes_nothing(tmp_path: Path) -> None:
    root = write_wider(tmp_path / 'wider', train=5, val=2)
    for workers in (1, 2, 3):
        run('darken', root, '--out', tmp_path / str(workers), '--workers', workers)
    first, *others = (contents(tmp_path / str(workers)) for workers in (1, 2, 3))
    assert len(first) == 10 and all(other == first for other in others)
    run('darken', root, '--out', tmp_path / 'seed', '--seed', 1)
    assert all(first[name] != content for name, content in contents(tmp_path / 'seed').items() if name.endswith('.png'))


def test_the_record_repeats_each_image(tmp_path: Path) -> None:
    """From the parameters in the file, and the noise that follows them; with a preset that does not clip."""
    root, out = write_wider(tmp_path / 'wider', train=2, val=1), tmp_path / 'dark'
    run('darken', root, '--out', out, '--preset', 'dainet', '--seed', 3)
    written = record(out)
    assert written['settings'] == {'preset': 'dainet', 'seed': 3, 'format': 'png'}
    assert sorted(written['images']) == sorted(path.relative_to(out).as_posix() for path in out.rglob('*.png'))
    for name, entry in written['images'].items():
        source = entry.pop('source')
        parameters = ISPParameters(**{key: torch.tensor([value]) for key, value in entry.items()})
        light = torch.from_numpy(cv2.imread(str(root / source))[..., ::-1].copy()).permute(2, 0, 1)[None] / 255
        generator = torch.Generator().manual_seed(zlib.crc32(f'3:{Path(source).name}'.encode()))
        again = sample_parameters(1, 'dainet', generator)
        assert again == parameters
        dark = darken(light, parameters, sample_noise(light.shape, 'dainet', generator), 'dainet')[0] * 255
        expected = dark.round().clamp(0, 255).byte().permute(1, 2, 0).numpy()[..., ::-1]
        assert np.array_equal(cv2.imread(str(out / name)), expected)


def test_it_goes_on_where_it_was_broken_off(tmp_path: Path) -> None:
    root, out = write_wider(tmp_path / 'wider', train=4, val=1), tmp_path / 'dark'
    run('darken', root, '--out', out)
    whole = contents(out)
    pictures = sorted(out.rglob('*.png'))
    pictures[0].unlink()
    pictures[1].write_bytes(b'finished')  # a mark: what is there is not made again
    (out / 'dark_isp.json').write_text(json.dumps({'settings': record(out)['settings'], 'images': {}}))
    run('darken', root, '--out', out)
    marked = pictures[1].relative_to(out).as_posix()
    assert contents(out) == {**whole, marked: b'finished'}


def test_broken_images_are_listed_and_the_rest_is_done(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    root, out = write_wider(tmp_path / 'wider', train=4, val=1), tmp_path / 'dark'
    folder = root / 'WIDER_train/images/0--Noise'
    cut = (folder / 'train_1.jpg').read_bytes()
    (folder / 'train_1.jpg').write_bytes(cut[: len(cut) // 2])
    (folder / 'train_2.jpg').write_bytes(b'')
    (folder / '._train_0.jpg').write_bytes(b'left by macOS')
    assert '2 of 5 images could not be darkened' in fault('darken', root, '--out', out)
    listed = [line for line in capsys.readouterr().err.splitlines() if line.startswith('image ')]
    assert ['train_1.jpg is cut off' in listed[0], 'train_2.jpg is empty' in listed[1], len(listed)] == [True, True, 2]
    assert len(list(out.rglob('*.png'))) == len(record(out)['images']) == 3
    (folder / 'train_1.jpg').write_bytes(cut)
    photo(2).save(folder / 'train_2.jpg')
    run('darken', root, '--out', out)
    assert len(record(out)['images']) == 5


@pytest.mark.parametrize('image_format', ['png', 'jpg'])
def test_copies_of_coco_and_voc_load_through_our_configs(tmp_path: Path, image_format: str) -> None:
    """An XMLDataset reads ``<id>.jpg`` alone, so a VOC image keeps its name, and is a PNG all the same."""
    for name, write in (('coco', write_coco), ('voc', write_voc)):
        root, out = write(tmp_path / name), tmp_path / f'{name}_dark'
        run('darken', root, '--out', out, '--format', image_format)
        config = str(ROOT / f'configs/own_data/dsfd_dark_{name}.py')
        light, dark = (load_config(config, {'data_root': f'{folder}/'}) for folder in (root, out))
        light, dark = (DATASETS.build(cfg.val_dataloader.dataset.datasets[0]) for cfg in (light, dark))
        assert len(dark) == len(light) == 4
        for place in range(4):
            first, second = light.get_data_info(place), dark.get_data_info(place)
            assert first['instances'] == second['instances'] and len(first['instances']) == 1
            found, expected = cv2.imread(second['img_path']), seen_by_the_pipeline(Path(first['img_path']))
            if image_format == 'jpg':  # Pillow's JPEG of the same quality, with full colour
                content = BytesIO()
                Image.fromarray(expected[..., ::-1]).save(content, 'jpeg', quality=95, subsampling=0)
                expected = cv2.imdecode(np.frombuffer(content.getvalue(), np.uint8), cv2.IMREAD_COLOR)
            assert np.abs(found.astype(int) - expected).max() <= (0 if image_format == 'png' else 2)
            is_png = Path(second['img_path']).read_bytes().startswith(b'\x89PNG')
            assert is_png == (image_format == 'png')


def test_copies_of_yolo_dark_face_and_plain_folders(tmp_path: Path) -> None:
    root = write_yolo(tmp_path / 'yolo')
    run('darken', root, '--out', tmp_path / 'yolo_dark')
    assert (tmp_path / 'yolo_dark/train.txt').read_text() == (root / 'train.txt').read_text().replace('.jpg', '.png')
    assert (tmp_path / 'yolo_dark/labels/sub/0.txt').read_bytes() == (root / 'labels/sub/0.txt').read_bytes()
    root = write_dark_face(tmp_path / 'dark_face', numbers=(1, 2))
    run('darken', root, '--out', tmp_path / 'dark_face_dark')
    assert contents(tmp_path / 'dark_face_dark').keys() == {*contents(root), 'dark_isp.json'}
    plain = tmp_path / 'plain'
    plain.mkdir()
    photo(1).save(plain / 'a b.JPG', 'jpeg')
    photo(2).convert('L').save(plain / 'grey.bmp')
    (plain / 'notes.pdf').write_bytes(b'\xff\x00')
    run('darken', plain, '--out', tmp_path / 'plain_dark', '--format', 'jpg')
    assert contents(tmp_path / 'plain_dark').keys() == {'a b.JPG', 'grey.jpg', 'notes.pdf', 'dark_isp.json'}


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        ('a.jpg\n1\n1 2 3 4\n', 'a.png\n1\n1 2 3 4\n'),
        ('x/a.jpg 1 1 2 3 4 1\r\ny/b c.jpg 0\r\n', 'x/a.png 1 1 2 3 4 1\r\ny/b c.png 0\r\n'),
        ('C:\\in\\a.jpg,1\na.jpg;2', 'C:\\in\\a.png,1\na.png;2'),
        ('"a.jpg" "b c.jpg" a.jpg b c.jpg', '"a.png" "b c.png" a.png b c.png'),
        ('za.jpg a.jpg.bak a.jpgx other.jpg', 'za.jpg a.jpg.bak a.jpgx other.jpg'),
        ("it's.jpg 1", "it's.png 1"),
        ('ä/a.jpg', 'ä/a.png'),
    ],
)
def test_names_in_text(text: str, expected: str) -> None:
    renamed = {name: name.replace('jpg', 'png') for name in ('a.jpg', 'b c.jpg', "it's.jpg")}
    assert renamed_annotation('f.txt', text.encode(), renamed).decode() == expected
    assert renamed_annotation('f.md', text.encode(), renamed) == text.encode()


def test_bytes_that_are_no_text_stay() -> None:
    odd = b'\xff\xfe a.jpg\x00'
    assert renamed_annotation('f.txt', odd, {'b.jpg': 'b.png'}) == odd
    assert renamed_annotation('f.json', b'{"a": ["a.jpg"]}', {'a.jpg': 'a.png'}) == b'{"a": ["a.jpg"]}'


def test_what_cannot_be_done_is_said_in_one_line(tmp_path: Path) -> None:
    root, out = write_wider(tmp_path / 'wider', train=1, val=1), tmp_path / 'dark'
    assert 'is not a folder' in fault('darken', tmp_path / 'no', '--out', out)
    assert 'contain each other' in fault('darken', root, '--out', root / 'dark')
    assert 'contain each other' in fault('darken', root, '--out', tmp_path)
    assert 'give 1 to 100' in fault('darken', root, '--out', out, '--quality', 0)
    assert 'give 1 or more' in fault('darken', root, '--out', tmp_path / 'other', '--workers', 0)
    assert 'holds no image' in fault('darken', root / 'wider_face_split', '--out', out)
    run('darken', root, '--out', out)
    assert 'with other settings' in fault('darken', root, '--out', out, '--seed', 1)
    assert 'is a dark copy already' in fault('darken', out, '--out', tmp_path / 'darker')
    (out / 'dark_isp.json').write_text('{')
    assert 'dark_isp.json is broken' in fault('darken', root, '--out', out)
    (out / 'dark_isp.json').unlink()
    assert 'exists and is not a dark copy' in fault('darken', root, '--out', out)
    folder = root / 'WIDER_val/images/0--Noise'
    shutil.copy(folder / 'val_0.jpg', folder / 'val_0.bmp')
    message = fault('darken', root, '--out', tmp_path / 'new')
    assert 'val_0.bmp and ' in message and 'val_0.jpg would both become' in message
    assert not (tmp_path / 'new').exists()


def test_long_lines_take_no_time() -> None:
    line = '1 2 3 4 5 6 ' * 20000
    started = time.process_time()
    text = f'{line}in/a b.jpg {line}in/a b.jpg'
    renamed = renamed_annotation('f.csv', text.encode(), {'a b.jpg': 'a b.png'})
    assert renamed.decode() == text.replace('a b.jpg', 'a b.png')
    assert time.process_time() - started < 2  # seconds of computing
