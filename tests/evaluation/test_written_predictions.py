"""What the writers write, the readers read back bit for bit, and it scores the same."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

from mmdark.errors import InputError
from mmdark.evaluation.prediction_files import (
    read_dark_face_predictions,
    read_wider_predictions,
    write_dark_face_zip,
    write_wider_predictions,
)


def detections(seed: int) -> dict[str, np.ndarray]:
    """Rows with all the digits that float32 and float64 have, in no order, and an image without any."""
    generator = np.random.default_rng(seed)
    rows = generator.random((40, 5)) * [1e3, 1e3, 50, 50, 1]
    rows[5:15, 4] = 0.3  # equal scores keep their order
    return {'0--Parade/a': rows, '1--Riot/b': rows.astype(np.float32) * 3, '2--Demo/c': np.zeros((0, 5))}


def in_order(predictions: dict[str, np.ndarray]) -> dict[str, list]:
    return {key: sorted(rows.astype(float).tolist(), key=lambda row: -row[4]) for key, rows in predictions.items()}


def test_wider_predictions_are_read_back_bit_for_bit(tmp_path: Path) -> None:
    predictions = detections(1)
    write_wider_predictions(tmp_path / 'deep' / 'out', predictions)
    found, problems = read_wider_predictions(tmp_path / 'deep' / 'out', predictions)
    assert problems == [] and {key: rows.tolist() for key, rows in found.items()} == in_order(predictions)
    first = (tmp_path / 'deep' / 'out' / '0--Parade' / 'a.txt').read_text().split('\n')
    assert first[:2] == ['a', '40'] and [float(word) for word in first[2].split()] == found['0--Parade/a'][0].tolist()


def test_a_dark_face_zip_is_read_back_bit_for_bit(tmp_path: Path) -> None:
    predictions = {str(index): rows for index, rows in enumerate(detections(2).values())}
    for rows in predictions.values():
        rows[:, 2:4] += rows[:, :2]
    write_dark_face_zip(tmp_path / 'out' / 'sub.zip', predictions)
    found, problems = read_dark_face_predictions(tmp_path / 'out' / 'sub.zip', predictions)
    assert problems == [] and {key: rows.tolist() for key, rows in found.items()} == in_order(predictions)
    assert {entry.date_time for entry in ZipFile(tmp_path / 'out' / 'sub.zip').infolist()} == {(1980, 1, 1, 0, 0, 0)}
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['sub.zip']


def test_writing_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('')
    with pytest.raises(InputError, match=r'file/x/.*\.txt cannot be written \(Not a directory\): choose another'):
        write_wider_predictions(tmp_path / 'file' / 'x', detections(3))
    with pytest.raises(InputError, match='cannot be written'):
        write_dark_face_zip(tmp_path / 'file' / 'x.zip', detections(3))
    with pytest.raises(ValueError, match=r'a: the rows should have the shape \(N, 5\), not \(2, 4\)'):
        write_dark_face_zip(tmp_path / 'x.zip', {'a': np.zeros((2, 4))})
    assert [path.name for path in tmp_path.iterdir()] == ['file']
