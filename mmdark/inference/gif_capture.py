"""The pictures of an animated GIF, of which OpenCV's FFmpeg gives the first alone where the file states no times."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image

from mmdark.datasets.transforms.pillow_pixels import bgr_of

USUAL_MILLISECONDS = 100
"""Between pictures without times, as browsers show them."""


class GifCapture:
    """What is used of ``cv2.VideoCapture``, for a GIF; one picture is in memory at a time.

    Args:
        path: of a file.
    """

    def __init__(self, path: str) -> None:
        try:
            self._image = Image.open(path, formats=['GIF'])
        except Exception:  # Pillow's readers raise whatever their formats make them stumble over
            self._image = None
        self._number, self._clock = -1, 0.0

    def isOpened(self) -> bool:
        """Whether there is something to read."""
        return self._image is not None

    def grab(self) -> bool:
        """Go to the next picture."""
        try:
            shown = self._milliseconds() if self._number >= 0 else 0.0
            self._image.seek(self._number + 1)
        except Exception:  # the end, or damage
            return False
        self._number, self._clock = self._number + 1, self._clock + shown
        return True

    def retrieve(self) -> tuple[bool, np.ndarray | None]:
        """The pixels of the picture, ``(H, W, 3)`` BGR uint8."""
        try:
            return True, bgr_of(self._image.convert('RGB'))
        except Exception:
            return False, None

    def get(self, what: int) -> float:
        """Pictures a second (as the first is shown), their count, or when the one that was grabbed begins."""
        if what == cv2.CAP_PROP_FPS:
            return 1000 / self._milliseconds()
        if what == cv2.CAP_PROP_FRAME_COUNT:
            return float(self._image.n_frames)
        return self._clock if what == cv2.CAP_PROP_POS_MSEC else 0.0

    def release(self) -> None:
        """Close the file."""
        if self._image is not None:
            self._image.close()

    def _milliseconds(self) -> float:
        return self._image.info.get('duration') or USUAL_MILLISECONDS
