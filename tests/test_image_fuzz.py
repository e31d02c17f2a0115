"""Mutated images: each is read or refused in one line, within 20 seconds and 4 GB.

``MMDARK_FUZZ=full pytest tests/test_image_fuzz.py`` takes 500 of them (two minutes).
"""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from mmdark.datasets.image_files import image_size
from mmdark.errors import InputError
from mmdark.inference import image_sources
from tests.limited_child import LimitedChild, faults

COUNT = 500 if os.environ.get('MMDARK_FUZZ') == 'full' else 36
KINDS = {
    'jpg': dict(format='JPEG'),
    'progressive.jpg': dict(format='JPEG', progressive=True),
    'restarts.jpg': dict(format='JPEG', restart_marker_rows=1),
    'png': dict(format='PNG'),
    'webp': dict(format='WEBP'),
    'lossless.webp': dict(format='WEBP', lossless=True),
    'bmp': dict(format='BMP'),
    'tif': dict(format='TIFF'),
    'lzw.tif': dict(format='TIFF', compression='tiff_lzw'),
    'jpeg.tif': dict(format='TIFF', compression='jpeg'),
    'jp2': dict(format='JPEG2000'),
    'gif': dict(format='GIF'),
    'ppm': dict(format='PPM'),
}


def whole_files() -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    smooth = cv2.resize(rng.integers(0, 256, (12, 16, 3), np.uint8), (96, 64), interpolation=cv2.INTER_CUBIC)
    image, files = Image.fromarray(cv2.add(smooth, rng.integers(0, 40, smooth.shape, np.uint8))), {}
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind, options in KINDS.items():
        file = io.BytesIO()
        image.save(file, **options, **(dict(exif=exif) if kind in ('jpg', 'png', 'webp', 'lzw.tif') else {}))
        files[kind] = file.getvalue()
    return files


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """One to three changes, half of them in the header: bits, extreme numbers, parts zeroed, twice or missing."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        end = len(data) if rng.random() < 0.5 else min(len(data), 200)
        start = int(rng.integers(0, max(1, end)))
        length = int(rng.integers(1, max(2, len(data) // 4)))
        part = bytes(data[start : start + length])
        match rng.integers(0, 7):
            case 0:
                for place in rng.integers(0, max(1, end), 8):
                    data[place : place + 1] = (
                        bytes([data[place] ^ 1 << int(rng.integers(8))]) if place < len(data) else b''
                    )
            case 1:
                number = (b'\xff', b'\0', b'\x7f', b'\x80')[rng.integers(4)]
                data[start : start + 4] = number * int(rng.choice([1, 2, 4]))
            case 2:
                data[start : start + length] = bytes(len(part))
            case 3:
                del data[start : start + length]
            case 4:
                data[start:start] = part
            case 5:
                data[start : start + length] = rng.bytes(len(part))
            case 6:
                del data[start:]
    return bytes(data)


def mutants() -> Iterator[tuple[str, bytes]]:
    files, rng = whole_files(), np.random.default_rng(20)
    for number in range(COUNT):
        kind = list(files)[number % len(files)]
        yield f'{number}.{kind}', mutated(files[kind], rng)


def look(path: Path) -> str:
    """Read a file as ``mmdark detect`` does, as a PIL image, and its size as the converters do."""
    sources = image_sources([path])
    with suppress(Exception):  # what Image.open raises is seen by the person who calls it
        sources += image_sources(Image.open(path))
    outcomes = []
    for source in sources:
        try:
            pixels = source.read()
            assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.size
            outcomes.append('read')
        except InputError as error:
            assert len(str(error).splitlines()) == 1 and len(str(error)) <= 300, str(error)
            outcomes.append('refused')
    image_size(path)
    return ' '.join(outcomes)


def test_mutated_images(tmp_path: Path) -> None:
    outcomes = {}
    with LimitedChild() as child:
        for name, content in mutants():
            (tmp_path / name).write_bytes(content)
            outcomes[name] = child.run(look, tmp_path / name)
    kinds = Counter(outcome.kind for outcome in outcomes.values())
    print(dict(kinds), f'longest {max(outcome.seconds for outcome in outcomes.values()):.1f} s')
    print(Counter(outcome.said for outcome in outcomes.values() if outcome.kind == 'read'))
    print(f'most memory {max(outcome.peak for outcome in outcomes.values())} MB')
    assert faults(outcomes) == {}
