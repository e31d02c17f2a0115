"""Resize with one of OpenCV's five interpolations at random, so that a detector does not learn one kind of blur."""

import cv2
import numpy as np
from mmcv.transforms.utils import cache_randomness
from mmdet.datasets.transforms import Resize
from mmdet.registry import TRANSFORMS

INTERPOLATIONS = (cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_AREA, cv2.INTER_LANCZOS4)


@TRANSFORMS.register_module()
class RandomInterpResize(Resize):
    """mmdet's ``Resize`` to a square, aspect ratio not kept, with a random interpolation for each image.

    Args:
        input_size: side of the result, which is the input of the network, pixels.
        clip_object_border: cuts boxes at the border of the image.
    """

    def __init__(self, input_size: int = 640, clip_object_border: bool = True) -> None:
        super().__init__(scale=(input_size, input_size), keep_ratio=False, clip_object_border=clip_object_border)

    @cache_randomness
    def _sample(self) -> int:
        return INTERPOLATIONS[np.random.randint(len(INTERPOLATIONS))]  # noqa: NPY002

    def _resize_img(self, results: dict) -> None:
        """Resize ``results['img']`` and record its shape and scale; mmdet's methods resize the boxes."""
        img = results['img']
        width, height = results['scale']
        resized = cv2.resize(img, (width, height), interpolation=self._sample())
        results['img'] = resized.reshape(height, width, *img.shape[2:])
        results['img_shape'] = (height, width)
        results['scale_factor'] = (width / img.shape[1], height / img.shape[0])
        results['keep_ratio'] = False

    def __repr__(self) -> str:
        """The class and its settings."""
        return f'{type(self).__name__}(input_size={self.scale[0]}, clip_object_border={self.clip_object_border})'
