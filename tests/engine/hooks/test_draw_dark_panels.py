"""The panels show what they say: the file, what the detector was given, its reflectance, its detections."""

import errno
import math
import multiprocessing
import os
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.runner import Runner
from mmengine.structures import InstanceData

from mmdark.apis import leave_distributed, prepare_distributed
from mmdark.drawing import GAP, GREEN, HEADER, brighten
from mmdark.engine.hooks import DrawDarkPanels
from mmdark.errors import InputError
from tests.meeting import meeting
from tests.tiny_wider import lite_config, photo, write_annotation, write_wider

HEIGHT, WIDTH = 80, 96
ENLARGE = math.ceil(360 / HEIGHT)
TALL, WIDE = HEIGHT * ENLARGE, WIDTH * ENLARGE


def split(picture: np.ndarray, count: int) -> list[np.ndarray]:
    """The panels of a picture, without titles."""
    assert picture.shape == (TALL + HEADER, count * WIDE + (count - 1) * GAP, 3)
    return [picture[HEADER:, i * (WIDE + GAP) :][:, :WIDE].astype(int) for i in range(count)]


def run(tmp_path: Path, root: Path, options: dict[str, Any] | None = None, **hook: Any) -> tuple[Runner, Path]:
    """Test with an untrained detector and draw."""
    folder = tmp_path / 'pictures'
    cfg = lite_config(root, tmp_path, options={'model.detector.test_cfg.score_thr': 0.0, **(options or {})})
    cfg.default_hooks.draw_dark_panels = {'type': 'DrawDarkPanels', 'out_dir': str(folder), **hook}
    runner = Runner.from_cfg(cfg)
    runner.test()
    return runner, folder


def test_the_picture_of_a_test(tmp_path: Path) -> None:
    root = write_wider(tmp_path / 'wider', train=1, val=2)
    runner, folder = run(tmp_path, root, score_thr=0.0)
    assert sorted(path.name for path in folder.iterdir()) == ['val_0.png', 'val_1.png']
    light, dark, reflectance, found = split(cv2.imread(str(folder / 'val_1.png')), 4)

    path = root / 'WIDER_val' / 'images' / '0--Noise' / 'val_1.jpg'
    file = cv2.imread(str(path))
    np.testing.assert_array_equal(light, cv2.resize(file, (WIDE, TALL)))

    pipeline = [{'type': 'LoadPhoto'}, {'type': 'DarkISP', 'preset': 'corrected', 'seed': 0, 'keep_light': False}]
    given = Compose(pipeline)({'img_path': str(path)})['img']
    shown = np.clip(given, 0, 255).astype(np.uint8)
    np.testing.assert_array_equal(dark, shown.repeat(ENLARGE, 0).repeat(ENLARGE, 1))
    assert dark.mean() < 0.7 * light.mean()

    rgb = torch.from_numpy(np.ascontiguousarray(given[..., ::-1])).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        expected = runner.model.eval().reflectance(rgb)[0].permute(1, 2, 0).numpy()[..., ::-1] * 255
    assert np.abs(reflectance[ENLARGE // 2 :: ENLARGE, ENLARGE // 2 :: ENLARGE] - expected).max() <= 2
    bright = brighten(given).repeat(ENLARGE, 0).repeat(ENLARGE, 1)
    painted = (found != bright).any(2)
    assert 0 < painted.mean() < 1 and (found[painted] == GREEN).all(1).any()


def test_scores_below_the_threshold_are_not_drawn(tmp_path: Path) -> None:
    _, folder = run(tmp_path, write_wider(tmp_path / 'wider', train=1, val=1), score_thr=1.1)
    dark, found = (split(cv2.imread(str(folder / 'val_0.png')), 4)[i] for i in (1, 3))
    assert not (found == GREEN).all(2).any() and found.mean() > dark.mean()


def test_detections_are_drawn_where_the_enlarged_image_has_them(tmp_path: Path) -> None:
    """Of two faces, the one whose score reaches the threshold; lines are two pixels wide."""
    photo(0).save(tmp_path / 'a.png')
    faces = InstanceData(
        bboxes=torch.tensor([[20.0, 16.0, 72.0, 64.0], [2.0, 2.0, 9.0, 9.0]]), scores=torch.tensor([0.5, 0.4])
    )
    sample = DetDataSample(metainfo={'img_path': str(tmp_path / 'a.png'), 'ori_shape': (HEIGHT, WIDTH)})
    sample.pred_instances = faces
    black = torch.zeros(3, HEIGHT, WIDTH)
    picture = DrawDarkPanels('none', score_thr=0.5)._panels(torch.nn.Identity(), black, sample)
    ys, xs = np.nonzero((split(picture, 3)[2] == GREEN).all(2))
    assert np.abs(xs.min() - 20 * ENLARGE) <= 1 and np.abs(xs.max() - 72 * ENLARGE) <= 1
    assert np.abs(ys.max() - 64 * ENLARGE) <= 1 and 16 * ENLARGE - 25 < ys.min() < 16 * ENLARGE


def test_without_a_decoder_there_is_no_reflectance_and_drawing_ends_at_max_images(tmp_path: Path) -> None:
    root = write_wider(tmp_path / 'wider', train=1, val=3)
    _, folder = run(tmp_path, root, {'model.enhancer': None}, max_images=2)
    assert sorted(path.name for path in folder.iterdir()) == ['val_0.png', 'val_1.png']
    assert len(split(cv2.imread(str(folder / 'val_0.png')), 3)) == 3


def test_the_same_name_twice_gives_two_pictures(tmp_path: Path) -> None:
    root = write_wider(tmp_path / 'wider', train=1, val=1)
    for event in ('1--One', '2--Two'):
        (root / 'WIDER_val' / 'images' / event).mkdir()
        photo(ord(event[0])).save(root / 'WIDER_val' / 'images' / event / 'same.png')
    write_annotation(root, 'val', [('1--One/same.png', []), ('2--Two/same.png', [(1, 2, 30, 40)])])
    _, folder = run(tmp_path, root, {'test_dataloader.batch_size': 2})
    assert sorted(path.name for path in folder.iterdir()) == ['same-2.png', 'same.png']
    lights = [split(cv2.imread(str(folder / name)), 4)[0] for name in ('same.png', 'same-2.png')]
    for light, event in zip(lights, ('1--One', '2--Two'), strict=True):
        file = cv2.imread(str(root / 'WIDER_val' / 'images' / event / 'same.png'))
        np.testing.assert_array_equal(light, cv2.resize(file, (WIDE, TALL)))


def day_and_dark(root: Path, work_dir: Path, folder: Path, batch_size: int, **hook: Any) -> Config:
    """Three images by day and in the dark, of two sizes; the weights are the same in each process."""
    cfg = lite_config(root, work_dir, options={'test_dataloader.batch_size': batch_size})
    (dark,) = cfg.test_dataloader.dataset.datasets
    day = {**dark, 'pipeline': [step for step in dark.pipeline if step.type != 'DarkISP']}
    cfg.test_dataloader.dataset = {'type': 'ConcatDataset', 'datasets': [day, dark]}
    cfg.default_hooks.draw_dark_panels = {'type': 'DrawDarkPanels', 'out_dir': str(folder), **hook}
    return cfg


def draw_share(rank: int, place: dict[str, str], given: Sequence[Any], hook: dict[str, Any]) -> None:
    """One of two processes."""
    torch.set_num_threads(1)
    os.environ.update(place, RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2')
    cfg = day_and_dark(*given, **hook)
    prepare_distributed(cfg, 'pytorch')
    Runner.from_cfg(cfg).test()
    leave_distributed()


def pictures(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(('batch_size', 'most'), [(1, None), (2, 5)])
def test_two_processes_draw_what_one_draws(
    batch_size: int, most: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 3 + 3 images each process sees some by day and some in the dark."""
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')
    root = write_wider(tmp_path / 'wider', train=1, val=3)
    photo(7, (128, 96)).save(root / 'WIDER_val' / 'images' / '0--Noise' / 'val_1.jpg')
    alone = tmp_path / 'alone'
    Runner.from_cfg(day_and_dark(root, tmp_path / 'work', alone, 1, max_images=most)).test()
    names = ['val_0.png', 'val_1.png', 'val_2.png', 'val_0-2.png', 'val_1-2.png', 'val_2-2.png'][:most]
    assert sorted(pictures(alone)) == sorted(names) and len(set(pictures(alone).values())) == len(names)
    given, context = (root, tmp_path / 'work', tmp_path / 'two', batch_size), multiprocessing.get_context('fork')
    with meeting() as place:
        hook = {'max_images': most}
        processes = [context.Process(target=draw_share, args=(rank, place, given, hook)) for rank in (0, 1)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(240)
    assert [process.exitcode for process in processes] == [0, 0]
    assert pictures(tmp_path / 'two') == pictures(alone)


class Named(list):
    """A data set that knows the paths of its images alone."""

    def get_data_info(self, index: int) -> dict[str, str]:
        return {'img_path': self[index]}


@pytest.mark.parametrize(('images', 'world'), [(7, 2), (7, 3), (2, 4)])
def test_the_images_that_fill_up_the_last_round_are_not_drawn_again(
    images: int, world: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each picture has the number of its place in the data set for a colour."""
    dataset = Named(f'{place % 2}.jpg' for place in range(images))
    runner = SimpleNamespace(model=torch.nn.Identity(), test_dataloader=SimpleNamespace(dataset=dataset))
    for rank in range(world):
        monkeypatch.setattr('mmdark.engine.hooks.draw_dark_panels.get_dist_info', lambda rank=rank: (rank, world))
        hook = DrawDarkPanels(str(tmp_path))
        monkeypatch.setattr(hook, '_panels', lambda _, place, sample: np.full((1, 1, 3), place, np.uint8))
        for place in range(rank, -(-images // world) * world, world):
            sample = SimpleNamespace(img_path=dataset[place % images])
            hook.after_test_iter(runner, 0, {'inputs': [place]}, [sample])
    names = [f'{place % 2}.png' if place < 2 else f'{place % 2}-{place // 2 + 1}.png' for place in range(images)]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    assert [cv2.imread(str(tmp_path / name))[0, 0, 0] for name in names] == list(range(images))


def full_disk(path: Path, content: bytes) -> int:
    """``Path.write_bytes`` where the space ends after half of the file."""
    with path.open('wb') as file:
        file.write(content[: len(content) // 2])
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / 'pictures').touch()
    root = write_wider(tmp_path / 'wider', train=1, val=1)
    with pytest.raises(InputError, match=r'pictures/val_0\.png cannot be written'):
        run(tmp_path, root)
    hook = DrawDarkPanels(str(tmp_path / 'new'))
    monkeypatch.setattr(Path, 'write_bytes', full_disk)
    monkeypatch.setattr(hook, '_panels', lambda *_: np.zeros((1, 1, 3), np.uint8))
    runner, sample = SimpleNamespace(model=torch.nn.Identity()), SimpleNamespace(img_path='a.jpg')
    with pytest.raises(InputError, match=r'new/a\.png cannot be written \(No space left on device\): free some space'):
        hook.after_test_iter(runner, 0, {'inputs': [0]}, [sample])
    assert list((tmp_path / 'new').iterdir()) == []
