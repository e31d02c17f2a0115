"""The pair of heads of DSFD (arXiv:1810.10220, section 3.3): two shots in training, one in testing."""

from __future__ import annotations

import torch
from mmdet.models.utils import rename_loss_dict, unpack_gt_instances
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from mmdet.utils import ConfigType, InstanceList, OptConfigType, OptMultiConfig
from mmengine.model import BaseModule
from torch import Tensor

Maps = tuple[Tensor, ...]


@MODELS.register_module()
class DualShotHead(BaseModule):
    """First shot (PAL-1) on the original maps and second (PAL-2) on the enhanced maps; testing uses only the second.

    ``train_cfg`` and ``test_cfg`` go to both heads.
    """

    def __init__(
        self,
        first_shot: ConfigType,
        second_shot: ConfigType,
        train_cfg: OptConfigType = None,
        test_cfg: OptConfigType = None,
        init_cfg: OptMultiConfig = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        shared = dict(train_cfg=train_cfg, test_cfg=test_cfg)
        self.first_shot = MODELS.build({**first_shot, **shared})
        self.second_shot = MODELS.build({**second_shot, **shared})

    def forward(self, shots: tuple[Maps, Maps]) -> tuple[list[Tensor], list[Tensor]]:
        """Compute the second shot's (class scores, box deltas), one entry per level, from (original, enhanced) maps."""
        return self.second_shot(shots[1])

    def loss(self, shots: tuple[Maps, Maps], batch_data_samples: SampleList) -> dict:
        """Losses of both shots, prefixed ``pal1_`` and ``pal2_``."""
        heads = self.first_shot, self.second_shot
        faces, ignored, metas = unpack_gt_instances(batch_data_samples)
        sums = [head.sums_by_feat(*head(maps), faces, metas, ignored) for head, maps in zip(heads, shots, strict=True)]
        numbers = torch.stack([numbers for _, numbers in sums])
        divisors = self.first_shot.divisor(numbers, len(faces))  # one all-reduce for both shots
        losses: dict[str, Tensor] = {}
        for prefix, (shot_sums, _), divisor in zip(('pal1_', 'pal2_'), sums, divisors, strict=True):
            losses |= rename_loss_dict(prefix, {name: value / divisor for name, value in shot_sums.items()})
        return losses

    def predict(self, shots: tuple[Maps, Maps], batch_data_samples: SampleList, rescale: bool = False) -> InstanceList:
        """Faces of the second shot; boxes in pixels of the original image if ``rescale``."""
        return self.second_shot.predict(shots[1], batch_data_samples, rescale=rescale)
