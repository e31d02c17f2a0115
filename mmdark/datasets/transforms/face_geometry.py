"""Functions of the face transforms: boxes as arrays, selecting faces, and the homography of the image."""

import numpy as np

_PER_FACE_KEYS = ('gt_bboxes', 'gt_bboxes_labels', 'gt_ignore_flags', 'gt_instances_ids')


def face_boxes(results: dict) -> np.ndarray:
    """The boxes of ``results['gt_bboxes']`` as a float32 copy, shape ``(N, 4)``, x1 y1 x2 y2 in pixels."""
    return results['gt_bboxes'].numpy().astype(np.float32).reshape(-1, 4)


def select_faces(results: dict, keep: np.ndarray) -> None:
    """Keep the faces where ``keep``, booleans of shape ``(N,)``, is true, with all values per face."""
    for key in _PER_FACE_KEYS:
        if results.get(key) is not None:
            results[key] = results[key][keep]


def has_size(boxes: np.ndarray) -> np.ndarray:
    """Which boxes, shape ``(N, 4)``, are finite with a positive width and height; shape ``(N,)``."""
    return np.isfinite(boxes).all(1) & (boxes[:, 2:] > boxes[:, :2]).all(1)


def ignored_flags(results: dict) -> np.ndarray:
    """Which boxes of ``results['gt_bboxes']`` are ignored, shape ``(N,)``; none without flags."""
    flags = results.get('gt_ignore_flags')
    return np.zeros(len(results['gt_bboxes']), dtype=bool) if flags is None else np.asarray(flags, dtype=bool)


def learnable_faces(results: dict) -> np.ndarray:
    """The boxes that a crop may be aimed at, shape ``(N, 4)``: of some size and not ignored; none without boxes."""
    if results.get('gt_bboxes') is None:
        return np.zeros((0, 4), dtype=np.float32)
    boxes = face_boxes(results)
    return boxes[has_size(boxes) & ~ignored_flags(results)]


def is_kept_empty(results: dict) -> bool:
    """Whether the annotation of an image has no face to learn, and its data set keeps such images.

    ``results['keep_empty']`` says so. A data set without this key, such as mmdet's, has left out the images that it
    does not keep. Images that lost their faces in an earlier transform return False.
    """
    instances, boxes = results.get('instances'), results.get('gt_bboxes')
    if instances is None or boxes is None or not results.get('keep_empty', True):
        return False
    return all(instance.get('ignore_flag') for instance in instances)


def centers_inside(boxes: np.ndarray, window: tuple[float, float, float, float]) -> np.ndarray:
    """Which boxes, shape ``(N, 4)``, have their centre strictly inside ``window`` (x1 y1 x2 y2); shape ``(N,)``."""
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    return ((centers > window[:2]) & (centers < window[2:])).all(1)


def reach_into(boxes: np.ndarray, window: tuple[float, float, float, float]) -> np.ndarray:
    """Which boxes, shape ``(N, 4)``, have a size and overlap ``window`` (x1 y1 x2 y2); shape ``(N,)``."""
    return has_size(boxes) & (boxes[:, :2] < window[2:]).all(1) & (boxes[:, 2:] > window[:2]).all(1)


def record_homography(results: dict, scale: float, shift: tuple[float, float]) -> None:
    """Add ``scale * (x, y) + shift`` to ``results['homography_matrix']``, as mmdet's transforms do."""
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]], [0, 0, 1]], dtype=np.float32)
    before = results.get('homography_matrix')
    results['homography_matrix'] = matrix if before is None else matrix @ before
