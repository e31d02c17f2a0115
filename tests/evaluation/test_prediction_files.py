"""Prediction and label files in the official formats: what is accepted, and the one line for each malformed file."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

import numpy as np
import pytest

from mmdark.errors import InputError
from mmdark.evaluation.prediction_files import (
    read_dark_face_labels,
    read_dark_face_predictions,
    read_image_list,
    read_wider_predictions,
)
from tests.evaluation.tiny_predictions import FACES, GOOD, HIT, HIT_ROW, A, B, exact_ap, lay, pack

FORM = 'write event/image.txt with image name, number of rows, rows "x y w h score"'
ROW = 'a row should be 5 finite numbers, "x y w h score", not'

MALFORMED = {
    'empty': (b'', f'{A} ends before the number of rows: {FORM}'),
    'blank lines': (b'\n \r\n\t\n', f'{A} ends before the number of rows'),
    'name alone': (b'a\n', f'{A} ends before the number of rows'),
    'no count': (b'a\n' + HIT, f"{A}:2: the number of rows should stand here, 0, not '10 10 20 20 0.8': {FORM}"),
    'no name': (b'1\n' + HIT, f"{A}:2: the number of rows should stand here, 0, not '10 10 20 20 0.8'"),
    'count too great': (b'a\n3\n' + HIT, f"{A}:2: the number of rows should stand here, 1, not '3'"),
    'count too small': (b'a\n1\n' + HIT + HIT, f"{A}:2: the number of rows should stand here, 2, not '1'"),
    'count a word': (b'a\nmany\n' + HIT, f"{A}:2: the number of rows should stand here, 1, not 'many'"),
    'count of many digits': (b'a\n' + b'9' * 5000 + b'\n' + HIT, f'{A}:2: the number of rows should stand here'),
    'four numbers': (b'a\n2\n' + HIT + b'1 2 3 4\n', f"{A}:4: {ROW} '1 2 3 4'"),
    'six numbers': (b'a\n1\n10 10 20 20 0.8 7\n', f"{A}:3: {ROW} '10 10 20 20 0.8 7'"),
    'one number': (b'a\n1\n7\n', f"{A}:3: {ROW} '7'"),
    'words': (b'a\n2\n' + HIT + b'face 1 2 3 4\n', f"{A}:4: {ROW} 'face 1 2 3 4'"),
    'NaN score': (b'a\n2\n10 10 20 20 nan\n' + HIT, f"{A}:3: {ROW} '10 10 20 20 nan'"),
    'infinite box': (b'a\n2\n' + HIT + b'10 10 1e999 20 0.5\n', f"{A}:4: {ROW} '10 10 1e999 20 0.5'"),
    'commas': (b'a\n1\n10,10,20,20,0.8\n', f"{A}:3: {ROW} '10,10,20,20,0.8'"),
    'Latin-1': ('für/a\n1\n'.encode('latin-1') + HIT, f'{A} is not UTF-8 text: write it again'),
    'UTF-16': ((b'a\n1\n' + HIT).decode().encode('utf-16'), f'{A} is not UTF-8 text'),
    'binary': (b'\x89PNG\r\n\x1a\n\x00\x00', f'{A} is not UTF-8 text'),
    'JSON': (b'[{"bbox": [10, 10, 20, 20]}]', f'{A} ends before the number of rows'),
}


@pytest.mark.parametrize(('data', 'message'), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_file_is_refused_with_its_line(data: bytes, message: str, tmp_path: Path) -> None:
    files = {A: data, B: GOOD}
    for source in (lay(tmp_path / 'folder', files), pack(tmp_path / 'a.zip', files)):
        with pytest.raises(InputError) as caught:
            read_wider_predictions(source, FACES)
        line = str(caught.value)
        assert line.startswith(str(source)) and message in line and '\n' not in line
        assert len(line.replace(str(tmp_path), '')) < 250


ACCEPTED = {
    'CRLF': b'a\r\n1\r\n10 10 20 20 0.8 \r\n',
    'tabs and blank lines': b'\n a \n1\n\n\t10\t10  20 20\t0.8\n\n\n',
    'BOM': b'\xef\xbb\xbfa\n1\n' + HIT,
    'no newline at the end': b'a\n1\n10 10 20 20 0.8',
    'path as name': b'0--Parade/a.jpg\n1\n' + HIT,
    'Windows path as name': b'C:\\val\\0--Parade\\a.jpg\n1\n' + HIT,
    'exponents': b'a\n1\n1e1 1.0E+1 2e+01 20. 80e-2\n',
}


@pytest.mark.parametrize('data', ACCEPTED.values(), ids=ACCEPTED)
@pytest.mark.parametrize('prefix', ['', 'val/', '/home/someone/val/', '../out/', 'x\\val\\'])
def test_what_is_accepted(data: bytes, prefix: str, tmp_path: Path) -> None:
    rubbish = {'__MACOSX/0--Parade/a.txt': b'\x00\x05', '0--Parade/._a.txt': b'\x00', '0--Parade/.DS_Store': b'\x00'}
    source = pack(tmp_path / 'a.zip', {A: data, B: GOOD, 'run.log': b'', **rubbish}, prefix)
    predictions, problems = read_wider_predictions(source, FACES)
    assert problems == [] and predictions['0--Parade/a'].tolist() == [HIT_ROW]


def test_rows_are_sorted_by_score_of_any_scale(tmp_path: Path) -> None:
    """As the official tool does; a negative width stays, because it counts as a false detection there."""
    source = lay(tmp_path, {A: b'a\n3\n1 1 5 5 -3\n1 1 -5 5 97.5\n2 1 5 5 -3\n', B: GOOD})
    predictions, problems = read_wider_predictions(source, FACES)
    assert problems == []
    assert predictions['0--Parade/a'].tolist() == [[1, 1, -5, 5, 97.5], [1, 1, 5, 5, -3], [2, 1, 5, 5, -3]]


def test_all_digits_are_read(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(scale=1e3, size=(50, 5))
    text = ''.join(' '.join(f'{value:.17g}' for value in row) + '\n' for row in rows.tolist())
    predictions, _ = read_wider_predictions(lay(tmp_path, {A: f'a\n50\n{text}'.encode(), B: GOOD}), FACES)
    assert predictions['0--Parade/a'].tolist() == sorted(rows.tolist(), key=lambda row: -row[4])


def test_a_detector_that_finds_nothing_is_no_error(tmp_path: Path) -> None:
    predictions, problems = read_wider_predictions(lay(tmp_path, {A: b'a\n0\n', B: b'b\n0\n'}), FACES)
    assert problems == [] and exact_ap(predictions) == 0


# the files beside b, the one line, whether a is found
ODD_FOLDERS = {
    'missing': ({}, '1 of 2 images have no file, the first is 0--Parade/a; they count as images without detections', 0),
    'unknown': (
        {A: b'a\n1\n' + HIT, '0--Parade/z.txt': b'\x00'},
        '1 of 3 files belong to no image of the ground truth, the first is 0--Parade/z.txt; they are left out',
        1,
    ),
}


@pytest.mark.parametrize(('files', 'line', 'found'), ODD_FOLDERS.values(), ids=ODD_FOLDERS)
def test_missing_and_unknown_files_are_problems(files: dict, line: str, found: bool, tmp_path: Path) -> None:
    for source in (lay(tmp_path / 'folder', {**files, B: GOOD}), pack(tmp_path / 'a.zip', {**files, B: GOOD})):
        predictions, problems = read_wider_predictions(source, FACES)
        assert problems == [line]
        assert exact_ap(predictions) == (1.0 if found else 0.5)


def test_two_files_of_an_image_are_refused(tmp_path: Path) -> None:
    source = lay(tmp_path, {A: b'a\n1\n' + HIT, f'old/{A}': b'a\n0\n'})
    with pytest.raises(InputError, match=r'holds two files of 0--Parade/a, one of them old/0--Parade/a\.txt: remove'):
        read_wider_predictions(source, FACES)


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


def truncated(path: Path) -> Path:
    path.write_bytes(pack(path, {A: HIT, B: GOOD}).read_bytes()[:-30])
    return path


UNUSABLE = {
    'nothing there': (lambda folder: folder / 'pred', 'does not exist: give a folder or a zip of .txt files'),
    'empty folder': (lambda folder: folder, 'holds no .txt file: one is needed for each image'),
    'JSON': (lambda folder: lay(folder, {'p.json': b'[]'}) / 'p.json', 'is neither a folder nor a zip of .txt files'),
    'one text': (lambda folder: lay(folder, {'b.txt': GOOD}) / 'b.txt', 'is neither a folder nor a zip of .txt files'),
    'half a zip': (lambda folder: truncated(folder / 'a.zip'), '(File is not a zip file): give one of these'),
    'no file matches': (
        lambda folder: lay(folder, {'9--Press/q.txt': GOOD}),
        'none of its 1 files belongs to one of the 2 images: it holds 9--Press/q.txt, where 0--Parade/a.txt is needed; '
        'give event/image.txt with image name, number of rows, rows "x y w h score"',
    ),
    'no event folder': (lambda folder: lay(folder, {'a.txt': GOOD}), 'none of its 1 files belongs to one of the 2'),
    'encrypted': (lambda folder: encrypted(folder / 'a.zip'), 'encrypted, password required'),
    'damaged': (lambda folder: damaged(folder / 'a.zip'), f'{A} cannot be read (Bad CRC-32'),
}


@pytest.mark.parametrize(('make', 'message'), UNUSABLE.values(), ids=UNUSABLE)
def test_what_cannot_be_scored_is_refused_in_one_line(
    make: Callable[[Path], Path], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        read_wider_predictions(make(tmp_path), FACES)
    line = str(caught.value)
    assert message in line and line.startswith(str(tmp_path)) and '\n' not in line


DARK_FACE_FAULTS = {
    'a head': (b'1\n1\n10 10 30 30 0.8\n', r"1\.txt:1: a row should be 5 finite numbers, .*, not '1'"),
    'four numbers': (b'10 10 30 30\n', r"1\.txt:1: a row should be 5 finite numbers, \"x1 y1 x2 y2 score\", not '10"),
}


@pytest.mark.parametrize(('data', 'message'), DARK_FACE_FAULTS.values(), ids=DARK_FACE_FAULTS)
def test_malformed_dark_face_predictions(data: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read_dark_face_predictions(lay(tmp_path, {'1.txt': data}), ['1'])


def test_dark_face_predictions(tmp_path: Path) -> None:
    """An empty file is no detections; folders do not matter."""
    files = {'1.txt': b'', '2.txt': b'\n', 'sub/3.txt': b'5 5 25 25 0.1\n5 5 2 2 0.9\n'}
    predictions, problems = read_dark_face_predictions(lay(tmp_path, files), ['1', '2', '3'])
    assert problems == [] and [len(rows) for rows in predictions.values()] == [0, 0, 2]
    assert predictions['3'].tolist() == [[5, 5, 2, 2, 0.9], [5, 5, 25, 25, 0.1]]


LABEL_FAULTS = {
    'empty': (b'', r'1\.txt ends before the number of rows: write image\.txt with number of rows, rows "x1 y1 x2 y2"'),
    'no count': (b'1 2 3 4\n', r"1\.txt:1: the number of rows should stand here, 0, not '1 2 3 4'"),
    'count too great': (b'2\n1 2 3 4\n', r"1\.txt:1: the number of rows should stand here, 1, not '2'"),
    'three numbers': (b'1\n1 2 3\n', r'1\.txt:2: a row should be 4 finite numbers'),
    'NaN': (b'1\n1 2 3 nan\n', r'1\.txt:2: a row should be 4 finite numbers'),
}


@pytest.mark.parametrize(('data', 'message'), LABEL_FAULTS.values(), ids=LABEL_FAULTS)
def test_malformed_labels(data: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        read_dark_face_labels(lay(tmp_path, {'1.txt': data, '2.txt': b'1\n5 5 25 25\n', '1.png': b'\x89'}))


def test_only_the_listed_labels_are_read(tmp_path: Path) -> None:
    source = lay(tmp_path / 'label', {'1.txt': b'malformed', '2.txt': b'1\n25 25 5 5\n'})
    listed = lay(tmp_path, {'list.txt': b'./data/gt/2.txt\r\n\r\n./data/gt/3.txt\n2.png\n'}) / 'list.txt'
    faces, problems = read_dark_face_labels(source, read_image_list(listed))
    assert {name: rows.tolist() for name, rows in faces.items()} == {'2': [[25, 25, 5, 5]]}
    assert problems == ['1 of 2 images have no file, the first is 3; they are not scored']


@pytest.mark.parametrize(
    ('data', 'message'), [(None, 'cannot be read'), (b'\n', 'is empty: it should'), (b'\x00', 'is not UTF-8 text')]
)
def test_a_broken_list(data: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / 'list.txt'
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InputError, match=message):
        read_image_list(path)
