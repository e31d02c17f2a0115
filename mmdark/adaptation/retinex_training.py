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
    """Train a net to decompose both images of a pair into a shared reflectance and smooth illuminations.

    RetinexNet trains on photographs with two exposures; here DarkISP makes the dark one.

    Args:
        net: the decomposition net, ``dict(type='RetinexNet', frozen=False)``.
        loss_reconstruction: loss between (reflectance times illumination) and the image, for each image.
        loss_mutual_reconstruction: the same with the reflectance of the other image.
        loss_consistency: loss between dark and light reflectance. The light one receives no gradient, as in the PyTorch
            code of the published teacher; in RetinexNet's TensorFlow code both do.
        smoothness_weight: weight of :func:`illumination_smoothness`, for each image.
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
        """Losses of pairs (mode ``loss``) or the decomposition of images (``tensor``), RGB in [0, 1], ``(B, 3, H, W)``.

        Raises:
            ValueError: another mode.
        """
        if mode == 'tensor':
            return self.net(inputs)
        if mode != 'loss':
            raise ValueError(f"mode must be 'loss' or 'tensor', got {mode!r}")
        return self.loss(inputs['light'], inputs['dark'])

    def loss(self, light: Tensor, dark: Tensor) -> dict[str, Tensor]:
        """Losses of light images and their dark versions, each RGB in [0, 1], ``(B, 3, H, W)``."""
        (r_light, i_light), (r_dark, i_dark) = self.net(light), self.net(dark)
        own, mutual = self.loss_reconstruction, self.loss_mutual_reconstruction
        return dict(
            loss_reconstruction=own(r_light * i_light, light) + own(r_dark * i_dark, dark),
            loss_mutual_reconstruction=mutual(r_dark * i_light, light) + mutual(r_light * i_dark, dark),
            loss_consistency=self.loss_consistency(r_dark, r_light.detach()),
            loss_smoothness=self.smoothness_weight * illumination_smoothness(i_light, r_light)
            + self.smoothness_weight * illumination_smoothness(i_dark, r_dark),
        )
