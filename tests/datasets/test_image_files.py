"""The size in a header is that of the pixels that LoadPhoto gives."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmdark.converters.yolo import yolo_to_images
from mmdark.datasets.image_files import image_size
from mmdark.datasets.transforms import LoadPhoto
from mmdark.errors import InputError

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.webp', '.tif'])
@pytest.mark.parametrize('orientation', range(1, 9))
def test_size_is_that_of_the_pixels(tmp_path: Path, suffix: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f'a{suffix}'
    Image.fromarray(PIXELS).save(path, exif=exif)
    height, width = LoadPhoto()({'img_path': str(path)})['img_shape']
    assert image_size(path) == (width, height) == ((20, 30) if orientation > 4 else (30, 20))


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'WEBP', 'TIFF', 'AVIF', 'MPO'])
def test_an_orientation_that_exif_does_not_have_turns_neither(tmp_path: Path, kind: str) -> None:
    path = tmp_path / 'a'
    try:
        Image.fromarray(PIXELS).save(path, kind, xmp=XMP)
    except (KeyError, OSError):
        pytest.skip(f'this Pillow writes no {kind}')
    height, width = LoadPhoto()({'img_path': str(path)})['img_shape']
    assert image_size(path) == (width, height)


def png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack('>I', len(content)) + name + content + struct.pack('>I', zlib.crc32(name + content))


def test_a_png_is_not_decoded_for_its_size(tmp_path: Path) -> None:
    """Its pixels are nonsense; its orientation stands behind them."""
    exif = Image.Exif()
    exif[0x0112] = 6
    header = struct.pack('>IIBBBBB', 16320, 12240, 8, 2, 0, 0, 0)
    orientation = png_chunk(b'eXIf', exif.tobytes().removeprefix(b'Exif\0\0'))
    parts = png_chunk(b'IHDR', header), png_chunk(b'IDAT', bytes(99)), orientation, png_chunk(b'IEND', b'')
    (tmp_path / 'a.png').write_bytes(b'\x89PNG\r\n\x1a\n' + b''.join(parts))
    assert image_size(tmp_path / 'a.png') == (12240, 16320)


def test_damaged_exif_data_are_no_damaged_header(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / 'a.jpg', exif=b'Exif\0\0no TIFF at all')
    assert LoadPhoto()({'img_path': str(tmp_path / 'a.jpg')})['img_shape'] == (20, 30)
    assert image_size(tmp_path / 'a.jpg') == (30, 20)


def large_jpeg(path: Path, width: int, height: int) -> None:
    """A small one with other numbers in its header."""
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, 'JPEG')
    path.write_bytes(file.getvalue().replace(struct.pack('>HH', 20, 30), struct.pack('>HH', height, width), 1))


@pytest.mark.parametrize(('width', 'height'), [(12000, 8000), (16320, 12240), (40000, 30000)])
def test_large_photographs_have_the_size_in_their_header(tmp_path: Path, width: int, height: int) -> None:
    large_jpeg(tmp_path / 'a.jpg', width, height)
    (tmp_path / 'a.txt').write_text('0 0.5 0.5 0.25 0.5')
    before = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        (image,), _ = yolo_to_images(tmp_path, tmp_path)
    assert (image.width, image.height, image.boxes[0].width) == (width, height, width / 4)
    assert before == Image.MAX_IMAGE_PIXELS, 'the limit holds elsewhere'


def test_damaged_headers_are_refused_in_a_line(tmp_path: Path) -> None:
    path = tmp_path / 'a.tif'
    Image.fromarray(PIXELS).save(path)
    content = path.read_bytes()
    for place in range(8, 200):
        path.write_bytes(content[:place] + b'\xff' + content[place + 1 :])
        try:
            image_size(path)
        except InputError as error:
            assert str(path) in str(error) and '\n' not in str(error)
