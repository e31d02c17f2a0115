"""The validation loss: the mean of the PAL-2 losses of all images, each on its fixed dark version."""

import math
import multiprocessing
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmdet.registry import DATASETS
from mmengine.dataset import ConcatDataset
from torch import nn
from torch.utils.data import Dataset

from mmdark.engine.hooks import ValidationLoss
from mmdark.errors import InputError
from tests.meeting import meeting
from tests.models.tiny_models import samples_of, tiny_dai_net, tiny_dsfd
from tests.tiny_wider import FACE, write_annotation, write_wider

SIDE = 64
IMAGES = 5
DARKEN = {'type': 'DarkISP', 'preset': 'corrected', 'seed': 0, 'keep_light': False}


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five images; the third has no face, the fourth two and one without a size."""
    folder = write_wider(tmp_path_factory.mktemp('wider'), train=1, val=IMAGES)
    rows = [[FACE], [FACE], [], [FACE, (60, 50, 20, 25), (5, 5, 0, 9)], [FACE]]
    write_annotation(folder, 'val', [(f'0--Noise/val_{number}.jpg', faces) for number, faces in enumerate(rows)])
    return folder


@pytest.fixture(scope='module')
def model() -> nn.Module:
    made = tiny_dai_net('max_rgb')
    made.data_preprocessor.pad_size_divisor = 1
    with torch.no_grad():  # an untrained head hardly looks at the image
        for conv in (*made.detector.bbox_head.second_shot.cls_convs, *made.detector.bbox_head.second_shot.reg_convs):
            conv[0].weight.mul_(1e5)
    return made


def dataset(root: Path) -> Dataset:
    """Day and dark, as the validation of the main config; the images are read by the hook alone."""
    part = {
        'type': 'WiderDataset',
        'data_root': f'{root}/',
        'ann_file': 'wider_face_split/wider_face_val_bbx_gt.txt',
        'data_prefix': {'img': 'WIDER_val/images'},
        'test_mode': True,
        'pipeline': [],
    }
    return ConcatDataset([DATASETS.build(part), DATASETS.build(part)])


def value(model: nn.Module, data: Dataset, **options: Any) -> float:
    """What the hook adds to the numbers of a validation."""
    loader = SimpleNamespace(dataset=data, num_workers=0)
    runner = SimpleNamespace(model=model, val_dataloader=loader, seed=0)
    metrics = {'dark/wider/AP': 0.5}
    ValidationLoss(**{'input_size': SIDE, 'darken': DARKEN, **options}).after_val_epoch(runner, metrics)
    assert metrics.pop('dark/wider/AP') == 0.5
    ((_, found),) = metrics.items()
    return found


def by_hand(model: nn.Module, root: Path, number: int, faces: list[tuple[int, ...]], darken: bool = True) -> float:
    """The loss of one image: stretched by OpenCV, darkened, through the whole head in a batch of one."""
    path = str(root / 'WIDER_val' / 'images' / '0--Noise' / f'val_{number}.jpg')
    image = cv2.imread(path)
    height, width = image.shape[:2]
    image = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    if darken:
        image = Compose([DARKEN])({'img': image, 'img_path': path})['img']
    rgb = torch.from_numpy(np.ascontiguousarray(image[..., ::-1])).permute(2, 0, 1)[None].float() / 255
    scale = np.array([SIDE / width, SIDE / height] * 2)
    boxes = [(np.array([x, y, x + w, y + h]) * scale).tolist() for x, y, w, h in faces]
    with torch.no_grad():
        model.eval()
        head = getattr(model, 'detector', model).bbox_head
        losses = head.loss(model.extract_feat(rgb), samples_of(boxes, size=(SIDE, SIDE)))
        model.train()
    total = 0.0
    for name in ('pal2_loss_cls', 'pal2_loss_bbox'):
        parts = losses[name] if isinstance(losses[name], list) else [losses[name]]
        total += sum(float(part.sum()) for part in parts)
    return total


@pytest.fixture(scope='module')
def each(model: nn.Module, root: Path) -> list[float]:
    """Of each image."""
    faces = [[FACE], [FACE], [], [FACE, (60, 50, 20, 25)], [FACE]]
    return [by_hand(model, root, number, faces[number]) for number in range(IMAGES)]


@pytest.mark.parametrize('batch_size', [1, 2, 5])
def test_the_mean_over_images_whatever_the_batch(
    model: nn.Module, root: Path, each: list[float], batch_size: int
) -> None:
    assert each[2] == 0 and np.diff(sorted(each)).min() > 1e-3
    assert value(model, dataset(root), batch_size=batch_size) == pytest.approx(np.mean(each), rel=1e-5)


def test_twice_the_same_and_the_model_stays_as_it_is(model: nn.Module, root: Path) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes, state = [module.training for module in model.modules()], torch.get_rng_state()
    assert value(model, dataset(root)) == value(model, dataset(root))
    assert [module.training for module in model.modules()] == modes and modes[0]
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(('most', 'taken'), [(1, [0]), (2, [0, 3]), (3, [0, 2, 4]), (9, [0, 1, 2, 3, 4])])
def test_a_part_of_the_images_is_spread_over_the_set(
    model: nn.Module, root: Path, each: list[float], most: int, taken: list[int]
) -> None:
    expected = np.mean([each[place] for place in taken])
    assert value(model, dataset(root), max_images=most, name='few') == pytest.approx(expected, rel=1e-5)


def test_images_by_day_and_a_data_set_that_is_no_concatenation(root: Path) -> None:
    """The detector by day; nothing is darkened."""
    day = tiny_dsfd()
    day.data_preprocessor.pad_size_divisor = 1
    expected = by_hand(day, root, 0, [FACE], darken=False)
    assert value(day, dataset(root).datasets[0], darken=None, max_images=1) == pytest.approx(expected, rel=1e-5)


def test_the_validations_own_images_and_pipeline_stay(model: nn.Module, root: Path) -> None:
    data = dataset(root)
    value(model, data)
    assert [part.pipeline.transforms for part in data.datasets] == [[], []] and len(data) == 2 * IMAGES


def test_what_cannot_be_is_said(model: nn.Module, root: Path) -> None:
    with pytest.raises(InputError, match=r'part=2, but the validation has 2 data sets'):
        value(model, dataset(root), part=2)
    with pytest.raises(InputError, match=r'max_images is 0; name a number from 1'):
        ValidationLoss(max_images=0)


def share(rank: int, place: dict[str, str], model: nn.Module, root: Path, answers: Any) -> None:
    """One of two processes."""
    torch.set_num_threads(1)
    os.environ.update(place, RANK=str(rank), WORLD_SIZE='2')
    torch.distributed.init_process_group('gloo')
    answers.put((rank, value(model, dataset(root), batch_size=1), value(model, dataset(root), batch_size=2)))
    torch.distributed.destroy_process_group()


def test_two_processes_find_the_same(model: nn.Module, root: Path, each: list[float]) -> None:
    """Of five images one process sees three, the other two; neither waits for a sixth, and none counts twice."""
    context = multiprocessing.get_context('fork')  # so that nothing is imported again
    answers = context.Queue()
    with meeting() as place:
        processes = [context.Process(target=share, args=(rank, place, model, root, answers)) for rank in (0, 1)]
        for process in processes:
            process.start()
        found = sorted(answers.get(timeout=240) for _ in processes)
        for process in processes:
            process.join(60)
    assert [rank for rank, *_ in found] == [0, 1] and found[0][1:] == found[1][1:]
    assert found[0][1:] == pytest.approx([np.mean(each)] * 2, rel=1e-5)
    assert all(math.isfinite(loss) for loss in found[0][1:])
