"""Face annotations of WIDER FACE as :mod:`mmdark.evaluation.face_scores` takes them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path, PurePath

import numpy as np

from mmdark.datasets.label_files import read_text
from mmdark.datasets.wider_annotation import ATTRIBUTES, parse_wider_annotation
from mmdark.errors import InputError
from mmdark.evaluation.face_scores import LabelledFaces
from mmdark.whole_file import write_whole

ILLUMINATION = ATTRIBUTES.index('illumination')


def read_face_labels(path: str | Path) -> dict[str, LabelledFaces]:
    """The faces of each image, by ``event/image.jpg``; faces without width or height are left out.

    Raises:
        InputError: the file cannot be read or is malformed.
    """
    text = read_text(str(path), 'annotation', 'name a *_bbx_gt.txt of WIDER FACE')
    labels = {}
    for image in parse_wider_annotation(text, str(path)):
        faces = [face for face in image.faces if face.width > 0 and face.height > 0]
        corners = [(face.x, face.y, face.x + face.width, face.y + face.height) for face in faces]
        badly_lit = [face.attributes[ILLUMINATION : ILLUMINATION + 1] == (1,) for face in faces]
        boxes = np.array(corners, np.float64).reshape(-1, 4)
        labels[short_name(image.name)] = LabelledFaces(boxes, np.array(badly_lit, bool))
    return labels


def short_name(name: str) -> str:
    """``event/image.jpg``, the last two parts of a path.

    Example:
        >>> short_name('WIDER_val/images/0--Parade/a.jpg')
        '0--Parade/a.jpg'
    """
    return '/'.join(PurePath(name).parts[-2:])


def read_night_list(path: str | Path, labels: Collection[str]) -> set[str]:
    """The images of a text file, one ``event/image.jpg`` per line, that have labels.

    Raises:
        InputError: the file cannot be read, or none of its images has labels.
    """
    text = read_text(str(path), 'list', 'name a text file with one event/image.jpg per line')
    names = {short_name(line.strip()) for line in text.splitlines() if line.strip()}
    if not names & set(labels):
        raise InputError(f'{path}: none of its {len(names)} images is among those with labels; write event/image.jpg')
    return names & set(labels)


def write_detections(path: str | Path, detections: Mapping[str, np.ndarray]) -> None:
    """Write ``{"event/image.jpg": [[x1, y1, x2, y2, score], ...]}`` with all digits.

    Raises:
        InputError: the file cannot be written.
    """
    content = {name: rows.tolist() for name, rows in detections.items()}
    write_whole(Path(path), json.dumps(content).encode(), '--out')
