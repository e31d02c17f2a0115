"""Annotations and predictions that are damaged at random are read, or refused with one line: nothing else.

``MMDARK_FUZZ=full pytest tests/test_damaged_labels.py -s`` damages 3,000 files instead of 60, and prints how many of
each kind were read and how many refused.
"""

from __future__ import annotations

import json
import logging
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mmdark.converters.coco_document import coco_document, wider_to_images
from mmdark.converters.dark_copy import renamed_annotation
from mmdark.converters.yolo import read_data_yaml, yolo_to_images
from mmdark.datasets import CheckedCocoDataset, CheckedVocDataset, DarkFaceDataset, ExDarkDataset, WiderDataset
from mmdark.datasets.wider_annotation import parse_wider_annotation
from mmdark.errors import run_or_explain
from mmdark.evaluation.box_units import CORNERS, SIZES, unit_hints
from mmdark.evaluation.dark_face_protocol import evaluate_dark_face
from mmdark.evaluation.prediction_files import (
    read_dark_face_labels,
    read_dark_face_predictions,
    read_image_list,
    read_wider_predictions,
)
from mmdark.evaluation.score_report import report_scores, score_record
from mmdark.evaluation.wider_protocol import evaluate_wider
from mmdark.inference.result_files import read_results
from tests.damage import damaged
from tests.evaluation.tiny_predictions import FACES, GOOD, HIT, TRUTH, A, B, lay
from tests.limited_child import LONGEST_LINE, LimitedChild, faults
from tests.tiny_dark_face import write_dark_face
from tests.tiny_exdark import write_exdark
from tests.tiny_own_data import SIZE, write_coco, write_voc, write_yolo
from tests.tiny_wider import FACE, photo, write_wider

CASES = 3000 if os.environ.get('MMDARK_FUZZ') == 'full' else 60
BATCH = 20
META = dict(classes=('face',))
QUICK = dict(serialize_data=False)  # serializing collects the garbage of all of torch
READERS: dict[str, tuple[str, Callable[[Path], None]]] = {}
"""Kind → the file that is damaged, below the folder of a whole data set, and what reads that folder."""


def reads(kind: str, file: str) -> Callable:
    """Enter a reader."""

    def enter(read: Callable[[Path], None]) -> Callable:
        READERS[kind] = (file, read)
        return read

    return enter


def copied(root: Path, file: str) -> None:
    """What a dark copy makes of an annotation."""
    content = (root / file).read_bytes()
    names = {path.relative_to(root).as_posix() for path in root.rglob('*') if path.suffix.lower() in ('.jpg', '.png')}
    renamed_annotation(file, content, {Path(name).name: f'{Path(name).stem}.png' for name in names})


def whole(dataset: object) -> None:
    """All sizes and boxes that a data set gives must be numbers to compute with."""
    for place in range(len(dataset)):
        info = dataset.get_data_info(place)
        boxes = np.array([one['bbox'] for one in info['instances']], np.float32).reshape(-1, 4)
        assert np.isfinite(boxes).all() and min(info.get('width', 1), info.get('height', 1)) > 0


@reads('wider', 'wider_face_split/wider_face_train_bbx_gt.txt')
def read_wider(root: Path) -> None:
    file, images = READERS['wider'][0], root / 'WIDER_train/images'
    whole(WiderDataset(data_root=str(root), ann_file=file, data_prefix=dict(img='WIDER_train/images'), **QUICK))
    records = parse_wider_annotation((root / file).read_text(encoding='utf-8-sig'), file)
    json.dumps(coco_document(wider_to_images(records, images, file))[0], allow_nan=False)
    copied(root, file)


@reads('one-line list', 'list.txt')
def read_list(root: Path) -> None:
    whole(WiderDataset(data_root=str(root), ann_file='list.txt', data_prefix=dict(img='WIDER_train/images'), **QUICK))
    copied(root, 'list.txt')


@reads('dark face', 'label/1.txt')
def read_dark_face(root: Path) -> None:
    for test_mode in (False, True):
        whole(DarkFaceDataset(data_root=str(root), split='folder', test_mode=test_mode, **QUICK))
    copied(root, 'label/1.txt')


@reads('coco', 'annotations/train.json')
def read_coco(root: Path) -> None:
    file, options = 'annotations/train.json', dict(data_prefix=dict(img='train'), metainfo=META, **QUICK)
    whole(CheckedCocoDataset(data_root=str(root), ann_file=file, test_mode=True, **options))
    copied(root, file)


@reads('voc', 'Annotations/train_0.xml')
def read_voc(root: Path) -> None:
    options = dict(data_prefix=dict(sub_data_root=''), metainfo=META, **QUICK)
    whole(CheckedVocDataset(data_root=str(root), ann_file='ImageSets/Main/train.txt', **options))
    copied(root, 'Annotations/train_0.xml')


@reads('voc list', 'ImageSets/Main/train.txt')
def read_voc_list(root: Path) -> None:
    read_voc(root)


@reads('yolo', 'labels/sub/0.txt')
def read_yolo(root: Path) -> None:
    images, _ = yolo_to_images(root / 'labels', root / 'images')
    json.dumps(coco_document(images)[0], allow_nan=False)
    copied(root, 'labels/sub/0.txt')


@reads('data.yaml', 'data.yaml')
def read_yaml(root: Path) -> None:
    for part in read_data_yaml(root / 'data.yaml')[0]:
        yolo_to_images(part.labels, part.images, ['face'])


@reads('exdark', 'ExDark_Annno/Bicycle/2015_00001.png.txt')
def read_exdark(root: Path) -> None:
    whole(ExDarkDataset(data_root=str(root), split='all', **QUICK))
    copied(root, READERS['exdark'][0])


@reads('exdark list', 'imageclasslist.txt')
def read_exdark_list(root: Path) -> None:
    whole(ExDarkDataset(data_root=str(root), split='all', allow_missing=True, **QUICK))


@reads('wider predictions', A)
def score_wider(root: Path) -> None:
    found, problems = read_wider_predictions(root, TRUTH.faces)
    problems += unit_hints(found, FACES, SIZES)
    scores = evaluate_wider(found, TRUTH)
    report_scores(score_record(scores, problems), scores)


@reads('dark face predictions', 'pred/1.txt')
def score_dark_face(root: Path) -> None:
    faces, problems = read_dark_face_labels(root / 'gt')
    found, more = read_dark_face_predictions(root / 'pred', faces)
    scores = {'all': evaluate_dark_face(found, faces)}
    report_scores(score_record(scores, [*problems, *more, *unit_hints(found, faces, CORNERS)]), scores)


@reads('dark face truth', 'gt/1.txt')
def read_dark_face_truth(root: Path) -> None:
    score_dark_face(root)


@reads('image list', 'images.txt')
def score_listed(root: Path) -> None:
    read_dark_face_labels(root / 'gt', read_image_list(root / 'images.txt'))


@reads('results.json', 'results.json')
def read_found(root: Path) -> None:
    read_results(root)


def lay_out(root: Path) -> dict[str, Path]:
    """A whole data set of each kind, and which kinds read it."""
    wider = write_wider(root / 'wider', train=2, val=0)
    row = ' '.join(map(str, FACE))
    (wider / 'list.txt').write_text(''.join(f'0--Noise/train_{number}.jpg 1 {row} 1\n' for number in (0, 1)))
    yolo = write_yolo(root / 'yolo')
    (yolo / 'data.yaml').write_text('path: .\ntrain: images/sub\nval: images/sub\nnc: 1\nnames:\n  0: face\n')
    predictions = lay(root / 'predictions', {A: b'a\n1\n' + HIT, B: GOOD})
    corners = b'10 10 30 30 0.9\n50 50 60 60 0.2\n'
    scored = lay(
        root / 'scored', {'pred/1.txt': corners, 'gt/1.txt': b'1\n10 10 30 30\n', 'images.txt': b'./data/gt/1.txt\n'}
    )
    found = root / 'found'
    found.mkdir()
    photo(0).save(found / 'a.png')
    faces = [dict(bbox=[20.0, 16.0, 72.0, 72.0], score=0.9)]
    image = dict(source=str(found / 'a.png'), name='a', width=SIZE[0], height=SIZE[1], faces=faces, picture='a.jpg')
    results = dict(mmdark='1', model='m', score_thr=0.3, complete=True, images=[image])
    (found / 'results.json').write_text(json.dumps({**results, 'broken': [dict(source='b', reason='is empty')]}))
    return {
        **dict.fromkeys(('wider', 'one-line list'), wider),
        'dark face': write_dark_face(root / 'dark_face', [1, 2]),
        'coco': write_coco(root / 'coco', train=2, val=0),
        **dict.fromkeys(('voc', 'voc list'), write_voc(root / 'voc', train=2, val=0)),
        **dict.fromkeys(('yolo', 'data.yaml'), yolo),
        **dict.fromkeys(('exdark', 'exdark list'), write_exdark(root / 'exdark')),
        'wider predictions': predictions,
        **dict.fromkeys(('dark face predictions', 'dark face truth', 'image list'), scored),
        'results.json': found,
    }


def read_all(kind: str, root: Path, contents: list[bytes]) -> int:
    """What the child runs: a reader, called as the tools call theirs, on file after file; how many it refused."""
    logging.basicConfig(stream=sys.stderr)
    file, read = READERS[kind]
    lines = []
    for content in contents:
        (root / file).write_bytes(content)
        try:
            run_or_explain(lambda: read(root))
        except SystemExit as end:
            lines.append(end.code)
        except BaseException as error:
            raise AssertionError(f'{kind}: {content[:300]!r}') from error
    assert [line for line in lines if len(line) > LONGEST_LINE or len(line.splitlines()) != 1] == []
    return len(lines)


def test_damaged_files_are_read_or_refused_with_one_line(tmp_path: Path) -> None:
    """Each case of the child is a few files; its limits hold for all of them together."""
    folders, rng, outcomes, printed = lay_out(tmp_path), random.Random(20), {}, set()
    whole = {kind: (folders[kind] / READERS[kind][0]).read_bytes() for kind in READERS}
    number = -(-CASES // len(READERS))
    with LimitedChild() as child:
        for kind in READERS:
            contents = [damaged(whole[kind], rng) for _ in range(number)]
            batches = [[whole[kind]], *(contents[start : start + BATCH] for start in range(0, number, BATCH))]
            found = [child.run(read_all, kind, folders[kind], batch) for batch in batches]
            (folders[kind] / READERS[kind][0]).write_bytes(whole[kind])
            assert found[0].said == '0', f'{kind}, whole: {found[0]}'
            outcomes |= {f'{kind}, {place * BATCH}': outcome for place, outcome in enumerate(found[1:])}
            refused = sum(int(one.said) for one in found if one.kind == 'read')
            printed |= {line for one in found for line in one.printed.splitlines()}
            slowest, peak = max(one.seconds for one in found), max(one.peak for one in found)
            print(f'{kind:22}{number - refused:5} read{refused:5} refused, {BATCH} files in {slowest:.1f} s, {peak} MB')
    assert {name: (outcome.kind, outcome.said[-3000:]) for name, outcome in faults(outcomes).items()} == {}
    assert [line for line in printed if len(line) > LONGEST_LINE] == []
