"""Data-anchor-sampling (PyramidBox, Tang et al., ECCV 2018, section 3.4): resize a random face to a random anchor.

Large faces become small, which gives the many small anchors more positive samples. The published code rescales the
whole image, up to 144 megapixels, before cropping a window; here only the part under the window is rescaled.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from mmcv.transforms.utils import cache_randomness
from mmdet.registry import TRANSFORMS

from mmdark.datasets.transforms.face_crop import FaceCrop
from mmdark.datasets.transforms.face_geometry import (
    centers_inside,
    face_boxes,
    ignored_flags,
    reach_into,
    record_homography,
    select_faces,
)
from mmdark.datasets.transforms.random_interp_resize import INTERPOLATIONS

_TRIES = 50
_MAX_SIDE = 12000  # maximum area of the rescaled image is the square of this
_MIN_IOU = 0.7  # a window is also valid if its IoU with a face, possibly larger than the window, exceeds this
_MARGIN = 4  # source pixels beyond the window that the widest interpolation (Lanczos) reads


class AnchorWindow(NamedTuple):
    """A sampled window: the image is rescaled by ``scale``, then cropped at (``left``, ``top``), in rescaled pixels."""

    scale: float
    left: float
    top: float
    interpolation: int


@TRANSFORMS.register_module()
class DataAnchorSampling(FaceCrop):
    """Rescale the image so that a random face gets about the size of a random anchor, and crop a square around it.

    Let k be the index of the anchor nearest to the side of the face (square root of its area). The new side is one of
    the anchors 0 to min(k + 1, last) times 2^U(-1, 1). Of 50 random windows, one is chosen that contains a face or has
    an IoU above 0.7 with one. A face is kept if its centre is inside and its area is above ``min_face`` squared, an
    ignored box if it overlaps the window.

    Our choices for cases that the publication does not describe: a face below one pixel is treated as one pixel, which
    limits the scale to 64. If no window is valid because the face is enlarged beyond it, the scale is reduced until the
    face fits. An image that its data set keeps without faces is cropped around a square of random size and position.

    Args:
        input_size: side of the window and of the network input, pixels.
        anchors: sides of the anchors, ascending.
        min_face: side of the smallest square face that is kept, pixels.
        pad_value: value outside the image, in its channel order; the default is the BGR mean of the Caffe VGG weights.
            Grey images are padded with its average.

    Required keys: ``img``, ``gt_bboxes``. Modified keys: ``img``, ``img_shape``, ``scale_factor``, the faces,
    ``homography_matrix``. Returns ``None`` (mmengine then draws another random image) if there is no face before or
    after the crop, except as described in :class:`FaceCrop`.
    """

    def __init__(
        self,
        input_size: int = 640,
        anchors: Sequence[int] = (16, 32, 64, 128, 256, 512),
        min_face: float = 6,
        pad_value: tuple[float, float, float] = (104, 117, 123),
    ) -> None:
        self.input_size, self.anchors = input_size, tuple(anchors)
        self.min_face, self.pad_value = min_face, tuple(pad_value)

    @cache_randomness
    def _sample(self, faces: np.ndarray, img_shape: tuple[int, int]) -> AnchorWindow:
        """Draw scale, window and interpolation for faces of shape ``(N, 4)``; without faces, for a random square."""
        faces = faces if len(faces) else self._imagined_face(img_shape)
        face = faces[np.random.randint(len(faces))].astype(np.float64)  # noqa: NPY002
        width, height = face[2:] - face[:2]
        side = max(np.sqrt(width * height), 1.0)
        nearest = int(np.abs(np.array(self.anchors) - side).argmin())
        target = self.anchors[np.random.randint(min(nearest + 1, len(self.anchors) - 1) + 1)]  # noqa: NPY002
        target *= 2 ** np.random.uniform(-1, 1)  # noqa: NPY002
        scale = min(target / side, _MAX_SIDE / np.sqrt(img_shape[0] * img_shape[1]))
        interpolation = INTERPOLATIONS[np.random.randint(len(INTERPOLATIONS))]  # noqa: NPY002

        corners = self._sample_corners(face * scale, (img_shape[0] * scale, img_shape[1] * scale))
        valid = np.flatnonzero(self._holds_a_face(corners, faces * scale))
        if len(valid):
            left, top = corners[valid[np.random.randint(len(valid))]]  # noqa: NPY002
        else:
            scale = min(scale, self.input_size / max(width, height))
            left, top = face[:2] * scale
        return AnchorWindow(float(scale), float(left), float(top), interpolation)

    def _imagined_face(self, img_shape: tuple[int, int]) -> np.ndarray:
        """A random square in the image, its side from the smallest anchor to half the short side; ``(1, 4)``."""
        largest = max(min(img_shape) / 2, 1)
        smallest = min(self.anchors[0], largest)
        part, x, y = np.random.uniform(size=3)  # noqa: NPY002
        side = smallest * (largest / smallest) ** part
        left, top = x * (img_shape[1] - side), y * (img_shape[0] - side)
        return np.array([[left, top, left + side, top + side]], dtype=np.float32)

    def _sample_corners(self, face: np.ndarray, img_shape: tuple[float, float]) -> np.ndarray:
        """Top left corners of windows around ``face``, or around the whole image if it fits; shape ``(50, 2)``."""
        if max(img_shape) > self.input_size:
            ends = np.stack([face[2:] - self.input_size, face[:2]])
        else:
            ends = np.stack([np.array(img_shape[::-1]) - self.input_size, np.zeros(2)])
        return np.random.uniform(ends.min(0), ends.max(0), size=(_TRIES, 2))  # noqa: NPY002

    def _holds_a_face(self, corners: np.ndarray, faces: np.ndarray) -> np.ndarray:
        """Which windows contain one of the faces ``(N, 4)`` or have an IoU above 0.7 with one; shape ``(50,)``."""
        low, high = corners[:, None], corners[:, None] + self.input_size
        inside = ((faces[:, :2] >= low) & (faces[:, 2:] <= high)).all(2)
        overlap = (np.minimum(faces[:, 2:], high) - np.maximum(faces[:, :2], low)).clip(0).prod(2)
        union = (faces[:, 2:] - faces[:, :2]).prod(1) + self.input_size**2 - overlap
        return (inside | (overlap > _MIN_IOU * union)).any(1)

    def _apply(self, results: dict, window: AnchorWindow) -> dict:
        img, (left, top) = cut_rescaled(results['img'], window, self.input_size, self.pad_value)
        results['gt_bboxes'].rescale_((window.scale, window.scale))
        results['gt_bboxes'].translate_((-left, -top))
        boxes = face_boxes(results)
        large = (boxes[:, 2:] - boxes[:, :2]).clip(0).prod(1) > self.min_face**2
        inside = (0, 0, self.input_size, self.input_size)
        faces, ignored = large & centers_inside(boxes, inside), ignored_flags(results)
        select_faces(results, np.where(ignored, reach_into(boxes, inside), faces))
        results['img'], results['img_shape'] = img, img.shape[:2]
        results['scale_factor'] = (window.scale, window.scale)
        record_homography(results, window.scale, (-left, -top))
        return results

    def __repr__(self) -> str:
        """The class and its settings."""
        return (
            f'{type(self).__name__}(input_size={self.input_size}, anchors={self.anchors}, min_face={self.min_face}, '
            f'pad_value={self.pad_value})'
        )


def cut_rescaled(
    img: np.ndarray, window: AnchorWindow, size: int, pad_value: Sequence[float]
) -> tuple[np.ndarray, tuple[float, float]]:
    """Crop a square window from the rescaled image without rescaling the pixels outside it.

    The window is moved by at most half a pixel, to align it with the pixel grid of the rescaled part.

    Args:
        img: image ``(H, W, C)`` or ``(H, W)``.
        window: scale, top left corner and interpolation.
        size: side of the window.
        pad_value: value of each channel outside the image.

    Returns:
        The window, ``(size, size, C)`` or ``(size, size)``, and its exact left and top in the rescaled image.
    """
    channels = img.shape[2:]
    fill = pad_value if channels == (len(pad_value),) else np.mean(pad_value)
    canvas = np.empty((size, size, *channels), dtype=img.dtype)
    canvas[:] = np.asarray(fill).astype(img.dtype)
    x, columns, left = _place(window.left, window.scale, size, img.shape[1])
    y, rows, top = _place(window.top, window.scale, size, img.shape[0])
    part = img[y, x]
    if min(round(length * window.scale) for length in part.shape[:2]) > 0:
        part = cv2.resize(part, None, fx=window.scale, fy=window.scale, interpolation=window.interpolation)
        part = part.reshape(*part.shape[:2], *channels)
        target_rows, target_columns = _overlap(rows, part.shape[0], size), _overlap(columns, part.shape[1], size)
        canvas[target_rows, target_columns] = part[_moved(target_rows, rows), _moved(target_columns, columns)]
    return canvas, (left, top)


def _place(start: float, scale: float, size: int, length: int) -> tuple[slice, int, float]:
    """For one axis: the source pixels needed, their offset in the window, and the exact start of the window."""
    margin = _MARGIN + int(np.ceil(1 / scale))
    first = min(max(int(start / scale) - margin, 0), length)
    last = max(min(int(np.ceil((start + size) / scale)) + margin, length), first)
    offset = round(first * scale - start)
    return slice(first, last), offset, first * scale - offset


def _overlap(offset: int, length: int, size: int) -> slice:
    """The pixels of a window of length ``size`` that are covered by a part of ``length`` at ``offset``."""
    return slice(min(max(offset, 0), size), max(min(offset + length, size), 0))


def _moved(target: slice, offset: int) -> slice:
    """The same pixels, relative to the start of the part."""
    return slice(max(target.start - offset, 0), max(target.stop - offset, 0))
