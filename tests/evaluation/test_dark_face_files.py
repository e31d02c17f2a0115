"""DARK FACE's predictions, labels and lists: tables of broken ones, each with its line and with what is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmdark.errors import InputError
from mmdark.evaluation.dark_face_protocol import evaluate_dark_face
from mmdark.evaluation.prediction_files import read_dark_face_labels, read_dark_face_predictions, read_image_list
from tests.evaluation.tiny_predictions import lay

SKIPS = 'the official tool would leave this image out'
LABELS = {'1': np.array([[10.0, 10, 30, 30]]), '2': np.array([[5.0, 5, 25, 25]])}
BROKEN_DARK_FACE = {
    'a head': (
        b'1\n1\n10 10 30 30 0.8\n',
        '1.txt:1: a name or a count, which this format does not have; it is left out (and 1 more like it)',
        1,
    ),
    'four numbers': (
        b'10 10 30 30\n10 10 30 30 0.5\n',
        "1.txt:1: '10 10 30 30' is not 5 numbers (x1 y1 x2 y2 score); the row is left out",
        1,
    ),
    'x y w h': (
        b'10 10 5 5 0.8\n',
        '1.txt:1: x2 < x1 or y2 < y1 (is it x y w h? x1 y1 x2 y2 score is needed); '
        'the row is kept and counts as a false detection, as in the official tool',
        0,
    ),
    'NaN box': (
        b'10 10 30 NaN 0.8\n',
        "1.txt:1: '10 10 30 NaN 0.8' holds a number that is not finite; the row is left out",
        0,
    ),
    'binary': (b'\x00\x01', '1.txt: is binary, not text; it is left out', 0),
}


@pytest.mark.parametrize(('data', 'line', 'found'), BROKEN_DARK_FACE.values(), ids=BROKEN_DARK_FACE)
def test_broken_dark_face_predictions(data: bytes, line: str, found: bool, tmp_path: Path) -> None:
    good = b'5 5 25 25 0.9\n50 50 60 60 0.1\n'
    predictions, problems = read_dark_face_predictions(lay(tmp_path, {'1.txt': data, 'sub/2.txt': good}), LABELS)
    assert problems == [line]
    assert evaluate_dark_face(predictions, LABELS).exact.average_precision == (1.0 if found else 0.5)


def test_no_detections_in_dark_face_is_an_empty_file(tmp_path: Path) -> None:
    predictions, problems = read_dark_face_predictions(lay(tmp_path, {'1.txt': b'', '2.txt': b'\n'}), LABELS)
    assert problems == [] and [len(rows) for rows in predictions.values()] == [0, 0]


BROKEN_LABELS = {
    'empty': (b'', '1.txt: is empty; its image counts as one without faces', []),
    'no count': (
        b'1 2 3 4\n',
        f'1.txt:1: the number of rows should stand here; all rows are read; {SKIPS}',
        [[1, 2, 3, 4]],
    ),
    'count too great': (
        b'2\n1 2 3 4\n',
        f'1.txt:1: the number of rows says 2, there are 1; all rows are read; {SKIPS}',
        [[1, 2, 3, 4]],
    ),
    'three numbers': (
        b'2\n1 2 3 4\n1 2 3\n',
        "1.txt:3: '1 2 3' is not 4 numbers (x1 y1 x2 y2); the row is left out",
        [[1, 2, 3, 4]],
    ),
    'x y w h': (
        b'1\n50 60 20 20\n',
        '1.txt:2: x2 < x1 or y2 < y1 (is it x y w h? x1 y1 x2 y2 is needed); '
        'the row is kept and counts as a face that nothing can find, as in the official tool',
        [[50, 60, 20, 20]],
    ),
    'NaN': (b'1\n1 2 3 nan\n', "1.txt:2: '1 2 3 nan' holds a number that is not finite; the row is left out", []),
    'JSON': (b'{"faces": []}', '1.txt: is JSON, not rows of numbers; it is left out', None),
}


@pytest.mark.parametrize(('data', 'line', 'rows'), BROKEN_LABELS.values(), ids=BROKEN_LABELS)
def test_broken_labels(data: bytes, line: str, rows: list | None, tmp_path: Path) -> None:
    source = lay(tmp_path, {'1.txt': data, '2.txt': b'1\n5 5 25 25\n', '1.png': b'\x89'})
    faces, problems = read_dark_face_labels(source)
    assert problems == [line] and faces['2'].tolist() == [[5, 5, 25, 25]]
    assert faces['1'].tolist() == rows if rows is not None else '1' not in faces


def test_only_the_listed_labels_are_read(tmp_path: Path) -> None:
    source = lay(tmp_path / 'label', {'1.txt': b'0\n', '2.txt': b'1\n5 5 25 25\n'})
    listed = lay(tmp_path, {'list.txt': b'./data/gt/2.txt\r\n\r\n./data/gt/3.txt\n2.png\n'}) / 'list.txt'
    faces, problems = read_dark_face_labels(source, read_image_list(listed))
    assert list(faces) == ['2']
    assert problems == ['1 of 2 images have no file, the first is 3; they are not scored']


@pytest.mark.parametrize(
    ('data', 'message'),
    [(None, 'does not exist'), (b'\n', 'is empty: it should'), (b'\x00', 'is binary, not text: it')],
)
def test_a_broken_list(data: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / 'list.txt'
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InputError, match=message):
        read_image_list(path)
