"""DSFD, the dual shot face detector (arXiv:1810.10220)."""

from __future__ import annotations

from mmdet.models.detectors import SingleStageDetector
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from torch import Tensor


@MODELS.register_module()
class DSFD(SingleStageDetector):
    """Backbone, feature enhancement and two shots; see :class:`SingleStageDetector` for the arguments.

    The neck returns (original, enhanced) maps, and the head is a ``DualShotHead``.
    """

    def predict(self, batch_inputs: Tensor, batch_data_samples: SampleList, rescale: bool = True) -> SampleList:
        """Detect the faces of each image, independently of the other images of the batch.

        Padding would change the results of group norm and convolutions, so only images of the same size go through the
        network together, without padding.

        Args:
            batch_inputs: RGB images in [0, 1], padded to one size, ``(B, 3, H, W)``.
            batch_data_samples: ``pad_shape`` is the size of an image without the padding of the batch.
            rescale: return boxes in pixels of the original image.

        Returns:
            The samples, with ``pred_instances``.
        """
        groups: dict[tuple[int, ...], list[int]] = {}
        for index, sample in enumerate(batch_data_samples):
            size = sample.metainfo.get('pad_shape', batch_inputs.shape[-2:])
            groups.setdefault(tuple(size[:2]), []).append(index)
        for (height, width), indices in groups.items():
            images = batch_inputs if len(groups) == 1 else batch_inputs[indices]
            samples = [batch_data_samples[index] for index in indices]
            super().predict(images[..., :height, :width], samples, rescale)
        return batch_data_samples
