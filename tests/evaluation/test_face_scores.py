"""AP by height, on badly lit faces and at night: against the definition, read face by face, and an outside scorer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mmdark.errors import InputError
from mmdark.evaluation.face_scores import LabelledFaces, counted_precision, face_scores

from .slow_protocols import slow_counted_precision

SCORER = Path(__file__).resolve().parents[3] / 'shared' / 'tools' / 'score_faces.py'


def given(seed: int, images: int = 14) -> tuple[dict[str, LabelledFaces], dict[str, np.ndarray]]:
    """Crowded faces of 4 to 110 px, some badly lit, and detections near them, with scores that repeat."""
    generator = np.random.default_rng(seed)
    labels, found = {}, {}
    for index in range(images):
        corner, side = generator.integers(0, 260, (9, 2)), generator.integers(4, 110, (9, 1))
        faces = np.hstack([corner, corner + side]).astype(float)
        near = np.tile(faces, (3, 1)) + generator.integers(-8, 9, (27, 4))
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        labels[f'{index % 3}--E/{index}.jpg'] = LabelledFaces(faces, generator.random(9) < (0, 0.3)[index % 2])
        if index != 5:
            found[f'{index % 3}--E/{index}.jpg'] = np.column_stack([near, generator.integers(1, 60, 27) / 60])
    return labels, found


@pytest.mark.parametrize('seed', range(4))
def test_scores_are_those_of_the_definition(seed: int) -> None:
    labels, found = given(seed)
    night = list(labels)[2:7]
    ours = face_scores(labels, found, night)
    triples = {
        name: (found.get(name, np.zeros((0, 5))).tolist(), faces.boxes.tolist()) for name, faces in labels.items()
    }
    for score, least in {'all': 0, '>=16': 16, '>=32': 32, '>=64': 64}.items():
        images = [(rows, faces, [face[3] - face[1] >= least for face in faces]) for rows, faces in triples.values()]
        assert ours[score] == pytest.approx(slow_counted_precision(images, least), abs=1e-9)
    dim = [(*triples[name], faces.badly_lit.tolist()) for name, faces in labels.items() if faces.badly_lit.any()]
    assert ours['illumination 1'] == pytest.approx(slow_counted_precision(dim), abs=1e-9)
    at_night = [(*triples[name], [True] * 9) for name in night]
    assert ours['night'] == pytest.approx(slow_counted_precision(at_night), abs=1e-9)
    assert len({*ours.values()}) == 6 and all(10 < value < 95 for value in ours.values())


@pytest.mark.skipif(not SCORER.is_file(), reason=f'there is no {SCORER}')
def test_scores_are_those_of_the_scorer_outside(tmp_path: Path) -> None:
    labels, found = given(7)
    text = ''
    for name, faces in labels.items():
        corners = faces.boxes.astype(int).tolist()
        rows = [
            (x1, y1, x2 - x1, y2 - y1, 0, 0, int(dim), 0, 0, 0)
            for (x1, y1, x2, y2), dim in zip(corners, faces.badly_lit, strict=True)
        ]
        text += f'{name}\n{len(rows)}\n' + ''.join(' '.join(map(str, row)) + '\n' for row in rows)
    (tmp_path / 'gt.txt').write_text(text)
    (tmp_path / 'night.txt').write_text('\n'.join(list(labels)[2:7]))
    (tmp_path / 'found.json').write_text(json.dumps({name: rows.tolist() for name, rows in found.items()}))
    command = [sys.executable, str(SCORER), 'found.json', 'gt.txt', '--night', 'night.txt']
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    printed = {line.split()[0].replace('-', ' '): line.split()[1] for line in done.stdout.splitlines()}
    ours = face_scores(labels, found, list(labels)[2:7])
    assert {name: f'{value:.1f}' for name, value in ours.items()} == {name: printed[name] for name in ours}


def test_nothing_to_find_and_nothing_found() -> None:
    face = LabelledFaces(np.array([[0.0, 0, 9, 9]]), np.array([False]))
    scores = face_scores({'a/b.jpg': face}, {})
    assert (scores['all'], 'night' in scores) == (0, False)
    assert all(np.isnan(scores[name]) for name in ('>=16', '>=32', '>=64', 'illumination 1'))
    assert np.isnan(counted_precision([]))


def test_rows_that_are_none_are_refused() -> None:
    face = LabelledFaces(np.array([[0.0, 0, 9, 9]]), np.array([False]))
    with pytest.raises(InputError, match=r'a/b\.jpg: row 0 holds a value that is not a finite number'):
        face_scores({'a/b.jpg': face}, {'a/b.jpg': np.array([[0, 0, 9, 9, np.nan]])})
