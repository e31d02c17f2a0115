"""Map names in the state dicts of the published DSFD and DAI-Net detectors to names in mmdark."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

CLASS_LAYERS = 'conf_pal'
"""Prefix of the published class layers, whose first channel is the background; here the background is last."""


def detector_names(detector: nn.Module) -> dict[str, str]:
    """Published key → key here, for each entry of a detector's state dict except the teacher's.

    Args:
        detector: a :class:`DSFD`, or a DAI-Net around one; also on the meta device.

    Example:
        ``vgg.0.weight`` → ``backbone.stages.0.0.conv.weight``, ``conf_pal1.0.bias`` →
        ``bbox_head.first_shot.cls_convs.0.0.bias``.
    """
    inner = getattr(detector, 'detector', detector)
    backbone = inner.backbone
    names = {f'{backbone.published_prefix}.{old}': f'backbone.{new}' for old, new in backbone.published_names().items()}
    layers = [*_extras(backbone), *_neck(inner.neck), *_shots(inner.bbox_head)]
    if hasattr(detector, 'reflectance_decoder'):
        layers += [('ref.0', 'reflectance_decoder.hidden'), ('ref.3', 'reflectance_decoder.reflectance')]
    names |= {f'{old}.{kind}': f'{new}.{kind}' for old, new in layers for kind in ('weight', 'bias')}
    for kind, norms in (('o', 'l2norm_original'), ('e', 'l2norm_enhanced')):
        count = len(getattr(inner.neck, norms))
        names |= {f'L2Norm{kind}f{index + 1}.weight': f'neck.{norms}.{index}.weight' for index in range(count)}
    return names


def _extras(backbone: nn.Module) -> Iterator[tuple[str, str]]:
    for pair, convs in enumerate(backbone.extras):
        for index in range(len(convs)):
            yield f'extras.{2 * pair + index}', f'backbone.extras.{pair}.{index}.conv'


def _neck(neck: nn.Module) -> Iterator[tuple[str, str]]:
    for old, new in (('fpn_topdown', 'topdown'), ('fpn_latlayer', 'laterals')):
        for level in range(len(getattr(neck, new))):
            yield f'{old}.{level}', f'neck.{new}.{level}.conv'
    for level, module in enumerate(neck.enhance):
        for branch, convs in enumerate(module.branches):
            for depth in range(len(convs)):
                # The first branch is a bare convolution; the others have a ReLU after each convolution.
                old = f'fpn_fem.{level}.branch{branch + 1}' + (f'.{2 * depth}' if branch else '')
                yield old, f'neck.enhance.{level}.branches.{branch}.{depth}.conv'


def _shots(head: nn.Module) -> Iterator[tuple[str, str]]:
    for number, shot in ((1, 'first_shot'), (2, 'second_shot')):
        for old, new in (('loc_pal', 'reg_convs'), (CLASS_LAYERS, 'cls_convs')):
            for level in range(len(getattr(getattr(head, shot), new))):
                yield f'{old}{number}.{level}', f'bbox_head.{shot}.{new}.{level}.0'
