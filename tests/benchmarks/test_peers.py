"""Detectors side by side: what is shown to them, in which order, what is timed, and the table."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.face_finders import FoundFaces
from benchmarks.peers import (
    Compared,
    compare,
    peers_table,
    photographs,
    views,
)
from mmdark.converters.dark_copy import DarkSettings, darken_folder
from mmdark.datasets.transforms import Brighten
from mmdark.errors import InputError
from mmdark.evaluation.face_scores import LabelledFaces
from tests.tiny_wider import FACE, write_wider
from tools.analysis_tools.face_labels import read_face_labels, read_night_list

ANNOTATION = """a--A/1.jpg
3
10 20 30 40 0 0 1 0 0 0
1 1 0 9 0 0 1 0 0 0
5 6 7 8 0 0 0 1 0 0
a--A/2.jpg
0
0 0 0 0 0 0 0 0 0 0
"""


def test_labels_and_night_list(tmp_path: Path) -> None:
    (tmp_path / 'gt.txt').write_text(ANNOTATION)
    (tmp_path / 'night.txt').write_text('a--A/2.jpg\n\nb--B/3.jpg\n')
    labels = read_face_labels(tmp_path / 'gt.txt')
    np.testing.assert_array_equal(labels['a--A/1.jpg'].boxes, [[10, 20, 40, 60], [5, 6, 12, 14]])
    assert labels['a--A/1.jpg'].badly_lit.tolist() == [True, False]
    assert list(labels) == ['a--A/1.jpg', 'a--A/2.jpg'] and labels['a--A/2.jpg'].boxes.shape == (0, 4)
    assert read_night_list(tmp_path / 'night.txt', labels) == {'a--A/2.jpg'}
    with pytest.raises(InputError, match=r'night\.txt: none of its 2 images is among those with labels'):
        read_night_list(tmp_path / 'night.txt', ['a--A/1.jpg'])


def test_missing_images_are_named(tmp_path: Path) -> None:
    root = write_wider(tmp_path / 'wider')
    name = '0--Noise/val_0.jpg'
    expected = root / 'WIDER_val' / 'images' / '0--Noise' / 'val_0.jpg'
    assert photographs(root, [name]) == photographs(root / 'WIDER_val' / 'images', [name]) == {name: expected}
    with pytest.raises(InputError, match=r'--data-root .*: 2 of 3 images are not there \(b/c\.jpg first\)'):
        photographs(root, [name, 'b/c.jpg', 'd/e.jpg'])


def test_the_dark_is_that_of_a_dark_copy(tmp_path: Path) -> None:
    root = write_wider(tmp_path / 'wider', train=0, val=1)
    darken_folder(root, tmp_path / 'dark', DarkSettings(), workers=1)
    path = next(root.rglob('val_0.jpg'))
    dark = cv2.imread(str(next((tmp_path / 'dark').rglob('val_0.png'))))
    day = cv2.imread(str(path))
    shown = dict(views(day, path, ['dark+gamma', 'dark', 'day', 'day+clahe']))
    assert list(shown) == ['dark+gamma', 'dark', 'day', 'day+clahe']
    np.testing.assert_array_equal(shown['dark'], dark)
    np.testing.assert_array_equal(shown['day'], day)
    np.testing.assert_array_equal(shown['dark+gamma'], Brighten('gamma').transform({'img': dark})['img'])
    np.testing.assert_array_equal(shown['day+clahe'], Brighten('clahe').transform({'img': day})['img'])
    assert dark.mean() < day.mean() < shown['day+clahe'].mean()


def test_detectors_take_turns_after_a_warm_up(tmp_path: Path) -> None:
    root = write_wider(tmp_path / 'wider', train=0)
    photos = photographs(root, ['0--Noise/val_0.jpg', '0--Noise/val_1.jpg'])
    calls = []

    def finder(name: str, seconds: float | None) -> object:
        def find(image: np.ndarray) -> FoundFaces:
            calls.append((name, round(float(image.mean()), 3)))
            return FoundFaces(np.full((1, 5), float(len(calls))), seconds)

        return find

    results = compare({'A': finder('A', 0.25), 'B': finder('B', None)}, photos, ['day', 'dark'])
    assert [name for name, _ in calls] == ['A', 'B', *'ABAB' * 2]
    first, last = (round(float(cv2.imread(str(path)).mean()), 3) for path in photos.values())
    assert [mean for _, mean in calls[:4]] == [first] * 4 and [mean for _, mean in calls[6:8]] == [last] * 2
    assert all(mean < last for _, mean in calls[8:])
    assert [(each.kind, each.detector) for each in results] == [
        ('day', 'A'),
        ('day', 'B'),
        ('dark', 'A'),
        ('dark', 'B'),
    ]
    assert results[0].network_seconds == [0.25, 0.25] and results[1].network_seconds == []
    assert all(len(each.seconds) == 2 and min(each.seconds) > 0 for each in results)
    assert {name: rows[0, 0] for name, rows in results[3].detections.items()} == dict(zip(photos, (6, 10), strict=True))


def test_a_row_a_detector_and_kind() -> None:
    x, y, width, height = FACE
    face = [x, y, x + width, y + height]
    labels = {'a/1.jpg': LabelledFaces(np.array([face, [0.0, 0, 9, 9]]), np.array([True, False]))}
    found = {'a/1.jpg': np.array([[*face, 0.5], [70, 70, 90, 100, 0.9]])}
    rows = [
        Compared('A', 'day', found, [0.5, 0.0123, 0.001], [0.004]),
        Compared('B', 'dark', {}, [0.25]),
    ]
    # the false alarm is 30 px high
    lines = [[cell.strip() for cell in line.strip('|').split('|')] for line in peers_table(rows, labels).splitlines()]
    scores = ['all', '>=16', '>=32', '>=64', 'illumination 1']
    assert lines[0] == ['detector', 'images', *scores, 'ms an image', 'ms of the network']
    assert lines[2] == ['A', 'day', '25.0', '50.0', '100.0', 'nan', '50.0', '12.3', '4']
    assert lines[3] == ['B', 'dark', '0.0', '0.0', '0.0', 'nan', '0.0', '250', '-']
    assert [len(line) for line in lines] == [9] * 4
    assert 'night' in peers_table(rows, labels, ['a/1.jpg']).splitlines()[0]
