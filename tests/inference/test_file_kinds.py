"""What is an image and what a video is told by the content; links, brackets and animations in a folder."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mmdark.cli import detect, main
from mmdark.errors import InputError
from mmdark.inference import image_sources
from mmdark.inference.file_kinds import kind_of
from mmdark.inference.output_names import output_names
from mmdark.inference.video_frames import is_video

from .face_results import ToldInferencer
from .tiny_video import SquareFinder, lines_of, write_video

PIXELS = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)


def write(path: Path, kind: str, frames: int = 1) -> Path:
    """An image of so many pictures, by Pillow."""
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *others = [Image.fromarray(np.roll(PIXELS, 3 * number, axis=1)) for number in range(frames)]
    more = dict(save_all=True, append_images=others) if others else {}
    with path.open('wb') as file:
        first.save(file, kind, **more)
    return path


def below(inputs: object, folder: Path) -> list[str]:
    return [os.path.relpath(source.name, folder) for source in image_sources(inputs)]


@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'GIF', 'BMP', 'TIFF', 'WEBP', 'PPM', 'AVIF', 'JPEG2000'])
def test_an_image_is_found_whatever_its_name(tmp_path: Path, kind: str) -> None:
    try:
        path = write(tmp_path / 'photo', kind)
    except (KeyError, OSError):
        pytest.skip(f'this Pillow writes no {kind}')
    assert kind_of(path) == 'image' and not is_video(path)
    for name in ('a.dat', 'b.mp4', 'c.jfif'):
        (tmp_path / name).write_bytes(path.read_bytes())
    assert below(tmp_path, tmp_path) == ['a.dat', 'b.mp4', 'c.jfif', 'photo']
    assert below(f'{tmp_path}/*', tmp_path) == ['a.dat', 'b.mp4', 'c.jfif', 'photo']


@pytest.mark.parametrize('name', ['a.avi', 'a.mp4', 'a.mkv', 'a.webm', 'a.wmv'])
def test_a_video_is_found_whatever_its_name(tmp_path: Path, name: str) -> None:
    path = write_video(tmp_path / name, 3)
    if not path.exists() or not path.stat().st_size:
        pytest.skip('this OpenCV writes no such video')
    path.rename(tmp_path / 'clip')
    assert kind_of(tmp_path / 'clip') == 'video' and is_video(tmp_path / 'clip')


@pytest.mark.parametrize(
    'start',
    [
        b'\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9',
        b'\x00\x00\x01\xba\x44\x00',
        (b'\x47' + bytes(187)) * 3,
        (bytes(4) + b'\x47' + bytes(187)) * 3,
        b'FLV\x01\x05',
        b'\x00\x00\x00\x01\x67\x42',
        b'\x1a\x45\xdf\xa3\x9f',
        b'\x00\x00\x00\x14ftypqt  ',
    ],
    ids=['asf', 'vob', 'ts', 'm2ts', 'flv', 'h264', 'mkv', 'mov'],
)
def test_the_first_bytes_of_videos(tmp_path: Path, start: bytes) -> None:
    (tmp_path / 'a').write_bytes(start)
    assert kind_of(tmp_path / 'a') == 'video'


def test_what_is_neither(tmp_path: Path) -> None:
    for number, content in enumerate((b'', b'words', b'BM is no image', b'P5 words', b'GATTACA' * 400, bytes(5000))):
        (tmp_path / f'{number}').write_bytes(content)
    os.mkfifo(tmp_path / 'pipe')
    os.symlink('loop', tmp_path / 'loop')
    assert [kind_of(path) for path in tmp_path.iterdir()] == [None] * 8
    assert [is_video(tmp_path / name) for name in ('0', 'none.mp4', 'none')] == [False, True, False]


def test_a_stream_of_jpegs_is_a_video_and_a_phones_photograph_none(tmp_path: Path) -> None:
    picture = write(tmp_path / 'one', 'JPEG').read_bytes()
    (tmp_path / 'stream').write_bytes(picture * 3)
    (tmp_path / 'thumb').write_bytes(
        picture[:2] + b'\xff\xe1' + (len(picture) + 2).to_bytes(2, 'big') + picture + picture[2:]
    )
    write(tmp_path / 'several', 'MPO', 2)
    kinds = {name: kind_of(tmp_path / name) for name in ('one', 'stream', 'thumb', 'several')}
    assert kinds == dict(one='image', stream='video', thumb='image', several='image')


def test_linked_folders_are_followed_once(tmp_path: Path) -> None:
    photos, other = tmp_path / 'photos', tmp_path / 'other'
    for path in (photos / 'a.png', photos / 'z' / 'b.png', other / 'c.png', other / 'd' / 'e.png'):
        write(path, 'PNG')
    for name, target in (('self', '.'), ('to', other), ('again', other), ('a_link', photos / 'z'), ('.hidden', other)):
        (photos / name).symlink_to(target)
    (other / 'up').symlink_to(photos)
    assert below(photos, photos) == ['a.png', 'again/c.png', 'again/d/e.png', 'z/b.png']
    names = list(output_names([source.name for source in image_sources(photos)], [str(photos)]))
    assert names == ['a', 'again/c', 'again/d/e', 'z/b']


def test_a_pattern_in_a_folder_with_brackets(tmp_path: Path) -> None:
    for name in ('x[1]/a.png', 'x[1]/b c/d.png', 'x1/e.png', 'y1/f.png', 'y2/g.png'):
        write(tmp_path / name, 'PNG')
    assert below(f'{tmp_path}/x[1]/*.png', tmp_path) == ['x[1]/a.png']
    assert below(f'{tmp_path}/x[1]/**/*.png', tmp_path) == ['x[1]/a.png', 'x[1]/b c/d.png']
    assert below(f'{tmp_path}/y[12]/*.png', tmp_path) == ['y1/f.png', 'y2/g.png']


def test_a_format_that_is_not_read_is_named(tmp_path: Path) -> None:
    (tmp_path / 'a.heic').write_bytes(b'\x00\x00\x00\x18ftypheic' + bytes(100))
    (source,) = image_sources(tmp_path)
    with pytest.raises(InputError, match=r'^HEIC, which this OpenCV does not read; save it as JPEG or PNG$'):
        source.read()


@pytest.mark.parametrize('kind', ['GIF', 'WEBP', 'PNG'])
def test_of_an_animation_among_images_a_line_says_that_the_first_picture_was_taken(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / f'still.{kind}', kind)
    moving = write(tmp_path / f'moving.{kind}', kind, 3)
    for source in image_sources(tmp_path):
        assert source.read().shape == PIXELS.shape
    assert capsys.readouterr().err == f'{moving} is animated: only its first picture is used\n'


def test_an_animated_gif_that_is_named_is_a_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finder = SquareFinder(tmp_path / 'weights')
    monkeypatch.setattr(detect, '_inferencer', lambda args: finder)
    monkeypatch.chdir(tmp_path)
    write(tmp_path / 'moving.gif', 'GIF', 5)
    assert main(['detect', 'moving.gif', '--out-dir', 'out', '--json', '--quiet']) == 0
    assert len(lines_of(Path('out/moving.frames.jsonl'))) == 5


def test_a_video_among_images_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(detect, '_inferencer', lambda args: ToldInferencer())
    monkeypatch.chdir(tmp_path)
    write(Path('photos/a.png'), 'PNG')
    for name in ('photos/b.avi', 'photos/c.wmv', 'photos/d.vob'):
        Path(name).write_bytes(b'\x00\x00\x01\xba\x44' + bytes(99))
    assert main(['detect', 'photos', '--json', '--quiet']) == 0
    said = 'skipped, as it is among images: photos/b.avi and 2 more videos; name videos by themselves\n'
    assert capsys.readouterr().err == said
    cv2.imwrite('x.png', PIXELS)
    os.rename('x.png', 'x.mp4')
    assert main(['detect', 'x.mp4', '--json', '--quiet', '--out-dir', 'out']) == 0, 'an image, whatever its name'
    assert Path('out/results.json').exists()
