"""The result of one image: its objects, or why it could not be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mmdark.drawing import FACE, name_of
from mmdark.errors import InputError

if TYPE_CHECKING:
    import supervision


def key_of(class_names: Sequence[str]) -> str:
    """The key of an image's objects in result files: ``faces`` for a face detector, else ``objects``."""
    return 'faces' if tuple(class_names) == FACE else 'objects'


@dataclass(frozen=True)
class DetectionResult:
    """The objects (for a face detector, the faces) of one image.

    Attributes:
        boxes: ``(N, 4)`` float32: x1, y1, x2, y2 in pixels of the image with its EXIF orientation applied, clipped to
            the image.
        scores: ``(N,)`` float32 in [0, 1], highest first.
        width: width of the image in pixels, after EXIF orientation.
        height: height of the image in pixels, after EXIF orientation.
        source: the path as given, ``'array 0'`` for the first of several arrays, ``'clip.mp4#120'`` for a frame.
        reflectance: output of the model's reflectance decoder, ``(H, W, 3)`` BGR uint8; None unless requested.
        illumination: output of the Retinex teacher, ``(H, W)`` float32 in [0, 1]; None unless requested.
        labels: class indices, ``(N,)`` int64; all 0 by default.
        class_names: class names of the detector, in the order of the labels; empty if unknown.
    """

    boxes: np.ndarray
    scores: np.ndarray
    width: int
    height: int
    source: str
    reflectance: np.ndarray | None = None
    illumination: np.ndarray | None = None
    labels: np.ndarray = None  # type: ignore[assignment]
    class_names: tuple[str, ...] = FACE

    def __post_init__(self) -> None:
        if self.labels is None:
            object.__setattr__(self, 'labels', np.zeros(len(self.boxes), np.int64))

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def names(self) -> list[str]:
        """The class name of each object."""
        return [name_of(label, self.class_names) for label in self.labels.tolist()]

    def above(self, score: float) -> DetectionResult:
        """Return a copy with only the objects whose score is at least ``score``."""
        keep = self.scores >= score
        return replace(self, boxes=self.boxes[keep], scores=self.scores[keep], labels=self.labels[keep])

    def to_dicts(self, exact: bool = False) -> list[dict[str, Any]]:
        """One dict per object: ``bbox`` (x1, y1, x2, y2, rounded to 2 decimals) and ``score`` (rounded to 6 decimals).

        With several classes also ``label`` and ``class_name``. With ``exact``, enough digits are kept for
        :meth:`from_dicts` to restore the same float32 values.
        """
        if exact:
            boxes = [[float(str(value)) for value in box] for box in self.boxes]
            scores = [float(str(score)) for score in self.scores]
        else:
            boxes = np.round(self.boxes.astype(np.float64), 2).tolist()
            scores = np.round(self.scores.astype(np.float64), 6).tolist()
        dicts = [dict(bbox=box, score=score) for box, score in zip(boxes, scores, strict=True)]
        if len(self.class_names) == 1:
            return dicts
        labels = zip(self.labels.tolist(), self.names, strict=True)
        return [dict(one, label=label, class_name=name) for one, (label, name) in zip(dicts, labels, strict=True)]

    @classmethod
    def from_dicts(
        cls,
        objects: Sequence[Mapping[str, Any]],
        width: int,
        height: int,
        source: str,
        class_names: tuple[str, ...] = FACE,
    ) -> DetectionResult:
        """Create a result from the dicts of :meth:`to_dicts` and the size of the image in pixels."""
        boxes = np.array([one['bbox'] for one in objects], np.float32).reshape(-1, 4)
        scores = np.array([one['score'] for one in objects], np.float32)
        labels = np.array([one.get('label', 0) for one in objects], np.int64)
        return cls(boxes, scores, width, height, source, labels=labels, class_names=class_names)

    def to_coco(self, image_id: int, category_id: int | Sequence[int] = 1) -> list[dict]:
        """Entries of a COCO result file; ``category_id`` is a list of ids, or the id of class 0 (then +1 per class)."""
        numbers = [
            category_id + label if isinstance(category_id, int) else category_id[label]
            for label in self.labels.tolist()
        ]
        found = zip(numbers, self.boxes.tolist(), self.scores.tolist(), strict=True)
        return [
            dict(image_id=image_id, category_id=number, bbox=[x1, y1, x2 - x1, y2 - y1], score=score)
            for number, (x1, y1, x2, y2), score in found
        ]

    def to_supervision(self) -> supervision.Detections:
        """Convert the result to the ``Detections`` of the package ``supervision``.

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
            class_id=self.labels.astype(int),
            data=dict(class_name=np.array(self.names, dtype=str)),
        )


FaceResult = DetectionResult
"""Name of :class:`DetectionResult` before version 0.2."""


@dataclass(frozen=True)
class BrokenImage:
    """An image that could not be used.

    Attributes:
        source: as in :class:`DetectionResult`.
        reason: one line without the source, such as ``'cut off (its end is missing after 512 bytes)'``.
    """

    source: str
    reason: str
