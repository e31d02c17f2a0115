"""What was found on one photograph, and what could not be looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mmdark.errors import InputError

if TYPE_CHECKING:
    import supervision


@dataclass(frozen=True)
class FaceResult:
    """The faces of one image.

    Attributes:
        boxes: ``(N, 4)`` float32: x1, y1, x2, y2 in pixels of the image as a viewer shows it (EXIF orientation
            applied), cut at its border.
        scores: ``(N,)`` float32 in [0, 1], the highest first.
        width: of the image, in pixels.
        height: of the image, in pixels.
        source: the path as given, ``'array 0'`` for the first of several arrays, ``'clip.mp4#120'`` for a frame.
        reflectance: ``(H, W, 3)`` BGR uint8 as the model decodes it; only where it was asked for.
        illumination: ``(H, W)`` float32 in [0, 1], of the Retinex teacher; only where it was asked for.
    """

    boxes: np.ndarray
    scores: np.ndarray
    width: int
    height: int
    source: str
    reflectance: np.ndarray | None = None
    illumination: np.ndarray | None = None

    def __len__(self) -> int:
        """How many faces."""
        return len(self.boxes)

    def above(self, score: float) -> FaceResult:
        """The same image with the faces of at least this score."""
        keep = self.scores >= score
        return replace(self, boxes=self.boxes[keep], scores=self.scores[keep])

    def to_dicts(self) -> list[dict[str, Any]]:
        """``bbox`` (x1, y1, x2, y2 to a hundredth of a pixel) and ``score`` (to a millionth) of each face, for files.

        More digits would be noise.
        """
        boxes = np.round(self.boxes.astype(np.float64), 2).tolist()
        scores = np.round(self.scores.astype(np.float64), 6).tolist()
        return [dict(bbox=box, score=score) for box, score in zip(boxes, scores, strict=True)]

    @classmethod
    def from_dicts(cls, faces: Sequence[Mapping[str, Any]], width: int, height: int, source: str) -> FaceResult:
        """The faces that :meth:`to_dicts` gave, on an image of this size in pixels."""
        boxes = np.array([face['bbox'] for face in faces], np.float32).reshape(-1, 4)
        return cls(boxes, np.array([face['score'] for face in faces], np.float32), width, height, source)

    def to_coco(self, image_id: int, category_id: int = 1) -> list[dict]:
        """Entries of a COCO result file: ``image_id``, ``category_id``, ``bbox`` as x, y, width, height, ``score``."""
        return [
            dict(image_id=image_id, category_id=category_id, bbox=[x1, y1, x2 - x1, y2 - y1], score=score)
            for (x1, y1, x2, y2), score in zip(self.boxes.tolist(), self.scores.tolist(), strict=True)
        ]

    def to_supervision(self) -> supervision.Detections:
        """The faces for the package ``supervision``: class 0, named ``face``.

        Raises:
            InputError: the package is not installed.
        """
        try:
            import supervision
        except ImportError:
            raise InputError('to_supervision needs the package supervision: pip install supervision') from None
        return supervision.Detections(
            xyxy=self.boxes.astype(np.float32),
            confidence=self.scores.astype(np.float32),
            class_id=np.zeros(len(self), dtype=int),
            data=dict(class_name=np.full(len(self), 'face')),
        )


@dataclass(frozen=True)
class BrokenImage:
    """An image that could not be looked at.

    Attributes:
        source: as in :class:`FaceResult`.
        reason: one line without the source, such as ``'cut off (its end is missing after 512 bytes)'``.
    """

    source: str
    reason: str
