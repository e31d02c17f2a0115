"""DAI-Net (arXiv:2312.01220): a day detector learns to see in the dark from pairs of light and dark images."""

from __future__ import annotations

import torch
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from mmdet.utils import ConfigType, OptConfigType
from torch import Tensor

from .dsfd import DSFD


@MODELS.register_module()
class DAINet(DSFD):
    """DSFD with the dark branches; at test time it is DSFD.

    A training step takes pairs: the detector learns on the dark image; shallow features of both images are aligned
    and decoded into reflectances that follow a frozen Retinex teacher; then the images are recomposed with their
    reflectances interchanged and decomposed once more. The backbone needs ``stem`` and ``forward_stages``.

    Args:
        enhancer: Retinex teacher, image → ``Decomposition``. None trains with the alignment of light and dark alone:
            without a teacher there is nothing to decode, so there is no reflectance decoder either.
        reflectance_decoder: (shallow features, size) → reflectance.
        loss_decomposition: (reflectance, teacher's reflectance).
        loss_consistency: (dark reflectance, light reflectance).
        loss_reconstruction: (reflectance, illumination, image).
        loss_smoothness: (illumination, reflectance).
        loss_coherence: (reflectance after redecomposition, reflectance).
        loss_mutual: (light features, dark features).
        **kwargs: of DSFD.
    """

    def __init__(
        self,
        enhancer: OptConfigType,
        reflectance_decoder: ConfigType,
        loss_decomposition: ConfigType,
        loss_consistency: ConfigType,
        loss_reconstruction: ConfigType,
        loss_smoothness: ConfigType,
        loss_coherence: ConfigType,
        loss_mutual: ConfigType,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.loss_mutual = MODELS.build(loss_mutual)
        self.enhancer = None
        if enhancer is not None:
            self.enhancer = MODELS.build(enhancer)
            self.reflectance_decoder = MODELS.build(reflectance_decoder)
            self.loss_decomposition = MODELS.build(loss_decomposition)
            self.loss_consistency = MODELS.build(loss_consistency)
            self.loss_reconstruction = MODELS.build(loss_reconstruction)
            self.loss_smoothness = MODELS.build(loss_smoothness)
            self.loss_coherence = MODELS.build(loss_coherence)

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
        aligned = self.loss_mutual(shallow_light, shallow_dark)
        if self.enhancer is None:
            return {**losses, 'loss_mutual': aligned}
        return {**losses, **self._retinex_losses(light, dark, shallow_light, shallow_dark, aligned)}

    def _retinex_losses(
        self, light: Tensor, dark: Tensor, shallow_light: Tensor, shallow_dark: Tensor, aligned: Tensor
    ) -> dict[str, Tensor]:
        """Decomposition, interchange and redecomposition; ``aligned`` is the mutual loss of the first pair."""
        teacher_light, teacher_dark = self.enhancer(light), self.enhancer(dark)
        reflectance_light, reflectance_dark = self._decode(shallow_light, light), self._decode(shallow_dark, dark)

        # Interchange: each image is recomposed with the other's reflectance and decomposed again.
        recomposed_light = (teacher_light.illumination * reflectance_dark).detach()
        recomposed_dark = (teacher_dark.illumination * reflectance_light).detach()
        again_light, again_dark = self._stem(recomposed_light, recomposed_dark)

        return dict(
            loss_mutual=aligned + self.loss_mutual(again_light, again_dark),
            loss_decomposition=self.loss_decomposition(reflectance_dark, teacher_dark.reflectance)
            + self.loss_decomposition(reflectance_light, teacher_light.reflectance),
            loss_consistency=self.loss_consistency(reflectance_dark, reflectance_light),
            loss_reconstruction=self.loss_reconstruction(reflectance_dark, teacher_dark.illumination, dark)
            + self.loss_reconstruction(reflectance_light, teacher_light.illumination, light),
            loss_smoothness=self.loss_smoothness(teacher_dark.illumination, reflectance_dark)
            + self.loss_smoothness(teacher_light.illumination, reflectance_light),
            loss_coherence=self.loss_coherence(self._decode(again_dark, recomposed_dark), reflectance_dark)
            + self.loss_coherence(self._decode(again_light, recomposed_light), reflectance_light),
        )

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
