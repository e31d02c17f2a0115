"""Small random data in the official layouts, and where the real ones lie."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

import numpy as np
from scipy.io import savemat

SHARED = Path(__file__).resolve().parents[3] / 'shared'
WIDER = SHARED / 'data' / 'wider_eval'
DARK_FACE = SHARED / 'golden' / 'darkface_eval'
OFFICIAL = {'easy': 0.907016, 'medium': 0.881537, 'hard': 0.738258}
"""Printed by the official tool for the detections beside the mat files."""


def cells(lists: list[list]) -> np.ndarray:
    """A cell array of cell arrays, each a column, as MATLAB saves them."""
    outer = np.empty((len(lists), 1), object)
    for place, entries in enumerate(lists):
        column = np.empty((len(entries), 1), object)
        for row, entry in enumerate(entries):
            column[row, 0] = entry
        outer[place, 0] = column
    return outer


def names(entries: list[str]) -> np.ndarray:
    column = np.empty((len(entries), 1), object)
    column[:, 0] = entries
    return column


def write_ground_truth(folder: Path, faces: dict[str, np.ndarray], kept: dict[str, dict[str, np.ndarray]]) -> Path:
    """The four mat files; faces x y w h, kept rows counted from 0."""
    folder.mkdir(parents=True, exist_ok=True)
    events = list(dict.fromkeys(key.split('/')[0] for key in faces))
    keys = [[key for key in faces if key.split('/')[0] == event] for event in events]
    layout = {'event_list': names(events), 'file_list': cells([[key.split('/')[1] for key in e] for e in keys])}
    boxes = cells([[faces[key].astype(np.int32).reshape(-1, 4) for key in e] for e in keys])
    savemat(folder / 'wider_face_val.mat', {**layout, 'face_bbx_list': boxes})
    for subset in ('easy', 'medium', 'hard'):
        rows = cells([[np.asarray(kept[subset][key], float).reshape(-1, 1) + 1 for key in e] for e in keys])
        savemat(folder / f'wider_{subset}_val.mat', {**layout, 'gt_list': rows})
    return folder


def random_data(seed: int, images: int = 9) -> tuple[dict, dict, dict]:
    """Predictions x y w h score, faces x y w h, kept rows; crowded, with images empty in every way."""
    generator = np.random.default_rng(seed)
    predictions, faces, kept = {}, {}, {name: {} for name in ('easy', 'medium', 'hard')}
    for number in range(images):
        key = f'{number // 4}--Event/image_{number}'
        count = 0 if number == 2 else int(generator.integers(1, 9))
        boxes = np.column_stack([generator.integers(0, 24, (count, 2)), generator.integers(0, 14, (count, 2))])
        faces[key] = boxes.astype(np.int32)
        for subset, share in zip(kept, (0.3, 0.6, 0.9), strict=True):
            kept[subset][key] = np.flatnonzero(generator.random(count) < share)
        if number == 5:
            continue
        near = boxes[generator.integers(0, count, 2 * count)] if count else np.zeros((0, 4))
        near = near + generator.choice([0, 0.25, 0.5, -0.5, 1, -1.5, 2.75], near.shape)
        tiny = np.column_stack([generator.random((4, 2)) * 24, generator.random((4, 2)) * 3 - 1])
        rows = np.concatenate([near, tiny])[: 0 if number == 7 else None]
        predictions[key] = np.column_stack([rows, np.round(generator.random(len(rows)), 2)])
    return predictions, faces, kept


def corners(rows: np.ndarray) -> np.ndarray:
    """From x y w h to x1 y1 x2 y2; what stands behind stays."""
    rows = np.array(rows, float)
    rows[:, 2:4] += rows[:, :2]
    return rows


def official_predictions() -> dict[str, np.ndarray]:
    """The detections beside the mat files, x y w h score."""
    found = {}
    with ZipFile(next(WIDER.glob('*.zip'))) as archive:
        for name in archive.namelist():
            lines = archive.read(name).decode().splitlines()
            found[name.removesuffix('.txt')] = np.array([row.split() for row in lines[2:]], float).reshape(-1, 5)
    return found


def official_dark_faces() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The golden detections and faces, x1 y1 x2 y2."""
    found, faces = {}, {}
    for path in sorted((DARK_FACE / 'gt').iterdir()):
        faces[path.stem] = np.array([row.split() for row in path.read_text().splitlines()[1:]], float).reshape(-1, 4)
        other = DARK_FACE / 'pred' / path.name
        if other.exists():
            found[path.stem] = np.array([row.split() for row in other.read_text().splitlines()], float).reshape(-1, 5)
    return found, faces
