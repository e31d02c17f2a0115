"""What is damaged inside is told from what is whole; the oracle is what was done to the file."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from mmdark.datasets.transforms.file_damage import damage_of
from mmdark.datasets.transforms.jpeg_damage import CUT

KINDS = {
    'baseline': dict(format='JPEG'),
    'optimised': dict(format='JPEG', optimize=True),
    'progressive': dict(format='JPEG', progressive=True),
    'restarts': dict(format='JPEG', restart_marker_rows=1),
    'often restarted': dict(format='JPEG', restart_marker_blocks=1),
    'webp': dict(format='WEBP'),
    'lossless webp': dict(format='WEBP', lossless=True),
    'jpeg 2000': dict(format='JPEG2000'),
}
JPEG = [name for name, options in KINDS.items() if options['format'] == 'JPEG']
ONE_SCAN = ['baseline', 'optimised', 'restarts', 'often restarted']


def picture(mode: str = 'RGB') -> Image.Image:
    """Rough enough for compressed data of some length, in the last pixel, too."""
    rng = np.random.default_rng(0)
    smooth = cv2.resize(rng.integers(0, 256, (24, 32, 3), np.uint8), (160, 120), interpolation=cv2.INTER_CUBIC)
    return Image.fromarray(cv2.add(smooth, rng.integers(0, 40, smooth.shape, np.uint8))).convert(mode)


def encoded(image: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    image.save(file, **KINDS[kind])
    return file.getvalue()


def found(content: bytes) -> str | None:
    """As ``LoadPhoto`` asks: of the bytes, and where they look well, of the pixels."""
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    return damage_of(content) or (None if pixels is None else damage_of(content, pixels))


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('mode', ['RGB', 'L', 'CMYK'])
def test_whole(kind: str, mode: str) -> None:
    if mode == 'RGB' or kind in JPEG:
        content = encoded(picture(mode), kind)
        assert found(content) is None
        assert found(content + b'\0' * 99 + b'\xff\xd8 what phones append') is None


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('value', [2, 128])
def test_areas_without_structure_are_whole(kind: str, value: int) -> None:
    """Encoders write hundreds of zeros for some, and the last pixel may be what libjpeg gives for missing data."""
    pixels = np.full((400, 640, 3), value, np.uint8)
    assert found(encoded(Image.fromarray(pixels), kind)) is None
    pixels[200:260, 300:360] = np.random.default_rng(0).integers(0, 256, (60, 60, 3))
    assert found(encoded(Image.fromarray(pixels), kind)) is None


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('place', [0.5, 0.6, 0.7])
def test_a_zeroed_part(kind: str, place: float) -> None:
    content = bytearray(encoded(picture(), kind))
    start, length = int(len(content) * place), max(len(content) // 8, 300)
    content[start : start + length] = bytes(length)
    assert found(bytes(content))


@pytest.mark.parametrize('kind', [*JPEG, 'webp', 'jpeg 2000'])
def test_an_erased_part(kind: str) -> None:
    content = bytearray(encoded(picture(), kind))
    start = len(content) // 2
    content[start : start + 64] = b'\xff' * 64
    assert found(bytes(content))


@pytest.mark.parametrize('kind', ONE_SCAN)
@pytest.mark.parametrize('mode', ['RGB', 'L', 'CMYK'])
@pytest.mark.parametrize('part', [0.6, 0.8, 0.97])
def test_cut_and_closed_by_an_end_marker(kind: str, mode: str, part: float) -> None:
    content = encoded(picture(mode), kind)
    assert found(content[: int(len(content) * part)] + b'\xff\xd9')


def test_a_progressive_one_that_was_closed_before_its_last_scan() -> None:
    content = encoded(picture(), 'progressive')
    assert found(content[: content.rfind(b'\xff\xda') - 40] + b'\xff\xd9') == 'some of its scans are missing'


@pytest.mark.parametrize('kind', ONE_SCAN)
def test_a_missing_part(kind: str) -> None:
    content = encoded(picture(), kind)
    middle = len(content) // 2
    assert found(content[:middle] + content[middle + 1000 :])


@pytest.mark.parametrize('kind', JPEG)
def test_the_end_marker_of_a_jpeg_may_be_missing_but_nothing_else(kind: str) -> None:
    content = encoded(picture(), kind)
    assert damage_of(content[:-2]) is damage_of(content[:-1]) is None
    for missing in (20, 200, len(content) // 2):
        assert damage_of(content[:-missing]) == CUT


@pytest.mark.parametrize('kind', ['webp', 'lossless webp', 'jpeg 2000'])
@pytest.mark.parametrize('missing', [2, 200, 2000])
def test_cut(kind: str, missing: int) -> None:
    assert damage_of(encoded(picture(), kind)[:-missing]) == CUT


def test_a_cut_bmp() -> None:
    content = cv2.imencode('.bmp', np.asarray(picture()))[1].tobytes()
    assert damage_of(content) is None and damage_of(content[:-1]) == CUT


def test_restart_markers_out_of_order() -> None:
    content = encoded(picture(), 'restarts')
    assert damage_of(content.replace(b'\xff\xd2', b'\xff\xd5')) == 'its restart markers are not in their order'


def test_fill_bytes_before_a_marker_are_whole() -> None:
    content = encoded(picture(), 'restarts')
    assert found(content[:-2] + b'\xff\xff\xff\xd9') is found(content.replace(b'\xff\xd1', b'\xff\xff\xd1')) is None


@pytest.mark.parametrize('kind', JPEG)
def test_good_files_are_not_decoded_to_see_that(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that looking for damage stays a small part of reading."""
    monkeypatch.setattr('mmdark.datasets.transforms.file_damage.decoded', pytest.fail)
    assert found(encoded(picture(), kind)) is None
