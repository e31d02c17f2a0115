"""Limits for the files of strangers: links in circles, files without end, zips, deep documents."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from run_log import read_run
from scipy.io import savemat

from mmdark.config_record import recorded_configs
from mmdark.converters.dark_copy import content_of, files_below
from mmdark.converters.yolo import read_data_yaml, yolo_to_images
from mmdark.datasets.image_files import image_size
from mmdark.datasets.label_files import read_text
from mmdark.errors import InputError
from mmdark.evaluation.coco_face_metric import CocoFaceMetric
from mmdark.evaluation.mat_limits import check_mat
from mmdark.evaluation.prediction_files import read_wider_predictions
from mmdark.file_limits import BeyondLimits, endless, glob_once, parse_json, walk_once
from mmdark.inference import image_sources
from mmdark.inference.json_lines import JsonLines
from mmdark.inference.merge import shares_in
from mmdark.inference.result_files import read_results
from mmdark.inference.tiles import AUTO_TILE, tile_side
from tests.limited_child import LimitedChild, faults

pytestmark = pytest.mark.skipif(sys.platform != 'linux', reason='links, pipes and devices as Linux has them')


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One photograph, two links to the folder, a link to itself, a pipe and an endless file."""
    (tmp_path / 'in').mkdir()
    Image.new('RGB', (9, 9)).save(tmp_path / 'in' / 'good.png')
    for name in 'xy':
        (tmp_path / name).symlink_to('.')
    (tmp_path / 'self.jpg').symlink_to('self.jpg')
    (tmp_path / 'zero.jpg').symlink_to('/dev/zero')
    os.mkfifo(tmp_path / 'pipe.jpg')
    return tmp_path


def read_each(folder: Path) -> str:
    """What comes of each photograph: read, or why it is broken."""
    said = []
    for source in image_sources(str(folder)):
        try:
            said.append(f'{Path(source.name).name} {source.read().shape}')
        except InputError as error:
            said.append(f'{Path(source.name).name}: {error}')
    return '; '.join(said)


def size_of(path: Path) -> object:
    return image_size(path)


def test_one_file_does_not_stop_a_folder(folder: Path) -> None:
    with LimitedChild(seconds=5) as child:
        outcomes = {'all': child.run(read_each, folder)}
        outcomes |= {name: child.run(size_of, folder / f'{name}.jpg') for name in ('self', 'zero', 'pipe')}
    assert faults(outcomes) == {} and outcomes['all'].kind == 'read'
    assert [entry.split(':')[0].split(' ')[0] for entry in outcomes['all'].said.split('; ')] == [
        'good.png', 'pipe.jpg', 'self.jpg', 'zero.jpg',
    ]  # fmt: skip
    assert 'good.png (9, 9, 3)' in outcomes['all'].said and 'a pipe' in outcomes['all'].said
    assert [outcomes[name].kind for name in ('self', 'zero', 'pipe')] == ['refused'] * 3


READERS = {
    'a label': lambda path: read_text(str(path), 'label', 'mend it'),
    'a YOLO label': lambda path: yolo_to_images(path.parent, path.parent),
    'data.yaml': read_data_yaml,
    'a file of a copy': content_of,
    'the record of a config': lambda path: recorded_configs(path.parent)['a'],
    'lines of a run': lambda path: JsonLines(path, {}, 'photograph', int),
    'lines of a share': lambda path: shares_in([path.parent]),
    'results': read_results,
    'COCO': lambda path: setattr(CocoFaceMetric(str(path)), 'dataset_meta', dict(classes=('face',))),
}
NAMES = {
    'a YOLO label': 'good.txt',
    'the record of a config': 'trained_configs.json',
    'lines of a share': 'results.jsonl',
    'results': 'results.json',
}


def read_one(kind: str, path: Path) -> None:
    try:
        READERS[kind](path)
    except (OSError, KeyError) as error:
        raise InputError(str(error)) from None


@pytest.mark.parametrize('end', ['a pipe', 'a device'])
def test_text_of_a_data_set_or_a_run_may_be_a_pipe_or_endless(tmp_path: Path, end: str) -> None:
    with LimitedChild(seconds=5) as child:
        for number, kind in enumerate(READERS):
            path = tmp_path / str(number) / NAMES.get(kind, 'file')
            path.parent.mkdir()
            Image.new('RGB', (9, 9)).save(path.parent / 'good.png')
            if end == 'a pipe':
                os.mkfifo(path)
            else:
                path.symlink_to('/dev/zero')
            outcome = child.run(read_one, kind, path)
            assert outcome.kind == 'refused' and faults({kind: outcome}) == {}, (kind, outcome)


def test_links_in_circles_are_followed_once(folder: Path) -> None:
    assert files_below(folder) == ['in/good.png', 'pipe.jpg', 'self.jpg', 'zero.jpg']
    assert glob_once(f'{folder}/**/*.png') == [f'{folder}/in/good.png']
    (folder / 'in/good.txt').write_text('good\n1\n1 2 3 4 0.5\n')
    assert list(read_wider_predictions(folder, ['in/good'])[0]) == ['in/good']


def test_a_folder_has_its_own_path_before_that_of_a_link(tmp_path: Path) -> None:
    """Whatever it is called; what a caller takes out is not gone into by a link, either."""
    for name in ('z/b', 'left/c'):
        (tmp_path / name).mkdir(parents=True)
    for name, target in (('a', 'z'), ('b', 'z/b'), ('up', '..'), ('d', 'left')):
        (tmp_path / name).symlink_to(target)
    walked = [os.path.relpath(place, tmp_path) for place, _, _ in walk_once(tmp_path / 'z')]
    assert walked == ['z', 'z/b']
    walked = []
    for place, folders, _ in walk_once(tmp_path):
        folders[:] = [name for name in folders if name not in ('left', 'up')]
        walked.append(os.path.relpath(place, tmp_path))
    assert walked == ['.', 'z', 'z/b', 'd', 'd/c']


def test_a_pattern_finds_what_glob_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import glob

    for name in ('a/b/1.jpg', 'a/2.jpg', '3.jpg', '.hidden/4.jpg', 'c[1]/5.jpg', 'a/b/c/6.jpg'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('')
    monkeypatch.chdir(tmp_path)
    for pattern in ('**/*.jpg', '*.jpg', 'a/**', 'a/**/c/*.jpg', '**/b/**/*.jpg', '*/**/*.jpg', f'{tmp_path}/**/*.jpg'):
        found = {path for path in map(os.path.normpath, glob.glob(pattern, recursive=True)) if os.path.isfile(path)}
        assert {path for path in map(os.path.normpath, glob_once(pattern)) if os.path.isfile(path)} == found, pattern


def test_what_a_person_names_in_dev_is_read(tmp_path: Path) -> None:
    assert endless('/dev/fd/0') is None and endless(tmp_path / 'none') is None and endless(tmp_path) is None


def test_a_strip_is_seen_in_tiles() -> None:
    """It is filled up to the detector's stride, so its pixels do not say what it takes."""
    assert tile_side('auto', 1, 1_000_000) == tile_side('auto', 1_000_000, 1) == AUTO_TILE
    assert tile_side('auto', 128, 32_768) is tile_side('auto', 2048, 2048) is tile_side('auto', 1, 9000) is None


def test_deep_documents_are_no_documents(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='too deep'):
        parse_json('[' * 10**5)
    (tmp_path / 'results.json').write_text('[' * 10**5)
    with pytest.raises(InputError, match='nests too deep'):
        read_results(tmp_path)


def test_a_log_of_a_stranger_runs_nothing(tmp_path: Path) -> None:
    start = tmp_path / 'run' / '20260101_000000' / 'vis_data'
    start.mkdir(parents=True)
    (start / 'config.py').write_text(f'open({str(tmp_path / "ran")!r}, "w")\nrandomness = dict(seed=7)\n')
    (start / 'scalars.json').write_text('{"loss": 1.0, "iter": 1, "step": 1}\n')
    assert read_run(tmp_path / 'run').seed == 7
    assert not (tmp_path / 'ran').exists()


def test_cells_in_cells(tmp_path: Path) -> None:
    value: np.ndarray = np.zeros(1)
    for level in range(120):
        cell = np.empty((1, 1), object)
        cell[0, 0] = value
        value = cell
        if level == 50:
            savemat(tmp_path / 'good.mat', {'a': value, 'b': np.arange(1000)}, do_compression=True)
    savemat(tmp_path / 'deep.mat', {'a': value}, do_compression=True)
    savemat(tmp_path / 'bomb.mat', {'a': np.zeros(40_000_000)}, do_compression=True)
    check_mat(tmp_path / 'good.mat')
    with pytest.raises(BeyondLimits, match='more than 100 levels'):
        check_mat(tmp_path / 'deep.mat')
    with pytest.raises(BeyondLimits, match='memory'):
        check_mat(tmp_path / 'bomb.mat')
