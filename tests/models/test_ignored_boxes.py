"""Ignored boxes are neither faces nor background: in the loss, and from each annotation format to the loss."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmdet.registry import DATASETS
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.config import Config, ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.structures import InstanceData

from mmdark.apis import load_config
from mmdark.datasets.transforms import DataAnchorSampling, KeepFaces, RandomSquareCrop
from mmdark.datasets.transforms.data_anchor_sampling import AnchorWindow
from mmdark.engine.hooks import ValidationLoss
from tests.tiny_own_data import write_coco, write_voc
from tests.tiny_wider import FACE, photo, write_annotation, write_wider

from . import slow_pal
from .test_pal_head import FEW, HEIGHT, MANY, SIDES, SIZES, STRIDES, WIDTH, maps_of, outputs, samples_of, shot_of
from .tiny_models import tiny_dai_net, tiny_dsfd

Boxes = list[list[float]]
CROWD = [[5.0, 50, 95, 95]]
"""Holds a face of :data:`MANY` and priors of every size."""
NAMES = ('loss_cls', 'loss_bbox')


def marked_samples(faces: tuple[Boxes, ...], ignored: tuple[Boxes, ...]) -> list[DetDataSample]:
    samples = samples_of(*faces)
    for sample, boxes in zip(samples, ignored, strict=True):
        sample.ignored_instances = InstanceData(bboxes=torch.tensor(boxes).view(-1, 4))
    return samples


def values(losses: dict) -> list[float]:
    return [float(losses[name].detach()) for name in NAMES]


@pytest.mark.parametrize('number', [1, 2])
@pytest.mark.parametrize(
    ('faces', 'ignored'),
    [
        ((MANY, FEW), (CROWD, [])),
        ((MANY, FEW), ([], MANY)),
        ((FEW, MANY), (CROWD, [*CROWD, [12.0, 14, 27, 31], *MANY[1:3]])),
        ((FEW, []), (FEW, CROWD)),
    ],
    ids=['crowd', 'one image', 'both', 'twice'],
)
def test_the_loss_is_the_one_computed_by_hand(number: int, faces: tuple, ignored: tuple) -> None:
    head, maps = shot_of(number), maps_of(2)
    wanted = slow_pal.pal(
        *outputs(head, maps),
        slow_pal.priors_of(SIZES, STRIDES, SIDES[number]),
        [np.array(boxes).reshape(-1, 4) for boxes in faces],
        (HEIGHT, WIDTH),
        [np.array(boxes).reshape(-1, 4) for boxes in ignored],
    )
    found = values(head.loss(maps, marked_samples(faces, ignored)))
    assert found == pytest.approx(wanted, rel=1e-5)
    deleted = values(head.loss(maps, samples_of(*faces)))
    assert abs(found[0] - deleted[0]) > 1e-4 or ignored[0] is FEW
    head.train_cfg['ignored_as_background'] = True  # as published
    assert values(head.loss(maps, marked_samples(faces, ignored))) == deleted


def test_what_the_detector_says_in_an_ignored_box_does_not_matter() -> None:
    """Priors whose best overlap is the box, of whatever size, get no gradient and change no loss."""
    head, maps, samples = shot_of(2), maps_of(1), marked_samples((FEW,), ([[90.0, 10, 125, 50]],))
    priors = slow_pal.priors_of(SIZES, STRIDES, SIDES[2])
    left_out = slow_pal.covered(priors, np.array(FEW), np.array([[90.0, 10, 125, 50]]))
    with torch.no_grad():
        scores, deltas = head(maps)
    flat = torch.cat([level.flatten(2) for level in scores], 2)
    cells = [level.shape[-2] * level.shape[-1] for level in scores]

    def loss(flat: torch.Tensor) -> torch.Tensor:
        levels = [part.unflatten(2, size) for part, size in zip(flat.split(cells, 2), SIZES, strict=True)]
        faces, ignored, meta = samples[0].gt_instances, samples[0].ignored_instances, samples[0].metainfo
        return head.loss_by_feat(levels, deltas, [faces], [meta], [ignored])['loss_cls']

    loud = flat.clone()
    loud[0, 0, sorted(left_out)] += 20  # sure of a face everywhere
    loud.requires_grad_()
    assert 50 < len(left_out) < len(priors) / 2
    assert float(loss(loud).detach()) == float(loss(flat)) > 0
    loss(loud).backward()
    touched = set(loud.grad[0].abs().sum(0).nonzero().flatten().tolist())
    assert touched and not touched & left_out


def test_a_face_keeps_its_best_prior_in_a_crowd() -> None:
    """A small face overlaps no prior as much as the box around it does, and is learnt all the same."""
    face, crowd = [61.0, 45, 63, 47], [54.0, 38, 70, 54]
    matches, _, _ = shot_of(2).match(
        tuple(SIZES), [torch.tensor([face])], [samples_of([face])[0].metainfo], [torch.tensor([crowd])]
    )
    assert matches.positive.sum() == 1 and matches.ignored.sum() > 4
    assert not (matches.positive & matches.ignored).any()
    of_face = matches.faces[0, matches.positive[0]].flatten() * torch.tensor([WIDTH, HEIGHT] * 2)
    assert of_face.tolist() == pytest.approx(face)


def test_an_image_of_ignored_boxes_alone_teaches_nothing() -> None:
    head, maps = shot_of(1), maps_of(2)
    losses = head.loss(maps, marked_samples(([], []), (CROWD, MANY)))
    assert values(losses) == [0, 0]
    sum(losses.values()).backward()
    assert all(torch.isfinite(level.grad).all() for level in maps)


def _without_ignored(sample: DetDataSample) -> DetDataSample:
    left = sample.clone()
    del left.ignored_instances
    return left


def coco(root: Path) -> Config:
    """The second of two boxes of each image is a crowd."""
    document = json.loads((write_coco(root) / 'annotations/train.json').read_text())
    crowds = [dict(box, id=box['id'] + 100, iscrowd=1, bbox=[60, 20, 30, 40]) for box in document['annotations']]
    document['annotations'] += crowds
    (root / 'annotations/train.json').write_text(json.dumps(document))
    return load_config('dsfd_dark_coco', {'data_root': f'{root}/', 'input_size': 64})


def voc(root: Path) -> Config:
    """The second of two objects of each image is difficult."""
    write_voc(root)
    for path in (root / 'Annotations').glob('*.xml'):
        text = path.read_text()
        (face,) = (text[text.index('<object>') : text.index('</object>')],)
        for tag, value in {'difficult': 1, 'xmin': 61, 'ymin': 21, 'xmax': 91, 'ymax': 61}.items():
            start = face.index(f'<{tag}>') + len(tag) + 2
            face = face[:start] + str(value) + face[face.index(f'</{tag}>') :]
        path.write_text(text.replace('</annotation>', f'{face}</object></annotation>'))
    return load_config('dsfd_dark_voc', {'data_root': f'{root}/', 'input_size': 64})


def wider(root: Path) -> Config:
    """The second of two faces of each image is invalid."""
    write_wider(root, train=4)
    rows = [(*FACE, 0, 0, 0, 0, 0, 0), (60, 20, 30, 40, 0, 0, 0, 1, 0, 0)]
    write_annotation(root, 'train', [(f'0--Noise/train_{number}.jpg', rows) for number in range(4)])
    options = {'data_root': f'{root}/', 'input_size': 64, 'train_dataloader.dataset.ignore_invalid': True}
    return load_config('dsfd_dark_wider', options)


@pytest.mark.parametrize('write', [coco, voc, wider])
def test_from_the_annotation_to_the_loss(write: Callable[[Path], Config], tmp_path: Path) -> None:
    """Through the augmentation: marked, the second box changes the loss; the published switch takes it out again."""
    cfg, model = write(tmp_path), tiny_dai_net('none')
    dataset, compared = DATASETS.build(cfg.train_dataloader.dataset), 0
    np.random.seed(0)  # noqa: NPY002
    for _ in range(12):
        batch = model.data_preprocessor(pseudo_collate([dataset[0]]), training=True)
        (sample,) = batch['data_samples']
        if len(sample.ignored_instances) == 0:  # cut away
            continue
        compared += 1
        with torch.no_grad():
            maps = model.extract_feat(batch['inputs']['dark'])
            shot = model.detector.bbox_head.second_shot
            deleted = values(shot.loss(maps[1], [_without_ignored(sample)]))
            assert values(shot.loss(maps[1], [sample]))[0] != deleted[0]
            shot.train_cfg['ignored_as_background'] = True
            assert values(shot.loss(maps[1], [sample])) == deleted
            shot.train_cfg['ignored_as_background'] = False
    assert compared > 2 and not cfg.model.detector.train_cfg.ignored_as_background


def test_an_ignored_box_stays_on_its_pixels(tmp_path: Path) -> None:
    """Crops and flips move it with the image, and while any of it is seen, no filter takes it away."""
    cfg = wider(tmp_path)
    for path in (tmp_path / 'WIDER_train' / 'images' / '0--Noise').glob('*.jpg'):
        image = np.zeros((80, 96, 3), np.uint8)
        image[20:60, 60:90] = 255
        cv2.imwrite(str(path), image)
    dataset = cfg.train_dataloader.dataset
    dataset.pipeline = [step for step in dataset.pipeline if step.type not in ('ColorDistortion', 'DarkISP')]
    dataset.pipeline[-1] = ConfigDict(type='PackDetInputs')
    for step in dataset.pipeline:
        if step.type == 'RandomChoice':
            step.transforms[0][0].pad_value = (0, 0, 0)
    dataset, seen = DATASETS.build(dataset), 0
    np.random.seed(0)  # noqa: NPY002
    for index in [0, 1, 2, 3] * 8:
        packed = dataset[index]
        boxes = packed['data_samples'].ignored_instances.bboxes.tensor.numpy()
        ys, xs = np.nonzero(packed['inputs'].numpy().mean(0) > 127)
        if len(xs) > 5:
            seen += 1
            assert len(boxes) == 1
            pixels = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
            np.testing.assert_allclose(boxes[0].clip(0, 64), pixels, rtol=0, atol=3)
    assert seen > 8


def test_the_validation_loss_leaves_them_out_too(tmp_path: Path) -> None:
    root, model = write_wider(tmp_path, train=1, val=1), tiny_dsfd()
    with torch.no_grad():  # an untrained head hardly looks at the image
        for conv in (*model.bbox_head.second_shot.cls_convs, *model.bbox_head.second_shot.reg_convs):
            conv[0].weight.mul_(3e3)
    photo(0).save(root / 'WIDER_val' / 'images' / '0--Noise' / 'val_0.png')
    rows = [(*FACE, 0, 0, 0, 0, 0, 0), (2, 2, 30, 30, 0, 0, 0, 1, 0, 0)]
    write_annotation(root, 'val', [('0--Noise/val_0.png', rows)])
    part = dict(
        type='WiderDataset',
        data_root=f'{root}/',
        ann_file='wider_face_split/wider_face_val_bbx_gt.txt',
        data_prefix=dict(img='WIDER_val/images'),
        test_mode=True,
        ignore_invalid=True,
        pipeline=[],
    )
    loader = SimpleNamespace(dataset=DATASETS.build(part), num_workers=0)
    metrics = {}
    hook = ValidationLoss(input_size=64, part=0)
    hook.after_val_epoch(SimpleNamespace(model=model, val_dataloader=loader, seed=0), metrics)

    image = cv2.resize(np.array(photo(0)), (64, 64), interpolation=cv2.INTER_LINEAR)
    rgb = torch.from_numpy(image.transpose(2, 0, 1))[None].float() / 255
    with torch.no_grad():
        _, maps = model.eval().extract_feat(rgb)
    sizes = [tuple(level.shape[-2:]) for level in maps]
    scale = np.array([64 / 96, 64 / 80] * 2)
    face, invalid = (np.array([[x, y, x + w, y + h]]) * scale for x, y, w, h, *_ in rows)
    given = (
        *outputs(model.bbox_head.second_shot, maps),
        slow_pal.priors_of(sizes, STRIDES, SIDES[2]),
        [face],
        (64, 64),
    )
    wanted = sum(slow_pal.pal(*given, [invalid]))
    assert metrics['dark/pal2_loss'] == pytest.approx(wanted, rel=1e-4)
    assert abs(sum(slow_pal.pal(*given)) - wanted) > 1e-3 * wanted


def test_a_crowd_stays_while_a_part_of_it_is_in_the_window() -> None:
    """A face stays where its centre is inside; an ignored box whose rest is cut off is no background for that."""
    boxes = [[-20.0, 10, 30, 50], [-20, 10, 30, 50], [40, 40, 44, 44], [-30, 0, 0, 90], [60, 60, 80, 80]]

    def results() -> dict:
        return {
            'img': np.zeros((100, 100, 3), np.uint8),
            'gt_bboxes': HorizontalBoxes(np.array(boxes, np.float32)),
            'gt_bboxes_labels': np.arange(5),
            'gt_ignore_flags': np.array([False, True, True, True, False]),
        }

    for cut in (
        RandomSquareCrop()._apply(results(), (0, 0, 100, 100)),
        DataAnchorSampling(100)._apply(results(), AnchorWindow(1.0, 0.0, 0.0, cv2.INTER_LINEAR)),
        KeepFaces(min_size=6)(results()),
    ):
        kept = cut['gt_bboxes_labels'].tolist()
        assert [label for label in kept if label] == [1, 2, 4]
        assert cut['gt_ignore_flags'].tolist()[-3:] == [True, True, False]
