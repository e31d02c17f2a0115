"""A loss of your own: the reflectances of the light and of the dark image should have the same edges."""

from mmdet.registry import MODELS
from torch import Tensor, nn

from mmdark.adaptation import DarkPair


@MODELS.register_module()
class EdgeConsistencyLoss(nn.Module):
    """Mean difference between the edges of two reflectances; the light one receives no gradient."""

    needs = ('teacher',)

    def __init__(self, loss_weight: float = 0.01) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, pair: DarkPair) -> Tensor:
        """The weighted scalar loss of a step's light and dark images."""
        difference = pair.dark.reflectance - pair.light.reflectance.detach()  # (B, 3, H, W)
        return self.loss_weight * sum(difference.diff(dim=dim).abs().mean() for dim in (2, 3))
