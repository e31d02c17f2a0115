"""The metric against the protocol's functions, its files read back, and two processes against one."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.evaluation.functional import eval_map
from mmdet.registry import METRICS
from mmengine.logging import MMLogger

from mmdark.errors import InputError
from mmdark.evaluation.prediction_files import read_wider_predictions
from mmdark.evaluation.wider_face_metric import WiderFaceMetric
from mmdark.evaluation.wider_protocol import evaluate_wider, load_wider_ground_truth
from tests.two_processes import run_two_processes

from .face_samples import in_a_process, numbers, sample, samples
from .official_faces import (
    corners,
    random_data,
    write_ground_truth,
)
from .slow_protocols import slow_counted_precision

SUBSETS = ('easy', 'medium', 'hard')


@pytest.fixture
def said() -> list[str]:
    """Lines of the current logger, warnings with their level in front."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            mark = 'warning: ' if record.levelno >= logging.WARNING else ''
            lines.append(mark + record.getMessage())

    logger = MMLogger.get_instance('evaluation-test')
    handler = Keep()
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)


def settings(folder: Path | str | None, **more: object) -> dict:
    return dict(type='WiderFaceMetric', ground_truth=folder and str(folder), prefix='day', **more)


def given(seed: int) -> tuple[dict, dict, dict, list]:
    predictions, faces, kept = random_data(seed)
    found = {key: corners(rows) for key, rows in predictions.items()}
    return predictions, faces, kept, samples(found, {key: corners(rows) for key, rows in faces.items()}, '.jpg')


@pytest.mark.parametrize('seed', range(3))
def test_the_metric_equals_the_function(seed: int, tmp_path: Path) -> None:
    predictions, faces, kept, images = given(seed)
    folder = write_ground_truth(tmp_path, faces, kept)
    scores = evaluate_wider(predictions, load_wider_ground_truth(folder))
    expected = {f'day/{name}_AP': scores[name].official.average_precision for name in SUBSETS}
    expected |= {f'day/{name}_exact_AP': scores[name].exact.average_precision for name in SUBSETS}
    ours = numbers(settings(folder), images)
    assert ours.pop('day/AP') == numbers(settings(None), images)['day/AP'] > 0
    assert ours == expected


def test_files_read_back_give_the_same_numbers(tmp_path: Path) -> None:
    """Boxes in float32 with all their digits, as a detector has them; the writer adds no second +1."""
    _, faces, kept, images = given(3)
    generator = np.random.default_rng(0)
    for image in images:
        found = image['pred_instances']
        noise = torch.tensor(generator.normal(0, 0.2, found['bboxes'].shape))
        image['pred_instances'] = {'bboxes': (found['bboxes'] + noise).float(), 'scores': found['scores'].float()}
    folder = write_ground_truth(tmp_path / 'mats', faces, kept)
    out = tmp_path / 'results'
    ours = numbers(settings(folder, outfile_prefix=str(out)), images)
    assert numbers(settings(folder, outfile_prefix=str(out), format_only=True), images) == {}
    truth = load_wider_ground_truth(folder)
    read, problems = read_wider_predictions(out, truth.faces)
    assert not [line for line in problems if 'negative' not in line]  # random boxes are turned now and then
    scores = evaluate_wider(read, truth)
    assert [ours[f'day/{name}_AP'] for name in SUBSETS] == [scores[name].official[2] for name in SUBSETS]
    assert [ours[f'day/{name}_exact_AP'] for name in SUBSETS] == [scores[name].exact[2] for name in SUBSETS]


def test_without_mats_exact_ap_over_all_faces_and_says_so(tmp_path: Path, said: list[str]) -> None:
    """Against mmdet's VOC evaluation with the same +1, which also counts detections on images without faces."""
    images = given(4)[3]
    generator = torch.Generator().manual_seed(0)
    for image in images:
        rows = image['pred_instances']
        rows['scores'] = torch.rand(len(rows['bboxes']), generator=generator)  # no two equal: mmdet's sort parts them
    ignored = [i['gt_instances']['bboxes'][:1] for i in images]
    for image, boxes in zip(images, ignored, strict=True):
        image['gt_instances'] = {'bboxes': image['gt_instances']['bboxes'][1:]}
        image['ignored_instances'] = {'bboxes': boxes}
    images[2]['pred_instances'] = {'bboxes': torch.tensor([[0, 0, 9, 9.0]]), 'scores': torch.tensor([0.99])}
    metric = METRICS.build(settings(tmp_path / 'nowhere'))
    for _ in range(2):
        metric.process({}, images)
        ours = metric.evaluate(len(images))
    assert ours.keys() == {'day/AP'}
    lines = [line for line in said if 'annotated' in line]
    assert len(lines) == 1 and 'not at' in lines[0] and 'over annotated faces only' in lines[0]

    found = [
        [torch.cat([i['pred_instances']['bboxes'], i['pred_instances']['scores'][:, None]], 1).numpy()] for i in images
    ]
    annotations = [
        dict(
            bboxes=i['gt_instances']['bboxes'].numpy(),
            labels=np.zeros(len(i['gt_instances']['bboxes']), int),
            bboxes_ignore=i['ignored_instances']['bboxes'].numpy(),
            labels_ignore=np.zeros(len(i['ignored_instances']['bboxes']), int),
        )
        for i in images
    ]
    theirs, _ = eval_map(
        found, annotations, iou_thr=0.5, dataset=('face',), logger='silent', nproc=1, use_legacy_coordinate=True
    )
    assert ours['day/AP'] == pytest.approx(float(theirs), abs=1e-6) and theirs > 0.05


def test_ap_by_height_is_mmdets_by_scale() -> None:
    """On squares, whose height is mmdet's scale but for the 1 that it adds; some faces are marked as ignored."""
    generator = np.random.default_rng(0)
    edges, images, found, annotations = (16, 32, 64), [], [], []
    for index in range(20):
        corner, side = generator.integers(0, 400, (12, 2)), generator.integers(4, 100, (12, 1))
        faces = np.hstack([corner, corner + side]).astype(float)
        shift, grow = generator.integers(-4, 5, (24, 2)), generator.integers(0, 8, (24, 1))
        boxes = np.tile(faces, (2, 1)) + np.hstack([shift, shift + grow])
        detections = np.column_stack([boxes, generator.random(24)])
        images.append(sample(f'data/a/{index}.jpg', detections, faces[2:], faces[:2]))
        found.append([detections])
        labels = np.zeros(12, int)
        annotations.append(dict(bboxes=faces[2:], labels=labels[2:], bboxes_ignore=faces[:2], labels_ignore=labels[:2]))
    ours = numbers(settings(None, heights=edges), images)
    ranges = [(0, 1e5), (0, 17), (17, 33), (33, 65), (65, 1e5)]
    legacy = dict(iou_thr=0.5, dataset=('face',), logger='silent', nproc=1, use_legacy_coordinate=True)
    theirs, _ = eval_map(found, annotations, scale_ranges=ranges, **legacy)
    names = ('AP', 'AP_height_0-16', 'AP_height_16-32', 'AP_height_32-64', 'AP_height_64+')
    assert ours == {
        f'day/{name}': pytest.approx(float(each), abs=1e-6) for name, each in zip(names, theirs, strict=True)
    }
    assert len(set(ours.values())) == 5 and 0.05 < min(ours.values()) < max(ours.values()) < 0.95


@pytest.mark.parametrize('heights', [(32, 16), (0, 16), (16, 16)])
def test_heights_that_do_not_rise_are_refused(heights: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match='must rise, from above 0'):
        WiderFaceMetric(heights=heights)


def test_ap_by_attribute_counts_those_faces_and_images_alone() -> None:
    generator = np.random.default_rng(1)
    images = []
    for index in range(12):
        corner, side = generator.integers(0, 300, (8, 2)), generator.integers(8, 90, (8, 1))
        faces = np.hstack([corner, corner + side]).astype(float)
        near, far = np.tile(faces, (2, 1)) + generator.integers(-4, 6, (16, 4)), generator.integers(0, 150, (4, 4))
        far[:, 2:] += 150
        detections = np.column_stack([np.vstack([near, far]), generator.random(20)])
        images.append(sample(f'data/a/{index}.jpg', detections, faces[2:], faces[:2]))
        dark = generator.random(8) < (0, 0.3)[index % 2]
        images[-1]['instances'] = [
            {'bbox': box.tolist(), 'ignore_flag': int(place < 2), 'attributes': {'illumination': int(dark[place])}}
            for place, box in enumerate(faces)
        ]
    ours = numbers(settings(None, attributes=['illumination']), images)
    assert ours.keys() == {'day/AP', 'day/AP_illumination_0', 'day/AP_illumination_1'}
    for value in (0, 1):
        of_value = []
        for image in images:
            found, faces = image['pred_instances'], image['instances']
            counts = [not face['ignore_flag'] and face['attributes']['illumination'] == value for face in faces]
            rows = np.column_stack([found['bboxes'].numpy(), found['scores'].numpy()]).tolist()
            if any(counts):
                of_value.append((rows, [face['bbox'] for face in faces], counts))
        assert ours[f'day/AP_illumination_{value}'] == pytest.approx(slow_counted_precision(of_value) / 100, abs=1e-9)
    assert 0.05 < ours['day/AP_illumination_1'] < ours['day/AP_illumination_0'] < 0.95


def test_an_attribute_that_no_face_has_is_refused() -> None:
    images = [sample('data/a/0.jpg', [[0, 0, 9, 9, 0.5]], [[0, 0, 9, 9]])]
    with pytest.raises(InputError, match=r"no face has the attribute 'illumination'.*instances among the meta_keys"):
        numbers(settings(None, attributes=['illumination']), images)


def test_official_ap_of_a_part_counts_its_faces_alone(tmp_path: Path, said: list[str]) -> None:
    """As if the ground truth knew no other images."""
    _, faces, kept, images = given(6)
    names = list(faces)[::2]
    whole = write_ground_truth(tmp_path / 'whole', faces, kept)
    part = {subset: {name: rows[name] for name in names} for subset, rows in kept.items()}
    alone = write_ground_truth(tmp_path / 'part', {name: faces[name] for name in names}, part)
    ours = numbers(settings(whole, tested_only=True), images[::2])
    assert ours == numbers(settings(alone), images[::2])
    assert ours['day/hard_AP'] > numbers(settings(whole), images[::2])['day/hard_AP'] > 0
    (line,) = [line for line in said if 'not to be compared' in line]
    assert f'over {len(names)} of {len(faces)} official images' in line


def test_what_is_odd_is_said_once(tmp_path: Path, said: list[str]) -> None:
    _, faces, kept, images = given(5)
    folder = write_ground_truth(tmp_path, faces, kept)
    images = [*images[:-2], images[0], sample('data/x/stranger.jpg', np.array([[0, 0, 9, 9, 0.5]]), np.zeros((0, 4)))]
    for image in images[:-2]:
        image['pred_instances']['scores'] = 0.9995 + 0.0004 * image['pred_instances']['scores']  # one threshold for all
    images[1]['pred_instances']['scores'][0] = 0
    images[1]['pred_instances']['bboxes'][1, 0] = float('nan')
    metric = METRICS.build(settings(folder))
    for _ in range(2):
        metric.process({}, images)
        metric.evaluate(len(images))
    text = '\n'.join(line for line in said if line.startswith('warning: WiderFaceMetric'))
    for wanted, times in {
        '2 of 9 official images were not tested': 1,
        '1 tested images are not official (x/stranger first)': 1,
        '1 tested images share a name': 1,
        'official and exact AP differ: easy': 1,
        'hold a value that is not finite': 2,
    }.items():
        assert text.count(wanted) == times, (wanted, text)


def test_no_warning_where_both_numbers_agree(tmp_path: Path, said: list[str]) -> None:
    _, faces, kept, images = given(0)
    numbers(settings(write_ground_truth(tmp_path, faces, kept)), images)
    assert [line for line in said if line.startswith('warning')] == []


def test_images_that_are_not_official_are_scored_by_annotation(tmp_path: Path, said: list[str]) -> None:
    _, faces, kept, _ = given(0)
    folder = write_ground_truth(tmp_path, faces, kept)
    images = [sample('own/1.jpg', np.array([[0, 0, 9, 9, 0.5]]), np.array([[0, 0, 9, 9]]))]
    assert numbers(settings(folder), images) == {'day/AP': 1}
    assert 'has no tested image' in '\n'.join(said)
    with pytest.raises(InputError, match='own/1 comes without annotation'):
        numbers(settings(folder), [sample('own/1.jpg', np.zeros((0, 5)), None)])
    assert np.isnan(numbers(settings(None), [sample('own/1.jpg', np.zeros((0, 5)), np.zeros((0, 4)))])['day/AP'])
    assert 'AP is NaN' in '\n'.join(said)


def test_bad_settings_and_samples_are_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match='format_only=True needs outfile_prefix'):
        WiderFaceMetric(ground_truth=None, format_only=True)
    (tmp_path / 'wider_face_val.mat').write_bytes(b'')
    with pytest.raises(InputError, match=r'wider_face_val\.mat'):
        WiderFaceMetric(ground_truth=tmp_path)
    metric = WiderFaceMetric(ground_truth=None)
    with pytest.raises(InputError, match=r'own/1\.jpg comes without faces to score against'):
        metric.process({}, [sample('own/1.jpg', np.zeros((0, 5)), None)])
    with pytest.raises(InputError, match='img_path'):
        metric.process({}, [sample('', np.zeros((0, 5)), np.zeros((0, 4)))])


def test_two_processes_give_the_numbers_of_one(tmp_path: Path) -> None:
    """Through gloo; nine images, so that one is handed out twice."""
    _, faces, kept, images = given(1)
    folder = write_ground_truth(tmp_path / 'mats', faces, kept)
    jobs = [(settings(folder), images), (settings(None), images), ({'type': 'DarkFaceMetric'}, images)]
    run_two_processes(in_a_process, jobs, tmp_path)
    one = [numbers(*job) for job in jobs]
    for rank in (0, 1):
        assert json.loads((tmp_path / f'{rank}.json').read_text()) == one
