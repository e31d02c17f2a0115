"""Each format is read back by another reader than ours: pycocotools, csv, the evaluation, YOLO's formula by hand."""

from __future__ import annotations

import csv
import json
import os
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from mmdark.errors import InputError
from mmdark.evaluation.prediction_files import read_wider_predictions
from mmdark.inference.result import BrokenImage
from mmdark.inference.result_files import FORMATS, ResultFiles, read_results, write_picture
from mmdark.inference.result_lists import kept_lines

from .face_results import result_of

NIGHT = result_of('night/a.jpg', (10, 20, 30, 50, 0.9), (1.5, 2.25, 4, 8, 0.4))
EMPTY = result_of('night/b.png', size=(40, 30))


def draw(image: np.ndarray, result: object) -> np.ndarray:
    return 255 - image


def written(folder: Path, *formats: str) -> Path:
    files = ResultFiles(folder, formats, dict(model='m'), draw)
    files.add('x/a', NIGHT, np.zeros((60, 80, 3), np.uint8))
    files.add('b', EMPTY, np.full((30, 40, 3), 255, np.uint8))
    files.add_broken(BrokenImage('night/c.jpg', 'empty'))
    assert all(path.exists() for path in files.close())
    return folder


def test_json_says_all_and_is_read_back(tmp_path: Path) -> None:
    content = json.loads((written(tmp_path, 'json') / 'results.json').read_text())
    assert content.keys() == {'mmdark', 'model', 'complete', 'images', 'broken'}
    assert content['complete'] is True and content['model'] == 'm'
    assert content['images'] == [
        dict(
            source='night/a.jpg',
            name='x/a',
            width=80,
            height=60,
            faces=[dict(bbox=[10, 20, 30, 50], score=0.9), dict(bbox=[1.5, 2.25, 4, 8], score=0.4)],
        ),
        dict(source='night/b.png', name='b', width=40, height=30, faces=[]),
    ]
    assert content['broken'] == [dict(source='night/c.jpg', reason='empty')]
    results, broken, about = read_results(tmp_path)
    assert [one.source for one in results] == ['night/a.jpg', 'night/b.png']
    assert np.array_equal(results[0].boxes, NIGHT.boxes) and np.allclose(results[0].scores, NIGHT.scores)
    assert results[1].boxes.shape == (0, 4) and (results[1].width, results[1].height) == (40, 30)
    assert broken == [BrokenImage('night/c.jpg', 'empty')]
    assert about['names'] == ['x/a', 'b'] and about['pictures'] == [None, None]


def test_csv_has_a_row_a_face(tmp_path: Path) -> None:
    with (written(tmp_path, 'csv') / 'results.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert [list(map(float, list(row.values())[1:])) for row in rows] == [[10, 20, 30, 50, 0.9], [1.5, 2.25, 4, 8, 0.4]]
    assert {row['source'] for row in rows} == {'night/a.jpg'}


def test_yolo_is_relative_to_the_image(tmp_path: Path) -> None:
    folder = written(tmp_path, 'yolo') / 'labels'
    first = [float(word) for word in (folder / 'x' / 'a.txt').read_text().splitlines()[0].split()]
    assert first == pytest.approx([0, 20 / 80, 35 / 60, 20 / 80, 30 / 60, 0.9], abs=1e-6)
    assert (folder / 'b.txt').read_text() == ''


def test_wider_is_read_by_the_evaluation(tmp_path: Path) -> None:
    found, problems = read_wider_predictions(written(tmp_path, 'wider') / 'wider', ['x/a', 'b'])
    assert problems == []
    assert found['x/a'] == pytest.approx(np.array([[10, 20, 20, 30, 0.9], [1.5, 2.25, 2.5, 5.75, 0.4]]))
    assert len(found['b']) == 0


def test_coco_is_loaded_by_pycocotools(tmp_path: Path) -> None:
    written(tmp_path, 'coco')
    images = COCO(str(tmp_path / 'coco_images.json'))
    found = images.loadRes(str(tmp_path / 'coco_results.json'))
    by_file = {image['file_name']: image['id'] for image in images.dataset['images']}
    boxes = [entry['bbox'] for entry in found.loadAnns(found.getAnnIds(imgIds=by_file['night/a.jpg']))]
    assert boxes == [[10, 20, 20, 30], [1.5, 2.25, 2.5, 5.75]]
    assert found.getAnnIds(imgIds=by_file['night/b.png']) == []


def test_pictures_are_what_was_drawn(tmp_path: Path) -> None:
    written(tmp_path, 'pictures', 'json')
    assert cv2.imread(str(tmp_path / 'pictures' / 'x' / 'a.jpg')).mean() > 250
    assert cv2.imread(str(tmp_path / 'pictures' / 'b.jpg')).mean() < 5
    assert read_results(tmp_path)[2]['pictures'] == ['pictures/x/a.jpg', 'pictures/b.jpg']


def test_a_picture_too_large_for_jpeg_is_a_png(tmp_path: Path) -> None:
    files = ResultFiles(tmp_path, ['pictures'], draw=draw)
    files.add('long', NIGHT, np.zeros((1, 65501, 3), np.uint8))
    assert cv2.imread(str(tmp_path / 'pictures' / 'long.png')).shape == (1, 65501, 3)
    with pytest.raises(InputError, match=r'a\.jpg: JPEG takes at most 65500 pixels a side; name it \*\.png'):
        write_picture(tmp_path / 'a.jpg', np.zeros((1, 65501, 3), np.uint8))


def test_a_name_that_is_no_text_survives(tmp_path: Path) -> None:
    source = os.fsdecode(b'caf\xe9.jpg')
    files = ResultFiles(tmp_path, FORMATS, draw=draw)
    files.add(source.removesuffix('.jpg'), result_of(source, (1, 2, 3, 4, 0.5)), np.zeros((60, 80, 3), np.uint8))
    files.close()
    assert (tmp_path / 'wider' / source).with_suffix('.txt').read_bytes().startswith(b'caf\xe9\n1\n')
    assert read_results(tmp_path)[0][0].source == source


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    """Only the formats that were asked for, and no unfinished file."""
    for kind in FORMATS:
        written(tmp_path / kind, kind)
    tops = {kind: {path.name for path in (tmp_path / kind).iterdir()} - {'results.jsonl'} for kind in FORMATS}
    assert tops == {
        'json': {'results.json'},
        'csv': {'results.csv'},
        'yolo': {'labels'},
        'wider': {'wider'},
        'coco': {'coco_images.json', 'coco_results.json'},
        'pictures': {'pictures'},
    }
    assert not list(tmp_path.rglob('*.part'))


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'^there is no format xml: choose from json, '):
        ResultFiles(tmp_path, ['xml'])
    (tmp_path / 'file').write_text('')
    with pytest.raises(InputError, match=r'file cannot be written \(File exists\)'):
        ResultFiles(tmp_path / 'file', ['json'])
    for text in ('[]', '{', '{"images": [{"faces": 1}], "broken": []}'):
        (tmp_path / 'results.json').write_text(text)
        with pytest.raises(InputError, match=r'^\S+results\.json is no results\.json of mmdark detect'):
            read_results(tmp_path)
    with pytest.raises(InputError, match=r'none/results\.json cannot be read|none cannot be read'):
        read_results(tmp_path / 'none')


NAN, INF = float('nan'), float('inf')


@pytest.mark.parametrize(
    ('place', 'value'),
    [
        *(
            (('images', 0, 'faces', 0, 'bbox'), value)
            for value in (None, [1, 2, 3], [0] * 8, [NAN] * 4, [1, 2, INF, 4])
        ),
        *((('images', 0, 'faces', 0, 'score'), value) for value in (None, 'high', NAN, [1, 2])),
        *((('images', 0, 'faces'), value) for value in (None, 7, [[]], 'ab')),
        *((('images', 0, 'width'), value) for value in (None, 'wide', INF, NAN, 0, -3)),
        *((('images', 0, 'name'), value) for value in (None, 7, ['a'], 'a\0b')),
        *((('images', 0, 'source'), value) for value in (None, 7)),
        *((('images', 0, 'picture'), value) for value in (7, ['a'])),
        *((('images', 0), value) for value in (None, [], 'a')),
        *((('images',), value) for value in (None, 7, 'ab', {'a': 1})),
        *((('broken',), value) for value in (None, [1], [{}], [{'source': 1, 'reason': 'x'}])),
        *((('score_thr',), value) for value in ('low', None, [1])),
        *((('classes',), value) for value in (7, None)),
    ],
)
def test_edited_results_are_refused_with_one_line(tmp_path: Path, place: tuple, value: object) -> None:
    path = written(tmp_path, 'json') / 'results.json'
    document = here = json.loads(path.read_text())
    for key in place[:-1]:
        here = here[key]
    here[place[-1]] = value
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match=r'results\.json is no results\.json of mmdark detect') as caught:
        read_results(tmp_path)
    assert len(str(caught.value)) <= 300 and len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize('text', ['', '[' * 100_000, '9' * 5000, 'null', '[]', 'x' * 5000])
def test_other_files_are_no_results(tmp_path: Path, text: str) -> None:
    (tmp_path / 'results.json').write_text(text)
    with pytest.raises(InputError, match=r'is no results\.json of mmdark detect') as caught:
        read_results(tmp_path)
    assert len(str(caught.value)) <= 300


def test_results_that_an_editor_has_saved_are_read(tmp_path: Path) -> None:
    """With a mark at the start, and with the ends of lines of Windows."""
    written(tmp_path, 'json')
    path = tmp_path / 'results.json'
    before = read_results(tmp_path)[2]
    path.write_bytes(b'\xef\xbb\xbf' + path.read_bytes().replace(b'\n', b'\r\n'))
    assert read_results(tmp_path)[2] == before


def test_what_is_too_large_or_endless_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / 'results.json').open('wb') as file:
        file.truncate(300 << 20)
    with pytest.raises(InputError, match='has 300 MB, and 256 are the most'):
        read_results(tmp_path)
    (tmp_path / 'results.json').unlink()
    (tmp_path / 'results.json').symlink_to('/dev/zero')
    with pytest.raises(InputError, match=r'results\.json is a device, not a file'):
        read_results(tmp_path)


def test_json_is_that_of_the_whole_at_once_and_digits_survive(tmp_path: Path) -> None:
    """Written photograph after photograph, of lines that hold every digit of a float32."""
    noise = np.random.default_rng(0)
    found = [result_of(f'night/{number}.png', *noise.uniform(0, 60, (number % 4, 5)).tolist()) for number in range(20)]
    files = ResultFiles(tmp_path, ['json', 'coco'], dict(model='m'))
    for number, result in enumerate(found):
        files.add(str(number), result)
    kept = [line.item for line in files.lines()]
    assert all(np.array_equal(old.boxes, new.boxes) for old, new in zip(found, kept, strict=True))
    assert all(np.array_equal(old.scores, new.scores) for old, new in zip(found, kept, strict=True))
    files.close()
    for name, more in (('results.json', dict(indent=1)), ('coco_images.json', {}), ('coco_results.json', {})):
        text = (tmp_path / name).read_text()
        assert text == json.dumps(json.loads(text), **more) + '\n'
    boxes = [entry['bbox'] for entry in json.loads((tmp_path / 'coco_results.json').read_text())]
    assert boxes == [entry['bbox'] for result in found for entry in result.to_coco(1)]


def test_memory_does_not_grow_with_the_photographs(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        files = ResultFiles(tmp_path / str(count), ['json', 'csv', 'coco'])
        for number in range(count):
            files.add(str(number), NIGHT)
        files.close()
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    peak(10)  # what is imported and cached at first
    assert peak(300) < peak(30) + 100_000


def test_a_line_that_was_edited_is_named(tmp_path: Path) -> None:
    written(tmp_path, 'json')
    lines = (tmp_path / 'results.jsonl').read_text().splitlines()
    for bad in (
        '{"photograph": 0, "name": "x/a"}',
        '{"photograph": 0, "name": "a", "source": "b", "width": [], "faces": 1}',
    ):
        (tmp_path / 'results.jsonl').write_text('\n'.join([lines[0], bad, *lines[2:], '']))
        files = ResultFiles(tmp_path, ['json'], dict(model='m'), resume=True)
        with pytest.raises(InputError, match=r'^line 2 of \S+results\.jsonl is damaged: delete it and those below'):
            list(files.lines())


def test_a_line_that_is_no_json_is_named(tmp_path: Path) -> None:
    lines = (written(tmp_path, 'json') / 'results.jsonl').read_bytes().splitlines(keepends=True)
    for damaged in (lines[2][5:], b'7\n', b'\0\n', b'[' * 10**5 + b'\n'):
        (tmp_path / 'results.jsonl').write_bytes(b''.join([*lines[:2], damaged, *lines[3:]]))
        with pytest.raises(InputError, match=r'^line 3 of .*results\.jsonl is damaged: '):
            list(kept_lines(tmp_path / 'results.jsonl', ('face',)))
