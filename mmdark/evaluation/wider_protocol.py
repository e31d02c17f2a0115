"""WIDER FACE's official evaluation (Yang et al., CVPR 2016; eval_tools: wider_eval.m) without MATLAB.

The official ground truth is int32, so MATLAB and Octave compute overlaps in integers, see :func:`integer_overlap`.
Ports that use floating point differ by about 1e-4.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.io import loadmat

from mmdark.errors import InputError

from .average_precision import Score
from .mat_limits import check_mat
from .matching import area, checked_rows, intersection_sides, match, score

SUBSETS = ('easy', 'medium', 'hard')
FACES_FILE = 'wider_face_val.mat'
SUBSET_FILES = {name: f'wider_{name}_val.mat' for name in SUBSETS}

_INT32 = np.iinfo(np.int32)
_HOW_TO_GET = 'take the folder ground_truth from eval_tools.zip of shuoyang1213.me/WIDERFACE as it is'


@dataclass(frozen=True)
class WiderGroundTruth:
    """The official faces, and which of them are evaluated in each subset.

    Attributes:
        faces: ``event/image`` without extension → x y w h, shape ``(M, 4)``, int32, pixels; in official order.
        kept: ``easy``, ``medium`` or ``hard`` → ``event/image`` → indices of the faces that are evaluated, counted from
            0, shape ``(K,)``. All other faces are ignored.
    """

    faces: dict[str, np.ndarray]
    kept: dict[str, dict[str, np.ndarray]]

    def of(self, names: Collection[str]) -> WiderGroundTruth:
        """The ground truth of the images in ``names``."""

        def some(images: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
            return {name: rows for name, rows in images.items() if name in names}

        return WiderGroundTruth(some(self.faces), {subset: some(images) for subset, images in self.kept.items()})


def load_wider_ground_truth(folder: str | os.PathLike) -> WiderGroundTruth:
    """Read ``wider_face_val.mat`` and ``wider_{easy,medium,hard}_val.mat``.

    Args:
        folder: ``eval_tools/ground_truth``.

    Raises:
        InputError: the folder or a file is missing or damaged, or the files do not match each other.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f'there is no folder {folder}: {_HOW_TO_GET}')
    path = folder / FACES_FILE
    faces = {key: _faces(path, key, rows) for key, rows in _read_entries(path, 'face_bbx_list').items()}
    kept = {}
    for subset, file in SUBSET_FILES.items():
        path = folder / file
        entries = _read_entries(path, 'gt_list')
        if list(entries) != list(faces):
            raise InputError(f'{path} lists other images than {FACES_FILE}: {_HOW_TO_GET}')
        kept[subset] = {key: _kept_rows(path, key, rows, len(faces[key])) for key, rows in entries.items()}
    return WiderGroundTruth(faces, kept)


def evaluate_wider(predictions: Mapping[str, np.ndarray], truth: WiderGroundTruth) -> dict[str, Score]:
    """Evaluate detections on the validation images of WIDER FACE, for all subsets.

    As in the official tool: scores are normalised over all detections of the data set; the faces of an image without
    detections are false negatives; a detection matched to an ignored face is neither a true nor a false positive; if
    all scores are equal, the official AP is 0. Images that are not in the ground truth are ignored. Rows may be in any
    order; rows of equal score keep their order.

    Args:
        predictions: ``event/image`` → x y w h score, shape ``(N, 5)``, pixels of the original image; ``x + w`` is the
            right edge.
        truth: result of :func:`load_wider_ground_truth`.

    Returns:
        Subset of ``truth`` → its score.

    Raises:
        InputError: the detections of an image have the wrong shape or contain a value that is not finite.
    """
    images = []
    for key, faces in truth.faces.items():
        found = checked_rows(predictions.get(key, ()), 5, f'predictions of {key}').copy()
        with np.errstate(over='ignore'):  # boxes may be huge
            found[:, 2:4] += found[:, :2]
        boxes = faces.astype(np.float64)
        boxes[:, 2:] += boxes[:, :2]
        images.append((found, boxes))
    matched = match(images, integer_overlap)
    return {subset: score(matched, _kept_mask(truth, kept)) for subset, kept in truth.kept.items()}


def integer_overlap(boxes: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """IoU as ``boxoverlap.m`` computes it for int32 faces and double boxes.

    In MATLAB, an operation on an int32 and a double gives an int32, rounded half away from zero. This applies to the
    edges of the intersection, the sum of the areas and the IoU, which becomes 0 or 1 (higher for tiny boxes). The face
    with the highest overlap is therefore usually the first one with an unrounded IoU of 0.5 or more.

    Args:
        boxes: x1 y1 x2 y2, shape ``(..., 4)``, float64.
        faces: x1 y1 x2 y2, integer values; the shapes are broadcast.

    Returns:
        Integer values as float64, shape ``(...)``.

    Example:
        >>> integer_overlap(np.array([[0.4, 0, 9, 9], [0.5, 0, 9, 9]]), np.array([[0.0, 0, 19, 9]] * 2))
        array([1., 0.])
    """
    sides = intersection_sides(_to_int32(boxes), faces) + 1
    shared = _to_int32(sides[..., 0] * sides[..., 1])
    union = _to_int32(area(faces) + area(boxes)) - shared
    with np.errstate(divide='ignore', invalid='ignore'):
        return np.where((sides > 0).all(-1), _to_int32(shared / union), 0.0)


def _to_int32(values: np.ndarray) -> np.ndarray:
    """Round half away from zero and clip to int32, as MATLAB's conversion does; the result is float64."""
    whole = np.trunc(values)
    whole = whole + np.sign(values) * (np.abs(values - whole) >= 0.5)
    return np.clip(whole, _INT32.min, _INT32.max)


def _kept_mask(truth: WiderGroundTruth, kept: Mapping[str, np.ndarray]) -> np.ndarray:
    masks = []
    for key, faces in truth.faces.items():
        mask = np.zeros(len(faces), bool)
        mask[kept[key]] = True
        masks.append(mask)
    return np.concatenate(masks or [np.zeros(0, bool)])


def _read_entries(path: Path, variable: str) -> dict[str, np.ndarray]:
    """Read a variable of a mat file as ``event/image`` → entry, in official order."""
    if not path.is_file():
        raise InputError(f'{path} is not there: {_HOW_TO_GET}')
    names = ('event_list', 'file_list', variable)
    try:
        check_mat(path)
        values = loadmat(path, variable_names=names)
    except OSError as error:
        raise InputError(f'{path} cannot be read ({error.strerror or error}): {_HOW_TO_GET}') from None
    except Exception as error:  # scipy raises many kinds of errors on damaged files
        raise InputError(f'{path} is not a mat file up to version 7 ({error}): {_HOW_TO_GET}') from None
    if missing := [name for name in names if name not in values]:
        raise InputError(f'{path} has no {" and no ".join(missing)}: {_HOW_TO_GET}')
    events, files, cells = (values[name].ravel() for name in names)
    try:
        entries = {}
        for event, names_of_event, images in zip(events, files, cells, strict=True):
            for name, entry in zip(names_of_event.ravel(), images.ravel(), strict=True):
                entries[f'{event.item()}/{name.item()}'] = entry
    except (AttributeError, ValueError):
        raise InputError(f'{path}: {", ".join(names)} do not belong together: {_HOW_TO_GET}') from None
    return entries


def _faces(path: Path, key: str, boxes: np.ndarray) -> np.ndarray:
    rows = checked_rows(boxes, 4, f'{path}: faces of {key}')
    if (rows != _to_int32(rows)).any():
        raise InputError(f'{path}: faces of {key}: the official boxes are whole numbers: {_HOW_TO_GET}')
    return rows.astype(np.int32)


def _kept_rows(path: Path, key: str, rows: np.ndarray, num_faces: int) -> np.ndarray:
    """Convert MATLAB's row numbers to indices counted from 0."""
    kept = checked_rows(np.reshape(rows, (-1, 1)), 1, f'{path}: gt_list of {key}').ravel().astype(np.int64) - 1
    if ((kept < 0) | (kept >= num_faces)).any():
        raise InputError(f'{path}: gt_list of {key} names face {kept.max() + 1} of {num_faces}: {_HOW_TO_GET}')
    return kept
