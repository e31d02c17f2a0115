"""The scoring tools as a person calls them: official numbers, pictures, JSON, broken input, and what they import."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmdark.errors import InputError
from mmdark.evaluation.average_precision import PrecisionRecall, Score, difference_warning
from mmdark.evaluation.precision_recall_plot import plot_precision_recall
from mmdark.evaluation.score_report import score_record, score_table
from tests.evaluation.tiny_predictions import GOOD, HIT, MISS, A, B, lay, write_mats
from tests.tool_runs import run_tool

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / 'shared'
WIDER = SHARED / 'data' / 'wider_eval'
DARK_FACE = SHARED / 'golden' / 'darkface_eval'


def tool(name: str, *arguments: object) -> subprocess.CompletedProcess:
    return run_tool(f'analysis_tools/{name}', *arguments)


def table(done: subprocess.CompletedProcess) -> dict[str, list[str]]:
    head, *rows = (line.split() for line in done.stdout.splitlines())
    assert head == ['subset', 'faces', 'official', 'AP', 'exact', 'AP']
    return {row[0]: row[1:] for row in rows}


def curve(average_precision: float) -> PrecisionRecall:
    recall = np.linspace(0, 1, 5000)
    return PrecisionRecall(recall, np.r_[np.nan, 1 - recall[1:] ** 4], average_precision)


@pytest.mark.skipif(not WIDER.is_dir(), reason=f'the official ground truth is not in {WIDER}')
def test_official_wider_numbers(tmp_path: Path) -> None:
    out = tmp_path / 'new' / 'scores.json'
    done = tool(
        'eval_wider', WIDER / 'retinaface_mobile0.25_val_predictions.zip', '--gt', WIDER, '--json', out, '--strict'
    )
    assert (done.returncode, done.stderr) == (0, '')
    rows = table(done)
    assert {name: row[:2] for name, row in rows.items()} == {
        'easy': ['7211', '0.907016'],
        'medium': ['13319', '0.881537'],
        'hard': ['31958', '0.738258'],
    }
    record = json.loads(out.read_text())
    assert record['problems'] == record['warnings'] == [] and record['images'] == record['images_with_file'] == 3226
    assert record['detections'] == 297333  # lines of the files, less two a file
    for name, row in rows.items():
        score = record['scores'][name]
        assert [f'{score[key]:.6f}' for key in ('official_AP', 'exact_AP')] == row[1:]


@pytest.mark.skipif(not DARK_FACE.is_dir(), reason=f'the golden case is not in {DARK_FACE}')
def test_official_dark_face_number(tmp_path: Path) -> None:
    arguments = (DARK_FACE / 'pred', '--gt', DARK_FACE / 'gt', '--list', DARK_FACE / 'file_list.txt')
    done = tool('eval_dark_face', *arguments, '--json', tmp_path / 'o.json', '--plot', tmp_path / 'p.svg')
    assert done.returncode == 0 and table(done)['all'][:2] == ['679', '0.648250']
    assert done.stderr.splitlines() == [
        f'problem: {line}' for line in json.loads((tmp_path / 'o.json').read_text())['problems']
    ]
    assert '4 of 60 images have no file' in done.stderr and '<svg' in (tmp_path / 'p.svg').read_text()


def test_scores_problems_and_pictures(tmp_path: Path) -> None:
    gt = write_mats(tmp_path / 'gt')
    source = lay(tmp_path / 'pred', {A: b'a\n1\n' + HIT, B: GOOD, '9--Press/z.txt': b''})
    done = tool('eval_wider', source, '--gt', gt, '--json', tmp_path / 'o.json', '--plot', tmp_path / 'p.pdf')
    assert done.returncode == 0
    assert table(done) == {
        'easy': ['0', 'nan', 'nan'],
        'medium': ['2', '1.000000', '1.000000'],
        'hard': ['2', '1.000000', '1.000000'],
    }
    problem = '1 of 3 files belong to no image of the ground truth, the first is 9--Press/z.txt; they are left out'
    assert done.stderr.splitlines() == [f'problem: {problem}']
    record = json.loads((tmp_path / 'o.json').read_text())
    assert record['problems'] == [problem]
    assert record['scores']['easy'] == {'faces': 0, 'official_AP': None, 'exact_AP': None}
    assert record['scores']['hard'] == {'faces': 2, 'official_AP': 1.0, 'exact_AP': 1.0}
    assert (tmp_path / 'p.pdf').read_bytes()[:5] == b'%PDF-'
    assert tool('eval_wider', source, '--gt', gt, '--strict').returncode == 1


def damage(name: str, folder: Path) -> Path:
    gt = write_mats(folder)
    (gt / name).write_bytes((gt / name).read_bytes()[:200])
    return gt


REFUSED = {
    'a malformed file': (
        lambda tmp: ['--gt', write_mats(lay(tmp / 'pred', {A: b'a\n1\n1 2 3\n'}).parent / 'gt')],
        f'{A}:3: a row should be 5 finite numbers, "x y w h score", not \'1 2 3\'',
    ),
    'no ground truth': (lambda tmp: ['--gt', tmp / 'nowhere'], 'nowhere'),
    'a file is missing': (lambda tmp: ['--gt', lay(tmp / 'gt', {'x': b''})], 'wider_face_val.mat'),
    'damaged faces': (lambda tmp: ['--gt', damage('wider_face_val.mat', tmp / 'gt')], 'wider_face_val.mat'),
    'damaged subset': (lambda tmp: ['--gt', damage('wider_hard_val.mat', tmp / 'gt')], 'wider_hard_val.mat'),
    'plot format': (
        lambda tmp: ['--gt', write_mats(tmp / 'gt'), '--plot', 'p.xyz'],
        '--plot p.xyz: a plot can be .pdf, .png, .svg; give a name that ends in one of them',
    ),
}


@pytest.mark.parametrize(('arguments', 'message'), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_used_is_refused_in_one_line(arguments: object, message: str, tmp_path: Path) -> None:
    done = tool('eval_wider', lay(tmp_path / 'pred', {B: GOOD}), *arguments(tmp_path))
    assert (done.returncode, done.stdout) == (1, '')
    assert done.stderr.startswith('error: ') and message in done.stderr and done.stderr.count('\n') == 1


def test_the_table_is_printed_before_a_file_cannot_be_written(tmp_path: Path) -> None:
    gt, source = write_mats(tmp_path / 'gt'), lay(tmp_path / 'pred', {A: b'a\n1\n' + MISS, B: GOOD})
    for option, name in (('--json', 'x.json'), ('--plot', 'x.png')):
        done = tool('eval_wider', source, '--gt', gt, option, source / B / name)
        assert done.returncode == 1 and len(table(done)) == 3
        assert (
            done.stderr.startswith('error: ') and 'cannot be written (' in done.stderr and done.stderr.count('\n') == 1
        )


def test_the_tools_need_neither_torch_nor_mmdet(tmp_path: Path) -> None:
    code = 'import runpy, sys; sys.path.insert(0, sys.argv[1])\nfor name in ("eval_wider", "eval_dark_face"):\n'
    code += '    runpy.run_path(f"{sys.argv[1]}/{name}.py")\n'
    code += 'print(sorted({"torch", "mmengine", "mmcv", "mmdet", "cv2", "matplotlib"} & set(sys.modules)))'
    command = [sys.executable, '-c', code, ROOT / 'tools' / 'analysis_tools']
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.strip() == '[]'


def test_a_difference_of_a_hundredth_is_explained() -> None:
    scores = {'near': Score(curve(0.5), curve(0.5099), 3), 'far': Score(curve(0.75), curve(0.9), 3)}
    (line,) = difference_warning(scores)
    assert 'far 0.750000 and 0.900000' in line and 'near ' not in line and '1000 score thresholds' in line
    assert score_record(scores, [])['warnings'] == [line]
    assert difference_warning({'none': Score(curve(math.nan), curve(math.nan), 0)}) == []
    assert score_table(scores).splitlines()[2] == 'far          3     0.750000  0.900000'


@pytest.mark.parametrize('grey', [False, True])
def test_curves_can_be_told_apart_in_colour_and_grey(grey: bool, tmp_path: Path) -> None:
    names = ('easy', 'medium', 'hard')
    shades = []
    for name in names:
        flat = PrecisionRecall(np.linspace(0, 1, 1000), np.full(1000, 0.8), 0.8)
        nothing = PrecisionRecall(np.full(1000, np.nan), np.full(1000, np.nan), math.nan)
        scores = {other: Score(*[flat if other == name else nothing] * 2, 3) for other in names}
        plot_precision_recall(tmp_path / 'p.png', scores)
        image = cv2.imread(str(tmp_path / 'p.png'), cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR)
        assert image.shape[:2] == (780, 1020)  # 2.6 x 3.4 inches at 300 dots
        field = image[:390, 714:816].reshape(390, 102, -1).astype(int)  # the upper half, right of the legend
        shades.append(np.median(field[field.min(axis=2) < 200], axis=0))
    distances = [np.abs(shades[i] - shades[j]).max() for i, j in ((0, 1), (0, 2), (1, 2))]
    assert min(distances) > (50 if grey else 150)


def test_a_plot_of_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match='ends in one of them'):
        plot_precision_recall(tmp_path / 'p.txt', {})


@pytest.mark.skipif(not DARK_FACE.is_dir(), reason=f'golden predictions are not at {DARK_FACE}')
@pytest.mark.parametrize('more', [(), ('--gt', DARK_FACE / 'gt')])
def test_a_folder_with_both(more: tuple[object, ...]) -> None:
    assert table(tool('eval_dark_face', DARK_FACE, *more))['all'][1] == '0.648250'


def test_labels_are_needed(tmp_path: Path) -> None:
    done = tool('eval_dark_face', tmp_path)
    assert done.returncode == 2 and '--gt is needed: there is no folder' in done.stderr
