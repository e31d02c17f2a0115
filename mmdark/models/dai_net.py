"""DAI-Net (arXiv:2312.01220): a day detector learns to see in the dark from pairs of light and dark images."""

from __future__ import annotations

import torch
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from mmdet.utils import ConfigType, OptConfigType
from torch import Tensor, nn

from mmdark.errors import InputError

from .dsfd import DSFD

RECOMPOSITIONS = ('interchanged', 'own', None)
Terms = dict[str, list[tuple[Tensor, ...]]]
"""Name of a loss → the arguments of each of its calls."""


@MODELS.register_module()
class DAINet(DSFD):
    """DSFD with the dark branches; at test time it is DSFD.

    A training step takes pairs: the detector learns on the dark image; shallow features of both images are aligned
    and decoded into reflectances that follow a frozen Retinex teacher; then the images are recomposed with their
    reflectances interchanged and decomposed once more. The backbone needs ``stem`` and ``forward_stages``.

    A loss that is None is left out, and so is what only that loss needs.

    Args:
        enhancer: Retinex teacher, image → ``Decomposition``. None trains with the alignment of light and dark alone:
            without a teacher there is nothing to decode, so there is no reflectance decoder either.
        reflectance_decoder: (shallow features, size) → reflectance.
        loss_decomposition: (reflectance, teacher's reflectance).
        loss_consistency: (dark reflectance, light reflectance).
        loss_reconstruction: (reflectance, illumination, image).
        loss_smoothness: (illumination, reflectance).
        loss_coherence: (reflectance after redecomposition, the one that the image was recomposed with).
        loss_mutual: (light features, dark features); of the images, and of the recomposed ones.
        recomposition: whose reflectance an image is recomposed with: ``interchanged``, the other one's, or ``own``.
            None recomposes nothing, so there is no coherence, and alignment of the images themselves alone.
        **kwargs: of DSFD.

    Raises:
        InputError: no such recomposition; the backbone cannot be split; or there is a teacher, but no loss that teaches
            the reflectance decoder.
    """

    def __init__(
        self,
        enhancer: OptConfigType,
        reflectance_decoder: ConfigType,
        loss_decomposition: OptConfigType,
        loss_consistency: OptConfigType,
        loss_reconstruction: OptConfigType,
        loss_smoothness: OptConfigType,
        loss_coherence: OptConfigType,
        loss_mutual: OptConfigType,
        recomposition: str | None = 'interchanged',
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        if recomposition not in RECOMPOSITIONS:
            raise InputError(f'model.recomposition={recomposition!r}: choose one of {RECOMPOSITIONS}')
        if missing := [name for name in ('stem', 'forward_stages') if not hasattr(self.backbone, name)]:
            raise InputError(
                f'model.backbone={type(self.backbone).__name__} has no {" and no ".join(missing)}, with which DAINet '
                'splits it: take DarkResNet or DarkVGG, or add them (docs/training.md, "Another backbone")'
            )
        self.recomposition = recomposition
        self.loss_mutual = _built(loss_mutual)
        self.enhancer = _built(enhancer)
        if enhancer is None:
            return
        self.reflectance_decoder = MODELS.build(reflectance_decoder)
        self.loss_decomposition = _built(loss_decomposition)
        self.loss_consistency = _built(loss_consistency)
        self.loss_reconstruction = _built(loss_reconstruction)
        self.loss_smoothness = _built(loss_smoothness)
        self.loss_coherence = _built(loss_coherence if recomposition else None)
        if not any((loss_decomposition, loss_consistency, loss_reconstruction, loss_smoothness, self.loss_coherence)):
            raise InputError('no loss teaches the reflectance decoder: set model.enhancer=None, or keep one of them')

    def loss(self, batch_inputs: dict[str, Tensor], batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Losses of one step.

        Args:
            batch_inputs: ``light`` and ``dark`` images, each RGB in [0, 1] of shape ``(B, 3, H, W)``.
            batch_data_samples: the faces, which are the same in both.

        Returns:
            A dict of scalars: ``pal1_*`` and ``pal2_*``, ``loss_mutual`` and, with a teacher, ``loss_decomposition``,
            ``loss_consistency``, ``loss_reconstruction``, ``loss_smoothness``, ``loss_coherence``.
        """
        light, dark = batch_inputs['light'], batch_inputs['dark']
        shallow_light, shallow_dark = self._stem(light, dark)
        losses = self.bbox_head.loss(self.neck(self.backbone.forward_stages(shallow_dark)), batch_data_samples)
        terms = {'loss_mutual': [(shallow_light, shallow_dark)]}
        if self.enhancer is not None:
            self._decompose(terms, light, dark, shallow_light, shallow_dark)
        for name, compared in terms.items():
            loss = getattr(self, name)
            if loss is not None:
                losses[name] = sum(loss(*each) for each in compared)
        return losses

    def _decompose(
        self, terms: Terms, light: Tensor, dark: Tensor, shallow_light: Tensor, shallow_dark: Tensor
    ) -> None:
        """Add what the losses compare after decomposition and, once more, after redecomposition."""
        teacher_light, teacher_dark = self.enhancer(light), self.enhancer(dark)
        reflectance_light, reflectance_dark = self._decode(shallow_light, light), self._decode(shallow_dark, dark)
        terms['loss_decomposition'] = [
            (reflectance_dark, teacher_dark.reflectance),
            (reflectance_light, teacher_light.reflectance),
        ]
        terms['loss_consistency'] = [(reflectance_dark, reflectance_light)]
        terms['loss_reconstruction'] = [
            (reflectance_dark, teacher_dark.illumination, dark),
            (reflectance_light, teacher_light.illumination, light),
        ]
        terms['loss_smoothness'] = [
            (teacher_dark.illumination, reflectance_dark),
            (teacher_light.illumination, reflectance_light),
        ]
        if self.recomposition is None or (self.loss_mutual is None and self.loss_coherence is None):
            return

        # Interchange: each image is recomposed with the other's reflectance and decomposed again.
        in_light, in_dark = reflectance_light, reflectance_dark
        if self.recomposition == 'interchanged':
            in_light, in_dark = in_dark, in_light
        recomposed_light = (teacher_light.illumination * in_light).detach()
        recomposed_dark = (teacher_dark.illumination * in_dark).detach()
        again_light, again_dark = self._stem(recomposed_light, recomposed_dark)
        terms['loss_mutual'].append((again_light, again_dark))
        if self.loss_coherence is not None:
            terms['loss_coherence'] = [
                (self._decode(again_light, recomposed_light), in_light),
                (self._decode(again_dark, recomposed_dark), in_dark),
            ]

    def _stem(self, light: Tensor, dark: Tensor) -> tuple[Tensor, ...]:
        """Shallow features of both in one batch, so that batch norm, where there is one, sees what it will average."""
        return self.backbone.stem(torch.cat([light, dark])).chunk(2)

    def _decode(self, shallow: Tensor, image: Tensor) -> Tensor:
        return self.reflectance_decoder(shallow, image.shape[-2:])

    def reflectance(self, images: Tensor) -> Tensor:
        """The reflectance that the detector sees: images ``(B, 3, H, W)`` to the same shape, in [0, 1].

        Raises:
            ValueError: the model has no reflectance decoder (it was built without a teacher).
        """
        if self.enhancer is None:
            raise ValueError('this model was built with enhancer=None and has no reflectance decoder')
        return self._decode(self.backbone.stem(images), images)


def _built(cfg: OptConfigType) -> nn.Module | None:
    return None if cfg is None else MODELS.build(cfg)
