"""Folders and zips that are broken: in one file, or so that nothing can be scored."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

import pytest

from mmdark.errors import InputError
from mmdark.evaluation.prediction_files import read_wider_predictions
from tests.evaluation.tiny_predictions import FACES, GOOD, HIT, A, B, exact_ap, lay, pack


def encrypted(path: Path) -> Path:
    """A zip whose first file says that it needs a password."""
    data = bytearray(pack(path, {A: HIT, B: GOOD}).read_bytes())
    for mark, place in ((b'PK\x03\x04', 6), (b'PK\x01\x02', 8)):
        start = data.find(mark) + place
        (flags,) = struct.unpack_from('<H', data, start)
        struct.pack_into('<H', data, start, flags | 1)
    path.write_bytes(data)
    return path


def damaged(path: Path) -> Path:
    """A zip in which a byte of the first file is wrong."""
    with ZipFile(path, 'w', ZIP_STORED) as archive:
        archive.writestr(A, b'a\n1\n' + HIT)
        archive.writestr(B, GOOD)
    path.write_bytes(path.read_bytes().replace(HIT, HIT.replace(b'8', b'9'), 1))
    return path


@pytest.mark.parametrize(('make', 'reason'), [(encrypted, 'encrypted, password required'), (damaged, 'Bad CRC-32')])
def test_one_damaged_file_in_a_zip(make: Callable[[Path], Path], reason: str, tmp_path: Path) -> None:
    predictions, problems = read_wider_predictions(make(tmp_path / 'a.zip'), FACES)
    (line,) = problems
    assert line.startswith(f'{A}: cannot be read (') and reason in line and line.endswith('; it is left out')
    assert exact_ap(predictions) == 0.5


def truncated(folder: Path) -> Path:
    path = pack(folder / 'a.zip', {A: HIT, B: GOOD})
    path.write_bytes(path.read_bytes()[:-30])
    return path


def zip_in_zip(folder: Path) -> Path:
    return pack(folder / 'outer.zip', {'inner.zip': pack(folder / 'a.zip', {B: GOOD}).read_bytes()})


USELESS = {
    'nothing there': (lambda folder: folder / 'pred', 'does not exist: give a folder or a zip of .txt files'),
    'empty folder': (lambda folder: folder, 'holds no .txt file: one is needed for each image; it holds 0 other files'),
    'JSON': (lambda folder: lay(folder, {'pred.json': b'[]'}) / 'pred.json', 'is a single .json file: give a folder'),
    'one text': (lambda folder: lay(folder, {'b.txt': GOOD}) / 'b.txt', 'is a single .txt file: give a folder'),
    'no zip': (
        lambda folder: lay(folder, {'a.tar': b'no'}) / 'a.tar',
        'is no folder, and not a whole zip (File is not',
    ),
    'half a zip': (truncated, 'not a whole zip (File is not a zip file): pack or copy it again'),
    'zip in a zip': (zip_in_zip, 'holds no .txt file: one is needed for each image; it holds another zip, inner.zip'),
    'no file matches': (
        lambda folder: lay(folder, {'9--Press/q.txt': GOOD}),
        'none of its 1 files belongs to one of the 2 images: it has 9--Press/q.txt, where 0--Parade/a.txt is needed',
    ),
    'no row matches': (
        lambda folder: lay(folder, {B: b'b\n1\n30 30 10 10\n'}),
        f"holds no usable row x y w h score: {B}:3: '30 30 10 10' is not 5 numbers (x y w h score); the row is left",
    ),
    'no file is text': (
        lambda folder: lay(folder, {B: b'\x00'}),
        f'holds no usable row x y w h score: {B}: is binary, not text; it is left out',
    ),
}


@pytest.mark.parametrize(('make', 'message'), USELESS.values(), ids=USELESS)
def test_what_cannot_be_scored_is_refused_in_one_line(
    make: Callable[[Path], Path], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        read_wider_predictions(make(tmp_path), FACES)
    line = str(caught.value)
    assert message in line and line.startswith(str(tmp_path)) and '\n' not in line
