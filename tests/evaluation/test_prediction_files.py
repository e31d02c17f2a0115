"""WIDER FACE prediction files: a table of broken ones, each with its line and with a score for the rest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmdark.evaluation.prediction_files import read_wider_predictions
from tests.evaluation.tiny_predictions import FACES, GOOD, HIT, HIT_ROW, MISS, MISS_ROW, A, B, exact_ap, lay, pack

SKIPS = 'the official tool would leave this image out'
NAMED = "the file's own name says which image it is"

# name of the case: the file of image a, the one line, the rows that are read of a (None: the file is left out)
BROKEN_WIDER = {
    'empty': (b'', f'{A}: is empty; its image counts as one without detections', []),
    'blank lines': (b'\n \r\n\t\n', f'{A}: is empty; its image counts as one without detections', []),
    'name alone': (b'a\n', f'{A}:1: the file ends where the number of rows should follow; its image has no rows', []),
    'no count': (b'a\n' + HIT, f'{A}:2: the number of rows should stand here; all rows are read; {SKIPS}', [HIT_ROW]),
    'no name': (b'1\n' + HIT, f"{A}:1: the image's name should stand here; {NAMED}", [HIT_ROW]),
    'no name, none found': (b'0\n', f"{A}:1: the image's name should stand here; {NAMED}", []),
    'count too great': (
        b'a\n3\n' + HIT,
        f'{A}:2: the number of rows says 3, there are 1; all rows are read; {SKIPS}',
        [HIT_ROW],
    ),
    'count too small': (
        b'a\n1\n' + HIT + MISS,
        f'{A}:2: the number of rows says 1, there are 2; all rows are read; '
        'the official tool would read the first 1 only',
        [HIT_ROW, MISS_ROW],
    ),
    'count a word': (
        b'a\nmany\n' + HIT,
        f"{A}:2: the number of rows should stand here, not 'many'; all rows are read",
        [HIT_ROW],
    ),
    'count negative': (
        b'a\n-1\n' + HIT,
        f"{A}:2: the number of rows should stand here, not '-1'; all rows are read",
        [HIT_ROW],
    ),
    'count NaN': (
        b'a\nnan\n' + HIT,
        f"{A}:2: the number of rows should stand here, not 'nan'; all rows are read",
        [HIT_ROW],
    ),
    'four numbers': (
        b'a\n2\n' + HIT + b'1 2 3 4\n',
        f"{A}:4: '1 2 3 4' is not 5 numbers (x y w h score); the row is left out",
        [HIT_ROW],
    ),
    'four and six': (  # ten numbers in two rows
        b'a\n2\n1 2 3 4\n10 10 20 20 0.8 7\n',
        f"{A}:3: '1 2 3 4' is not 5 numbers (x y w h score); the row is left out\n"
        f'{A}:4: more than 5 numbers (x y w h score); the first are used, as by the official tool',
        [HIT_ROW],
    ),
    'six numbers': (
        b'a\n1\n10 10 20 20 0.8 7\n',
        f'{A}:3: more than 5 numbers (x y w h score); the first are used, as by the official tool',
        [HIT_ROW],
    ),
    'words': (
        b'a\n3\nx y w h s\n' + HIT + b'face 1 2 3 4\n',
        f"{A}:3: 'x y w h s' is not 5 numbers (x y w h score); the row is left out (and 1 more like it)",
        [HIT_ROW],
    ),
    'a number of Python': (
        b'a\n2\n1_0 10 20 20 0.8\n' + HIT,
        f"{A}:3: '1_0 10 20 20 0.8' is not 5 numbers (x y w h score); the row is left out",
        [HIT_ROW],
    ),
    'NaN score': (
        b'a\n2\n10 10 20 20 nan\n' + HIT,
        f"{A}:3: '10 10 20 20 nan' holds a number that is not finite; the row is left out",
        [HIT_ROW],
    ),
    'infinite box': (
        b'a\n2\n' + HIT + b'10 10 1e999 20 0.5\n',
        f"{A}:4: '10 10 1e999 20 0.5' holds a number that is not finite; the row is left out",
        [HIT_ROW],
    ),
    'negative width': (
        b'a\n2\n' + HIT + b'9 9 -3 20 0.5\n',
        f'{A}:4: negative width or height; the row is kept and counts as a false detection, as in the official tool',
        [HIT_ROW, [9, 9, -3, 20, 0.5]],
    ),
    'commas': (
        b'a\n2\n10,10,20,20,0.8\n50, 50, 5, 5, 0.2\n',
        f'{A}:3: commas stand between the numbers; they are read as blanks (and 1 more like it)',
        [HIT_ROW, MISS_ROW],
    ),
    'unsorted': (
        b'a\n2\n' + MISS + HIT,
        f'1 of 2 files are not in order of falling score, the first is {A}; '
        'they are sorted, as the official tool does, too, so the AP is the same',
        [HIT_ROW, MISS_ROW],
    ),
    'another name': (b'c.jpg\n1\n' + HIT, f"{A}:1: the name is 'c.jpg', not 'a'; {NAMED}", [HIT_ROW]),
    'Latin-1': (
        'für/a\n1\n'.encode('latin-1') + HIT,
        f'{A}: is not UTF-8; it is read all the same, as Latin-1',
        [HIT_ROW],
    ),
    'UTF-16': (
        (b'a\n1\n' + HIT).decode().encode('utf-16'),
        f'{A}: is UTF-16, not UTF-8; it is read all the same',
        [HIT_ROW],
    ),
    'binary': (b'\x89PNG\r\n\x1a\n\x00\x00', f'{A}: is binary, not text; it is left out', None),
    'JSON': (b'[{"bbox": [10, 10, 20, 20]}]', f'{A}: is JSON, not rows of numbers; it is left out', None),
}

# the files beside b, the one line, whether a is found
BROKEN_FOLDERS = {
    'missing': ({}, '1 of 2 images have no file, the first is 0--Parade/a; they count as images without detections', 0),
    'unknown': (
        {A: b'a\n1\n' + HIT, '0--Parade/z.txt': GOOD},
        '1 of 3 files belong to no image of the ground truth, the first is 0--Parade/z.txt; they are left out',
        1,
    ),
    'no event folder': (
        {'a.txt': b'a\n1\n' + HIT},
        '1 of 2 files are not where the official tool looks for them, the first is a.txt; they are read by the names '
        'of their images; it looks for 0--Parade/a.txt',
        1,
    ),
    'image suffix kept': (
        {'0--Parade/a.jpg.txt': b'a\n1\n' + HIT},
        '1 of 2 files are not where the official tool looks for them, the first is 0--Parade/a.jpg.txt; they are read '
        'by the names of their images; it looks for 0--Parade/a.txt',
        1,
    ),
    'twice': (
        {A: b'a\n1\n' + HIT, 'old/0--Parade/a.txt': b'a\n0\n'},
        f'old/{A}: a second file of 0--Parade/a; it is left out, {A} was read',
        1,
    ),
    'other files': (
        {A: b'a\n1\n' + HIT, 'run.log': b'', 'submission.zip': b''},
        '2 files do not end in .txt, the first is run.log; they are left out',
        1,
    ),
}


@pytest.mark.parametrize(('data', 'lines', 'rows'), BROKEN_WIDER.values(), ids=BROKEN_WIDER)
def test_a_broken_file_has_its_line_and_the_rest_is_scored(
    data: bytes, lines: str, rows: list | None, tmp_path: Path
) -> None:
    files = {A: data, B: GOOD}
    for source in (lay(tmp_path / 'folder', files), pack(tmp_path / 'a.zip', files)):
        predictions, problems = read_wider_predictions(source, FACES)
        assert problems == lines.split('\n')
        assert ('0--Parade/a' in predictions) == (rows is not None)
        assert rows is None or predictions['0--Parade/a'].tolist() == rows
        assert predictions['1--Riot/b'].tolist() == [[30, 30, 10, 10, 0.9], [0, 0, 5, 5, 0.1]]
        assert exact_ap(predictions) == (1.0 if rows else 0.5)  # b's face first, then a's, if it is there


@pytest.mark.parametrize(('files', 'line', 'found'), BROKEN_FOLDERS.values(), ids=BROKEN_FOLDERS)
def test_a_broken_folder_has_its_line(files: dict, line: str, found: bool, tmp_path: Path) -> None:
    for source in (lay(tmp_path / 'folder', {**files, B: GOOD}), pack(tmp_path / 'a.zip', {**files, B: GOOD})):
        predictions, problems = read_wider_predictions(source, FACES)
        assert problems == [line]
        assert exact_ap(predictions) == (1.0 if found else 0.5)


HARMLESS = {
    'CRLF': b'a\r\n1\r\n10 10 20 20 0.8 \r\n',
    'tabs and blank lines': b'\n a \n1\n\n\t10\t10  20 20\t0.8\n\n\n',
    'BOM': b'\xef\xbb\xbfa\n1\n' + HIT,
    'no newline at the end': b'a\n1\n10 10 20 20 0.8',
    'path as name': b'0--Parade/a.jpg\n1\n' + HIT,
    'Windows path as name': b'C:\\val\\0--Parade\\a.jpg\n1\n' + HIT,
    'count with a point': b'a\n1.0\n' + HIT,
    'exponents': b'a\n1\n1e1 1.0E+1 2e+01 20. 80e-2\n',
}


@pytest.mark.parametrize('data', HARMLESS.values(), ids=HARMLESS)
@pytest.mark.parametrize('prefix', ['', 'val/', '/home/someone/val/', '../out/', 'x\\val\\'])
def test_what_is_harmless_is_read_without_a_word(data: bytes, prefix: str, tmp_path: Path) -> None:
    rubbish = {'__MACOSX/0--Parade/a.txt': b'\x00\x05', '0--Parade/._a.txt': b'\x00', '0--Parade/.DS_Store': b'\x00'}
    source = pack(tmp_path / 'a.zip', {A: data, B: GOOD, **rubbish}, prefix)
    predictions, problems = read_wider_predictions(source, FACES)
    assert problems == [] and predictions['0--Parade/a'].tolist() == [HIT_ROW]


def test_scores_of_any_scale_are_allowed(tmp_path: Path) -> None:
    source = lay(tmp_path, {A: b'a\n2\n1 1 5 5 97.5\n1 1 5 5 -3\n', B: GOOD})
    predictions, problems = read_wider_predictions(source, FACES)
    assert problems == [] and predictions['0--Parade/a'][:, 4].tolist() == [97.5, -3]


def test_the_quick_and_the_careful_way_read_the_same(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(scale=1e3, size=(50, 5))
    rows[:, 2:4] = np.abs(rows[:, 2:4])
    text = ''.join(' '.join(f'{value:.17g}' for value in row) + '\n' for row in rows.tolist())
    source = lay(tmp_path, {A: f'a\n50\n{text}'.encode(), B: f'b\n51\n{text}x\n'.encode()})
    predictions, problems = read_wider_predictions(source, FACES)
    expected = sorted(rows.tolist(), key=lambda row: -row[4])
    assert predictions['0--Parade/a'].tolist() == expected == predictions['1--Riot/b'].tolist()
    assert problems[0].startswith(f"{B}:53: 'x' is not 5 numbers") and problems[1].startswith('2 of 2 files are not in')


def test_a_detector_that_finds_nothing_is_no_error(tmp_path: Path) -> None:
    predictions, problems = read_wider_predictions(lay(tmp_path, {A: b'a\n0\n', B: b'b\n0\n'}), FACES)
    assert problems == [] and exact_ap(predictions) == 0


def test_a_name_of_two_events_says_no_image(tmp_path: Path) -> None:
    predictions, problems = read_wider_predictions(
        lay(tmp_path, {A: GOOD, 'a.txt': GOOD}), ['0--Parade/a', '1--Riot/a']
    )
    assert list(predictions) == ['0--Parade/a']
    assert '1 of 2 files belong to no image of the ground truth, the first is a.txt; they are left out' in problems


@pytest.mark.parametrize('count', ['9' * 5000, '\N{SUPERSCRIPT TWO}', '1e400', 'nan'])
def test_a_count_that_counts_nothing_is_a_problem(tmp_path: Path, count: str) -> None:
    """Python converts no whole number of more than 4,300 digits."""
    predictions, problems = read_wider_predictions(lay(tmp_path, {A: f'a\n{count}\n'.encode() + HIT}), FACES)
    assert predictions['0--Parade/a'].tolist() == [HIT_ROW]
    assert problems[0].startswith(f'{A}:2: the number of rows should stand here') and len(problems[0]) <= 300
