"""A ground truth of two images with a face each, predictions of them, and how they are laid on disk."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
from scipy.io import savemat

from mmdark.evaluation.wider_protocol import WiderGroundTruth, evaluate_wider

FACES = {'0--Parade/a': np.array([[10, 10, 20, 20]], np.int32), '1--Riot/b': np.array([[30, 30, 10, 10]], np.int32)}
TRUTH = WiderGroundTruth(FACES, {'all': {key: np.array([0]) for key in FACES}})
A, B = '0--Parade/a.txt', '1--Riot/b.txt'
GOOD = b'b\n2\n30 30 10 10 0.9\n0 0 5 5 0.1\n'
HIT, MISS = b'10 10 20 20 0.8\n', b'50 50 5 5 0.2\n'
HIT_ROW, MISS_ROW = [10, 10, 20, 20, 0.8], [50, 50, 5, 5, 0.2]


def lay(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def pack(path: Path, files: dict[str, bytes], prefix: str = '') -> Path:
    with ZipFile(path, 'w', ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(prefix + name, data)
    return path


def exact_ap(predictions: dict[str, np.ndarray]) -> float:
    return evaluate_wider(predictions, TRUTH)['all'].exact.average_precision


def write_mats(folder: Path) -> Path:
    """The same ground truth in the official files; in "easy" no face counts."""
    folder.mkdir(parents=True, exist_ok=True)
    names = dict(event_list=column(['0--Parade', '1--Riot']), file_list=column([column(['a']), column(['b'])]))
    faces = column([column([boxes]) for boxes in FACES.values()])
    savemat(folder / 'wider_face_val.mat', {**names, 'face_bbx_list': faces})
    for subset, rows in (('easy', np.zeros((0, 1))), ('medium', np.ones((1, 1))), ('hard', np.ones((1, 1)))):
        savemat(folder / f'wider_{subset}_val.mat', {**names, 'gt_list': column([column([rows]), column([rows])])})
    return folder


def column(entries: list) -> np.ndarray:
    """A cell array of one column."""
    cells = np.empty((len(entries), 1), object)
    for index, entry in enumerate(entries):
        cells[index, 0] = entry
    return cells
