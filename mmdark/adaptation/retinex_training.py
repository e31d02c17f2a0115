"""Training of the Retinex teacher itself (RetinexNet, BMVC 2018) on pairs of light and dark images."""

from __future__ import annotations

from mmdet.registry import MODELS
from mmdet.structures import SampleList
from mmdet.utils import ConfigType, OptConfigType
from mmengine.model import BaseModel
from torch import Tensor

from .losses import illumination_smoothness
from .retinex_net import Decomposition


@MODELS.register_module()
class RetinexTraining(BaseModel):
    """Both images of a pair are decomposed; they share their reflectance, and light is smooth.

    RetinexNet trains on photographs taken with two exposures; here the dark one is made by DarkISP.

    Args:
        net: the decomposition net, ``dict(type='RetinexNet', frozen=False)``.
        loss_reconstruction: (reflectance times illumination, image), of each image.
        loss_mutual_reconstruction: the same with the reflectance of the other image.
        loss_consistency: (dark reflectance, light reflectance, which learns nothing from it, as in the PyTorch code of
            the published teacher; in TensorFlow, RetinexNet lets both learn).
        smoothness_weight: of :func:`illumination_smoothness`, of each image.
        data_preprocessor: makes pairs; ``dict(type='DarkPairPreprocessor', dark_isp=...)``.
        init_cfg: see mmengine.
    """

    def __init__(
        self,
        net: ConfigType,
        loss_reconstruction: ConfigType,
        loss_mutual_reconstruction: ConfigType,
        loss_consistency: ConfigType,
        smoothness_weight: float = 0.1,
        data_preprocessor: OptConfigType = None,
        init_cfg: OptConfigType = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        self.net = MODELS.build(net)
        self.loss_reconstruction = MODELS.build(loss_reconstruction)
        self.loss_mutual_reconstruction = MODELS.build(loss_mutual_reconstruction)
        self.loss_consistency = MODELS.build(loss_consistency)
        self.smoothness_weight = smoothness_weight

    def forward(
        self, inputs: dict[str, Tensor] | Tensor, data_samples: SampleList | None = None, mode: str = 'tensor'
    ) -> dict[str, Tensor] | Decomposition:
        """Losses of pairs, or the decomposition of images.

        Args:
            inputs: ``light`` and ``dark`` images for ``loss``, images for ``tensor``; RGB in [0, 1], ``(B, 3, H, W)``.
            data_samples: not used.
            mode: ``loss`` or ``tensor``.

        Raises:
            ValueError: another mode.
        """
        if mode == 'tensor':
            return self.net(inputs)
        if mode != 'loss':
            raise ValueError(f"mode must be 'loss' or 'tensor', got {mode!r}")
        return self.loss(inputs['light'], inputs['dark'])

    def loss(self, light: Tensor, dark: Tensor) -> dict[str, Tensor]:
        """Losses of a batch of light images and their dark partners, each RGB in [0, 1] of shape ``(B, 3, H, W)``."""
        of_light, of_dark = self.net(light), self.net(dark)
        return dict(
            loss_reconstruction=self.loss_reconstruction(of_light.reflectance * of_light.illumination, light)
            + self.loss_reconstruction(of_dark.reflectance * of_dark.illumination, dark),
            loss_mutual_reconstruction=self.loss_mutual_reconstruction(
                of_dark.reflectance * of_light.illumination, light
            )
            + self.loss_mutual_reconstruction(of_light.reflectance * of_dark.illumination, dark),
            loss_consistency=self.loss_consistency(of_dark.reflectance, of_light.reflectance.detach()),
            loss_smoothness=sum(
                self.smoothness_weight * illumination_smoothness(of_image.illumination, of_image.reflectance)
                for of_image in (of_light, of_dark)
            ),
        )
