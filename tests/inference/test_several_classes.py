"""Of several classes, each result, file and picture says which; of one class nothing has changed."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmdet.evaluation import get_classes
from mmengine.config import Config
from pycocotools.coco import COCO

from mmdark.cli import detect, main
from mmdark.drawing import GREEN, colour_of, counted_classes, draw_faces
from mmdark.errors import InputError
from mmdark.inference import DetectionResult, FaceInferencer, FaceResult, Inferencer, detect_in_tiles
from mmdark.inference.detector import _dataset_meta
from mmdark.inference.result_files import ResultFiles, read_results
from mmdark.inference.result_lists import category_ids
from mmdark.inference.video import detect_video
from tests.inference.face_results import ToldInferencer, result_of
from tests.inference.tiny_video import SquareFinder, lines_of, write_video

NAMES = ('dog', 'traffic light', '<bus>')
ROWS = ((10, 20, 30, 50, 0.9), (1.5, 2.25, 4, 8, 0.6), (40, 20, 60, 50, 0.4))
STREET = replace(result_of('street.png', *ROWS), labels=np.array([2, 0, 2]), class_names=NAMES)
EMPTY = replace(result_of('empty.png'), class_names=NAMES)


class Streets(ToldInferencer):
    """Finds a dog, a bus on each image, one within the other."""

    class_names = NAMES

    def stream(self, *args: object, **options: object) -> object:
        for result, image in super().stream(*args, **options):
            twice = {name: np.repeat(getattr(result, name), 2, axis=0) for name in ('boxes', 'scores')}
            yield replace(result, **twice, labels=np.array([0, 2]), class_names=NAMES), image


def written(folder: Path, *formats: str) -> Path:
    files = ResultFiles(folder, formats, class_names=NAMES, draw=lambda image, result: image)
    files.add('street', STREET, np.zeros((60, 80, 3), np.uint8))
    files.add('empty', EMPTY, np.zeros((60, 80, 3), np.uint8))
    assert all(path.exists() for path in files.close())
    return folder


def test_the_old_names_stay() -> None:
    assert FaceInferencer is Inferencer and FaceResult is DetectionResult
    face = result_of('a.jpg', *ROWS)
    assert face.labels.tolist() == [0, 0, 0] and face.names == ['face'] * 3
    assert face.to_dicts()[0] == dict(bbox=[10, 20, 30, 50], score=0.9)


def test_names_are_those_of_the_checkpoint_or_of_the_data_set_which_need_not_be_there() -> None:
    own = dict(type='CocoDataset', ann_file='nowhere.json', metainfo=dict(classes=NAMES))
    joined = dict(type='ConcatDataset', datasets=[own, own])
    for dataset in (own, joined):
        cfg = Config(dict(test_dataloader=dict(dataset=dataset)))
        assert _dataset_meta({}, cfg)['classes'] == NAMES
        assert _dataset_meta(dict(dataset_meta=dict(CLASSES=['cat'])), cfg)['classes'] == ('cat',)
    assert _dataset_meta({}, Config(dict(test_dataloader=dict(dataset=dict(type='BaseDetDataset')))))['classes'] == ()
    assert _dataset_meta({}, Config({}))['classes'] == ()
    with pytest.raises(InputError, match=r'its test data set, which names the classes, cannot be built \(.*Nowhere'):
        _dataset_meta({}, Config(dict(test_dataloader=dict(dataset=dict(type='Nowhere')))))


def test_labels_follow_their_boxes() -> None:
    assert STREET.names == ['<bus>', 'dog', '<bus>'] and STREET.above(0.5).labels.tolist() == [2, 0]
    again = DetectionResult.from_dicts(STREET.to_dicts(), 80, 60, 'street.png', NAMES)
    assert (again.labels == STREET.labels).all() and (again.boxes == STREET.boxes).all() and again.names == STREET.names
    assert [entry['category_id'] for entry in STREET.to_coco(7)] == [3, 1, 3]
    assert [entry['category_id'] for entry in STREET.to_coco(7, [5, 6, 90])] == [90, 5, 90]
    assert replace(STREET, class_names=()).names == ['2', '0', '2'], 'where nothing names them'


def test_json_and_csv_name_the_classes(tmp_path: Path) -> None:
    content = json.loads((written(tmp_path, 'json', 'csv') / 'results.json').read_text())
    assert content['classes'] == list(NAMES) and content['images'][1]['objects'] == []
    assert content['images'][0]['objects'][0] == dict(bbox=[10, 20, 30, 50], score=0.9, label=2, class_name='<bus>')
    with (tmp_path / 'results.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert [(row['label'], row['class_name'], row['score']) for row in rows] == [
        ('2', '<bus>', '0.9'),
        ('0', 'dog', '0.6'),
        ('2', '<bus>', '0.4'),
    ]
    (street, empty), _, _ = read_results(tmp_path)
    assert street.labels.tolist() == [2, 0, 2] and street.class_names == empty.class_names == NAMES


def test_yolo_and_coco_have_their_numbers(tmp_path: Path) -> None:
    written(tmp_path, 'yolo', 'coco')
    lines = (tmp_path / 'labels' / 'street.txt').read_text().splitlines()
    assert [line.split()[0] for line in lines] == ['2', '0', '2']
    assert (tmp_path / 'classes.txt').read_text().splitlines() == list(NAMES)
    truth = COCO(str(tmp_path / 'coco_images.json'))
    found = truth.loadRes(str(tmp_path / 'coco_results.json'))
    named = {one['id']: one['name'] for one in truth.loadCats(truth.getCatIds())}
    assert [named[one['category_id']] for one in found.loadAnns(found.getAnnIds())] == ['<bus>', 'dog', '<bus>']
    ids = category_ids(get_classes('coco'))  # official: a person is 1, a toothbrush 90
    assert (ids[0], ids[11], ids[-1], len(ids)) == (1, 13, 90, 80)
    with pytest.raises(InputError, match='hold one class: take json, csv, yolo or coco'):
        ResultFiles(tmp_path, ['wider'], class_names=NAMES)


def test_a_picture_has_a_colour_and_a_name_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = []
    monkeypatch.setattr('mmdark.drawing.faces._write', lambda image, place, text, *rest: texts.append((text, rest[1])))
    image = np.zeros((600, 800, 3), np.uint8)
    boxes = np.array([[100, 100, 300, 300], [400, 100, 600, 300]])
    drawn = draw_faces(image, boxes, np.array([0.9, 0.8]), classes=np.array([2, 0]), class_names=NAMES)
    bus, dog = colour_of(2, 3), colour_of(0, 3)
    assert tuple(drawn[100, 200]) == bus and tuple(drawn[100, 500]) == dog and bus != dog
    assert texts[:2] == [('<bus> 0.90', bus), ('dog 0.80', dog)] and texts[2][0] == '2 objects'
    assert colour_of(0, 1) == GREEN and len({colour_of(label, 80) for label in range(80)}) == 80
    with pytest.raises(InputError, match='2 boxes but 1 classes'):
        draw_faces(image, boxes, classes=np.array([0]))


def test_tiles_suppress_within_a_class_alone() -> None:
    def see(images: list[np.ndarray]) -> list[tuple[np.ndarray, ...]]:
        boxes = np.array([[10, 10, 50, 50], [11, 10, 51, 50], [10, 11, 50, 51]], np.float32)
        return [(boxes, np.array([0.9, 0.8, 0.7], np.float32), np.array([1, 0, 1]))] * len(images)

    boxes, scores, labels = detect_in_tiles(np.zeros((100, 100, 3), np.uint8), see, 384)
    assert labels.tolist() == [1, 0] and scores.tolist() == np.array([0.9, 0.8], np.float32).tolist()
    assert boxes.tolist() == [[10, 10, 50, 50], [11, 10, 51, 50]]


def test_words_follow_the_classes() -> None:
    assert counted_classes({0: 1}, ('face',)) == '1 face' and counted_classes({0: 2}, ('bus',)) == '2 buses'
    assert (
        counted_classes({2: 2, 0: 1}, NAMES) == '3 objects (1 dog, 2 <bus>)' and counted_classes({}, ()) == '0 objects'
    )


def test_the_command_says_and_shows_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(detect, '_inferencer', lambda args: Streets())
    cv2.imwrite('a.png', np.full((60, 80, 3), 99, np.uint8))
    assert main(['detect', 'a.png', '--out-dir', 'out', '--json']) == 0
    assert capsys.readouterr().out.startswith('2 objects (1 dog, 1 <bus>) on 1 of 1 image, score 0.3')
    assert main(['detect', 'a.png', '--wider']) == 1 and 'hold one class' in capsys.readouterr().err


def test_a_line_of_a_video_names_the_class(tmp_path: Path) -> None:
    class Streets(SquareFinder):
        def stream(self, *args: object, **options: object) -> object:
            for result, image in super().stream(*args, **options):
                yield replace(result, labels=np.full(len(result), 2), class_names=NAMES), image

    finder = Streets(tmp_path / 'weights')
    finder.class_names = NAMES
    summary = detect_video(finder, write_video(tmp_path / 'a.avi', 3), tmp_path / 'out')
    assert summary.objects == {2: 3} and summary.faces == 3 and summary.video_file.exists()
    assert lines_of(summary.frames_file)[0]['objects'][0]['class_name'] == '<bus>'
    assert json.loads(summary.frames_file.read_text().splitlines()[0])['classes'] == list(NAMES)
    with pytest.raises(InputError, match='was begun with classes'):
        finder.class_names = ('dog', 'cat')
        detect_video(finder, tmp_path / 'a.avi', tmp_path / 'out')
