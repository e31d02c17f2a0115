"""Networks, losses, gradients and detections beside those of the authors' code."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmdark.apis import PUBLISHED_MODELS, config_path, key_table, to_mmdark
from mmdark.models.published_files import identify
from mmdark.models.published_names import detector_names

from .comparison import Comparison, compare
from .golden import GoldenCase
from .recipe import dark_image, light_image, published_weights

AS_PUBLISHED = 'ablations/dsfd_dark_wider_as-published.py'
OUTPUT, LOSS, GRADIENT = 1e-4, 1e-4, 1e-3
STRIDE = 7
"""Of the pixels that the golden cases keep of reflectances and illuminations."""
ENHANCE = ('loss_consistency', 'loss_reconstruction', 'loss_smoothness', 'loss_coherence')
"""The terms that the published code prints as one."""


def build_dai_net(keys: dict | None = None, retinex_keys: dict | None = None) -> nn.Module:
    """DAI-Net with the published switches and the recipe's weights, converted from their published names.

    Args:
        keys: published key → shape; those of our own table where a case does not list them.
        retinex_keys: the same of the teacher.
    """
    model = MODELS.build(Config.fromfile(config_path(AS_PUBLISHED)).model)
    weights = to_mmdark(identify(published_weights(keys or published_shapes('dark'))))
    teacher = to_mmdark(identify(published_weights(retinex_keys or published_shapes('retinexnet'))))
    model.load_state_dict({**weights, **{f'enhancer.{name}': value for name, value in teacher.items()}})
    return model.train()


def published_shapes(kind: str) -> dict[str, torch.Size]:
    """Published key → shape, of a detector or of the teacher."""
    table = key_table(kind)
    room = 'DecomNet.' if kind == 'retinexnet' else ''
    return {room + old: table.shapes[new] for old, new in table.names.items()}


def build_dsfd(record: dict, name: str) -> nn.Module:
    """A day detector (``vgg``, ``resnet50`` ...) with the weights of a case, converted from their published names."""
    model = MODELS.build(Config.fromfile(config_path(PUBLISHED_MODELS[name])).model)
    model.load_state_dict(to_mmdark(identify(published_weights(record.get('keys') or published_shapes(name), name))))
    return model.eval()


def data_samples(record: dict, device: str = 'cpu') -> list[DetDataSample]:
    """The faces of a case, in pixels."""
    height, width = size = record['height'], record['width']
    meta = dict(img_shape=size, pad_shape=size, ori_shape=size, scale_factor=(1.0, 1.0))
    samples = []
    for rows in record['targets']:
        rows = torch.tensor(rows, dtype=torch.float64).view(-1, 5)  # so that the fractions come back to the digit
        boxes = rows[:, :4] * torch.tensor([width, height, width, height])
        faces = InstanceData(bboxes=boxes, labels=torch.zeros(len(rows), dtype=torch.long))
        samples.append(DetDataSample(metainfo=dict(meta), gt_instances=faces.to(device)))
    return samples


def check_dai_net(case: GoldenCase, device: str = 'cpu') -> Iterator[Comparison]:
    """A ``dainet_`` case: outputs, decompositions, losses, gradient norms, detections."""
    record = case.record
    model = build_dai_net(record.get('keys'), record.get('retinex_keys')).to(device)
    light = light_image(record['seed'], record['batch'], record['height'], record['width'])
    images = dict(light=light.to(device), dark=dark_image(light, record['seed'] + 1).to(device))
    with torch.no_grad():
        yield from _outputs(case, model, images['dark'])
        yield from _decompositions(case, model, images)
    losses = named_losses(model.loss(images, data_samples(record, device)))
    for name, golden in record['losses'].items():
        yield compare(case.name, f'loss {name}', golden, losses[name].item(), LOSS)
    losses['total'].backward()
    yield from _gradients(case, model)
    if 'detections_image0' in case.arrays:
        with torch.no_grad():
            found = model.eval().predict(images['dark'], data_samples(record, device), rescale=False)[0].pred_instances
        yield from _detections(case, found)


def check_dsfd(case: GoldenCase, device: str = 'cpu') -> Iterator[Comparison]:
    """A ``dsfd_<model>_`` case: outputs and losses of a day detector in eval mode."""
    record = case.record
    model = build_dsfd(record, case.name.split('_')[1]).to(device)
    images = light_image(record['seed'], 1, record['height'], record['width']).to(device)
    with torch.no_grad():
        yield from _outputs(case, model, images)
        losses = named_losses(model.loss(images, data_samples(record, device)))
    for name, golden in record['losses'].items():
        yield compare(case.name, f'loss {name}', golden, losses[name].item(), LOSS)


def named_losses(losses: dict[str, Tensor | list[Tensor]]) -> dict[str, Tensor]:
    """Losses under the published names, and their ``total``."""
    ours = {name: sum(value) if isinstance(value, list) else value for name, value in losses.items()}
    named = {
        f'{published}_pal{shot}': ours[f'pal{shot}_loss_{kind}']
        for shot in (1, 2)
        for published, kind in (('loc', 'bbox'), ('conf', 'cls'))
    }
    if 'loss_mutual' in ours:
        named |= dict(decomposition=ours['loss_decomposition'], mutual=ours['loss_mutual'])
        named['enhance'] = sum(ours[name] for name in ENHANCE)
    return {**named, 'total': sum(ours.values())}


def _outputs(case: GoldenCase, model: nn.Module, images: Tensor) -> Iterator[Comparison]:
    height, width = images.shape[-2:]
    head = getattr(model, 'detector', model).bbox_head
    heads = (head.first_shot, head.second_shot)
    for number, head, maps in zip((1, 2), heads, model.extract_feat(images), strict=True):
        scores, deltas = head(maps)
        sizes = [score.shape[-2:] for score in scores]
        corners = torch.cat(head.prior_generator.grid_priors(sizes, device=images.device))
        priors = torch.cat([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], dim=1)
        ours = {
            'loc': _published_order(deltas, 4),
            'conf': _published_order(scores, 2).flip(-1),
            'priors': priors / priors.new_tensor([width, height, width, height]),
        }
        yield from _compare_arrays(case, {f'{name}_pal{number}': value for name, value in ours.items()})


def _compare_arrays(case: GoldenCase, ours: dict[str, Tensor]) -> Iterator[Comparison]:
    """Those arrays that the case has; a small case holds scalars alone."""
    for name, value in ours.items():
        if name in case.arrays:
            yield compare(case.name, name, case.arrays[name], value, OUTPUT)


def _published_order(maps: list[Tensor], values: int) -> Tensor:
    """Level, row, column: ``(B, priors, values)``."""
    return torch.cat([map_.permute(0, 2, 3, 1).reshape(len(map_), -1, values) for map_ in maps], dim=1)


def _decompositions(case: GoldenCase, model: nn.Module, images: dict[str, Tensor]) -> Iterator[Comparison]:
    """Of both images by decoder and teacher; and, interchanged, once more."""
    teacher = {name: model.enhancer(image) for name, image in images.items()}
    decoded = {name: model.reflectance(image) for name, image in images.items()}
    ours = {f'R_{name}': value for name, value in decoded.items()}
    ours |= {f'I_{name}': value.illumination for name, value in teacher.items()}
    ours |= {f'Rgt_{name}': value.reflectance for name, value in teacher.items()}
    # The published code names a redecomposed reflectance after the image that gave it, not after the illumination.
    ours['R_dark_2'] = model.reflectance(teacher['light'].illumination * decoded['dark'])
    ours['R_light_2'] = model.reflectance(teacher['dark'].illumination * decoded['light'])
    yield from _compare_arrays(case, {name: value[:, :, ::STRIDE, ::STRIDE] for name, value in ours.items()})


def _gradients(case: GoldenCase, model: nn.Module) -> Iterator[Comparison]:
    """The norm of each parameter's gradient; a parameter without one counts as zero."""
    parameters = {name.removeprefix('detector.'): value for name, value in model.named_parameters()}
    names = detector_names(model)
    for name, golden in case.record['grad_norms'].items():
        gradient = parameters[names[name]].grad
        norm = 0.0 if gradient is None else float(gradient.norm())
        yield compare(case.name, f'gradient {name}', golden or 0.0, norm, GRADIENT, absolute=not golden)


def _detections(case: GoldenCase, found: InstanceData) -> Iterator[Comparison]:
    """Score and box; detections with equal scores may change places, so each is paired with its nearest."""
    size = found.bboxes.new_tensor([case.record['width'], case.record['height']] * 2)
    ours = torch.cat([found.scores[:, None], found.bboxes / size], dim=1).double().cpu().numpy()
    golden = case.arrays['detections_image0'].astype(np.float64)
    golden = golden[golden[:, 0] > 0]  # the published code fills up with zeros
    yield compare(case.name, 'number of detections', len(golden), len(ours), 0.0)
    if len(golden) == len(ours) > 0:
        nearest = np.abs(golden[:, None] - ours[None]).max(axis=-1).argmin(axis=1)
        yield compare(case.name, 'detections paired', len(golden), len(set(nearest.tolist())), 0.0)
        yield compare(case.name, 'detections', golden, ours[nearest], OUTPUT, absolute=True)
