"""Face detectors that are compared: YuNet and SCRFD from the user's ONNX files, ours from weights or an ONNX file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import cv2
import numpy as np
import torch
from mmcv.ops import nms
from mmengine.config import Config
from torch import nn

from mmdark.deploy.onnx_packages import onnx_package
from mmdark.errors import InputError, shown
from mmdark.inference import Inferencer

LOWEST_SCORE = 0.02
"""Least score of a detection; AP needs low ones."""
YUNET_IOU, YUNET_MOST = 0.3, 5000
"""Of YuNet's suppression: the defaults of OpenCV's ``FaceDetectorYN``."""
SCRFD_STRIDES, SCRFD_ANCHORS, SCRFD_IOU = (8, 16, 32), 2, 0.4
"""Of SCRFD (arXiv:2105.04714) as its authors' ONNX files are run."""
PROBE = np.zeros((64, 96, 3), np.uint8)
"""Each file is tried on this image when it is opened."""


class FoundFaces(NamedTuple):
    """Rows x1 y1 x2 y2 score in pixels, shape ``(N, 5)``, and the seconds of the network alone, if known."""

    rows: np.ndarray
    network_seconds: float | None = None


FaceFinder = Callable[[np.ndarray], FoundFaces]
"""Finds faces in an image ``(H, W, 3)``, BGR uint8, at its own size."""


def yunet(path: str | Path) -> FaceFinder:
    """YuNet, run by OpenCV's ``FaceDetectorYN`` with as many threads as ``cv2.setNumThreads`` says.

    Raises:
        InputError: the file is missing or not of YuNet.
    """
    _check_file(path)
    try:
        detector = cv2.FaceDetectorYN.create(str(path), '', (32, 32), LOWEST_SCORE, YUNET_IOU, YUNET_MOST)
        detector.setInputSize(PROBE.shape[1::-1])
        detector.detect(PROBE)
    except cv2.error as error:
        raise InputError(f'{path} is no YuNet that OpenCV runs ({shown(error.err)}): name another') from None

    def find(image: np.ndarray) -> FoundFaces:
        detector.setInputSize(image.shape[1::-1])
        _, found = detector.detect(image)
        found = np.zeros((0, 15), np.float32) if found is None else found
        return FoundFaces(np.column_stack([found[:, :2], found[:, :2] + found[:, 2:4], found[:, 14]]))

    return find


def scrfd(path: str | Path, threads: int) -> FaceFinder:
    """SCRFD, run by onnxruntime; the image is padded with black to a multiple of 32, not resized.

    Raises:
        InputError: the file is missing, has other outputs, or takes images of one size alone.
    """
    session = _session(path, threads, free_size=True)
    name = session.get_inputs()[0].name

    def find(image: np.ndarray) -> FoundFaces:
        height, width = image.shape[:2]
        padded = cv2.copyMakeBorder(image, 0, -height % 32, 0, -width % 32, cv2.BORDER_CONSTANT)
        blob = cv2.dnn.blobFromImage(padded, 1 / 128, mean=(127.5,) * 3, swapRB=True)
        begun = perf_counter()
        outputs = session.run(None, {name: blob})
        seconds = perf_counter() - begun
        return FoundFaces(scrfd_faces(outputs, *padded.shape[:2]), seconds)

    try:
        find(PROBE)
    except InputError as error:
        raise InputError(f'{path}: {error}') from None
    except Exception as error:  # onnxruntime has no common class of its errors
        raise InputError(
            f'{path} does not run on images of any size ({shown(str(error))}): export it with a free height and width'
        ) from None
    return find


def scrfd_faces(outputs: Sequence[np.ndarray], height: int, width: int) -> np.ndarray:
    """Decode the outputs of SCRFD: at each stride two anchors per cell, with a score and distances to the four sides.

    Args:
        outputs: scores ``(..., 1)`` in [0, 1] and distances ``(..., 4)`` in strides, of the strides 8, 16 and 32 in any
            order; others, such as landmarks, are ignored.
        height: of the image, a multiple of 32.
        width: likewise.

    Returns:
        x1 y1 x2 y2 score, shape ``(N, 5)``, sorted by score.

    Raises:
        InputError: an output is missing.
    """
    by_shape = {rows.shape: rows for rows in (output.reshape(-1, output.shape[-1]) for output in outputs)}
    found = []
    for stride in SCRFD_STRIDES:
        cells = height // stride * (width // stride)
        scores, distances = (by_shape.get((cells * SCRFD_ANCHORS, columns)) for columns in (1, 4))
        if scores is None or distances is None:
            raise InputError(
                f'the outputs are not those of SCRFD: at stride {stride} it has {SCRFD_ANCHORS} scores per cell, and 4 '
                'distances for each; name another file with --scrfd'
            )
        row, column = np.divmod(np.arange(cells).repeat(SCRFD_ANCHORS), width // stride)
        centres = np.column_stack([column, row, column, row])
        boxes = (centres + distances * (-1, -1, 1, 1)) * stride
        found.append(np.column_stack([boxes, scores])[scores[:, 0] >= LOWEST_SCORE])
    rows = np.concatenate(found).astype(np.float32)
    boxes, scores = torch.from_numpy(rows[:, :4].copy()), torch.from_numpy(rows[:, 4].copy())
    kept = nms(boxes, scores, SCRFD_IOU, offset=1)[1]  # the authors' suppression adds 1 to widths and heights
    return rows[kept.numpy()]


def exported(path: str | Path, threads: int) -> FaceFinder:
    """A file of ``mmdark export``, run by onnxruntime; the network's time includes the suppression.

    It gives no scores below its own threshold, the config's ``score_thr``.

    Raises:
        InputError: the file is missing, or not one of these.
    """
    session = _session(path, threads)
    outputs = ['boxes', 'scores']
    names = {each.name for each in (*session.get_inputs(), *session.get_outputs())}
    if not names >= {'images', 'image', *outputs}:
        raise InputError(f'{path} is no file of mmdark export with its suppression: write it again without --no-nms')

    def find(image: np.ndarray) -> FoundFaces:
        begun = perf_counter()
        boxes, scores = session.run(outputs, {'images': image[None]})
        seconds = perf_counter() - begun
        height, width = image.shape[:2]
        rows = np.column_stack([boxes.clip(0, [width, height] * 2), scores])
        return FoundFaces(rows[scores >= LOWEST_SCORE], seconds)

    return find


def trained(model: str | Config | None, weights: str | Path | None) -> FaceFinder:
    """A detector of mmdark or MMDetection in PyTorch on the CPU; see :func:`mmdark.inference.load_detector`.

    It runs in one view, whatever the config says. The thresholds of its ``test_cfg`` are lowered to
    :data:`LOWEST_SCORE`. The network's time is that from the beginning of the backbone to the end of the dense head.

    Raises:
        InputError: they cannot be used.
    """
    inferencer = Inferencer(model, weights, 'cpu', show_progress=False, backend='torch')
    times: list[float] = []
    for module in inferencer.model.modules():
        limits = getattr(module, 'test_cfg', None)
        if limits and 'score_thr' in limits:
            limits.score_thr = min(limits.score_thr, LOWEST_SCORE)
    _watch(inferencer.model, times)

    def find(image: np.ndarray) -> FoundFaces:
        times.clear()
        ((result, _),) = inferencer.stream([image], pred_score_thr=LOWEST_SCORE, tta=False)
        if not hasattr(result, 'boxes'):
            raise InputError(f'{inferencer.weights}: {result.reason}')
        seconds = times[-1] - times[0] if len(times) > 1 else None
        return FoundFaces(np.column_stack([result.boxes, result.scores]), seconds)

    return find


def _watch(model: nn.Module, times: list[float]) -> None:
    """Note the times when the backbone of a single-stage detector begins and when its head ends."""
    model = getattr(model, 'detector', model)
    if hasattr(model, 'bbox_head'):
        model.backbone.register_forward_pre_hook(lambda *_: times.append(perf_counter()))
        for module in model.bbox_head.modules():  # a head of several heads is not called itself
            module.register_forward_hook(lambda *_: times.append(perf_counter()))


def _check_file(path: str | Path) -> None:
    if not Path(path).is_file():
        raise InputError(f'{path} does not exist: name the ONNX file of a detector')


def _session(path: str | Path, threads: int, free_size: bool = False) -> object:
    """A session of onnxruntime on the CPU; ``free_size``: also for other sizes than that of the file."""
    _check_file(path)
    onnxruntime = onnx_package('onnxruntime')
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    try:
        content = _with_free_size(path) if free_size else Path(path).read_bytes()
        return onnxruntime.InferenceSession(content, options, providers=['CPUExecutionProvider'])
    except InputError:
        raise
    except Exception as error:  # neither package has a common class of its errors
        raise InputError(f'{path} is no ONNX file that onnxruntime runs ({shown(str(error))}): name another') from None


def _with_free_size(path: str | Path) -> bytes:
    """The file with a free height and width of its input, and without the shapes that follow from them."""
    onnx = onnx_package('onnx')
    model = onnx.load(str(path))
    constants = {constant.name for constant in model.graph.initializer}
    (image,) = (value for value in model.graph.input if value.name not in constants)
    for side, name in zip(image.type.tensor_type.shape.dim[2:], ('height', 'width'), strict=True):
        side.dim_param = name
    for output in model.graph.output:
        output.type.tensor_type.ClearField('shape')
    del model.graph.value_info[:]
    return model.SerializeToString()
