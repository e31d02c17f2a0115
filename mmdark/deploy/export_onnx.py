"""Export a detector to an ONNX file."""

from __future__ import annotations

import io
import os
import re
import warnings
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import nn
from torch.onnx.errors import OnnxExporterError

import mmdark
from mmdark.drawing import FACE, noun_of, plural_of
from mmdark.errors import InputError
from mmdark.inference.onnx_session import changing_steps
from mmdark.whole_file import sha256_of, write_verified, writing

from .check_onnx import check_onnx
from .detector_graph import DetectorGraph, dense_head
from .half_weights import with_half_weights
from .onnx_packages import onnx_package
from .suppression import ALL_BOXES, ALL_LABELS, ALL_SCORES, Limits, limits_of, with_suppression

OPSETS = range(17, 21)
"""Below 17, group norm needs several operators; above 20, PyTorch's exporter has no support."""
EXAMPLE = (256, 320)
"""Height and width of the traced image if any size is allowed; its coarsest map has more than one pixel per side."""
INPUT = 'images'


def export_onnx(
    detector: nn.Module,
    out: str | os.PathLike,
    *,
    weights: str | os.PathLike | None = None,
    nms: bool = True,
    half: bool = False,
    half_weights: bool = False,
    size: tuple[int, int] | None = None,
    opset: int = 17,
    check: bool = True,
    images: Iterable[str | os.PathLike] = (),
) -> str:
    """Write a detector as an ONNX file that takes images as OpenCV reads them: BGR, uint8, ``(B, H, W, 3)``.

    With ``nms`` the outputs are ``image`` (the index in the batch of each detection), ``boxes`` (x1 y1 x2 y2 in
    pixels) and ``scores``, by the numbers of the config's ``test_cfg``, and of several classes ``labels``; without,
    ``boxes`` ``(B, P, 4)`` and ``scores`` ``(B, P)``, of several classes ``(B, P, classes)``, of every prior.

    The graph is traced, by ``torch.onnx.utils.export``, which every torch has: with the other exporter of torch 2.13
    onnxscript 0.7.2 optimises the graph and removes the 1e-10 of ``L2Norm``, so that all-zero pixels become NaN. When
    torch removes tracing, use ``torch.onnx.export(dynamo=True, optimize=False)``, which gives the same numbers.

    Args:
        detector: DSFD, RetinaNet, FCOS, ATSS, GFL, YOLOX or RTMDet with its weights, alone or in DAINet.
        out: the file to write, ``*.onnx``; an existing file is replaced only on success.
        weights: the file of its weights, whose name and SHA-256 go into the metadata.
        nms: include NMS in the file.
        half: compute in float16.
        half_weights: store the weights in float16, and compute in float32.
        size: fixed height and width of the input, with batch size 1; None allows any batch and image size.
        opset: version of ONNX's operators, 17 to 20.
        check: compare the file with PyTorch in onnxruntime; see :func:`check_onnx`.
        images: paths of images to check with; generated ones by default.

    Returns:
        Lines that describe the file and the result of the check.

    Raises:
        InputError: a package is missing, an argument cannot be used, torch cannot export the model, the file differs
            from PyTorch (it is not written then), or it cannot be written.
    """
    out = Path(out)
    _check_arguments(out, size, opset)
    graph = DetectorGraph(detector, half)
    limits = limits_of(graph.head.test_cfg or {}, min_size=graph.chooses) if nms else None
    onnx = onnx_package('onnx')
    if check:
        onnx_package('onnxruntime')
    known = _known(detector, weights, limits, half, size)
    stored = with_half_weights if half_weights else bytes
    outputs = ('boxes', 'scores') if graph.chooses or not limits else (ALL_BOXES, ALL_SCORES)
    every_prior = stored(_traced(graph, outputs, size, opset))
    model = onnx.load_from_string(every_prior)
    if limits and graph.chooses:
        graph.limits = limits
        candidates = stored(_traced(graph, (ALL_BOXES, ALL_SCORES, ALL_LABELS), size, opset))
        model = with_suppression(onnx.load_from_string(candidates), limits.after_choice())
    elif limits:
        model = with_suppression(model, limits)
    onnx.helper.set_model_props(model, known)
    onnx.checker.check_model(model, full_check=True)
    content = model.SerializeToString()
    summary = _summary(out, len(content), opset, limits, half, size, classes_of(detector))
    summary += resize_note(detector, out)
    if check:
        score_thr = limits.score_thr if limits else 0.05
        summary += '\n' + check_onnx(detector, every_prior, score_thr, half, size, images)
    with writing(out):
        write_verified(out, content)
    return summary


def classes_of(detector: nn.Module) -> tuple[str, ...]:
    """The class names of a detector; if it has none, ``face`` for a single class, otherwise the class indices."""
    head = dense_head(getattr(detector, 'detector', detector))
    numbers = tuple(map(str, range(getattr(head, 'num_classes', 1))))
    return tuple((getattr(detector, 'dataset_meta', None) or {}).get('classes') or ()) or (
        FACE if len(numbers) == 1 else numbers
    )


def resize_note(detector: nn.Module, out: Path) -> str:
    """A note if the config's test pipeline resizes images, because the file does not; otherwise an empty string."""
    cfg = getattr(detector, 'cfg', None)
    if not cfg or not cfg.get('test_dataloader'):
        return ''
    scales = [step.scale for step in changing_steps(cfg) if step.get('scale')]
    if not scales:
        return ''
    width, height = scales[0]
    return f'\nThe config resizes images to fit {width}x{height}; {out.name} does not: resize them first'


def _check_arguments(out: Path, size: tuple[int, int] | None, opset: int) -> None:
    if out.suffix != '.onnx':
        raise InputError(f'{out}: name it *.onnx')
    if opset not in OPSETS:
        raise InputError(f'opset {opset}: choose one of {OPSETS[0]} to {OPSETS[-1]}')
    if size is not None and (len(size) != 2 or min(size) < 1):
        raise InputError(f'size {size}: give height and width in pixels')


def _traced(graph: nn.Module, outputs: tuple[str, ...], size: tuple[int, int] | None, opset: int) -> bytes:
    with torch.no_grad():  # of one class there are no labels
        outputs = outputs[: len(graph(torch.zeros(1, *(size or EXAMPLE), 3, dtype=torch.uint8)))]
    axes = {INPUT: {0: 'batch', 1: 'height', 2: 'width'}, **{name: {0: 'batch', 1: 'priors'} for name in outputs}}
    file = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter('ignore', torch.jit.TracerWarning)  # at_least asks for sizes; EXAMPLE answers for larger
        warnings.simplefilter('ignore', DeprecationWarning)
        warnings.filterwarnings('ignore', 'Constant folding')
        try:
            torch.onnx.utils.export(
                graph,
                (torch.zeros(1, *(size or EXAMPLE), 3, dtype=torch.uint8),),
                file,
                opset_version=opset,
                input_names=[INPUT],
                output_names=list(outputs),
                dynamic_axes=None if size else axes,
            )
        except OnnxExporterError as error:
            reason = re.split(r'\n|\. ', str(error), maxsplit=1)[0]
            said = f'torch {torch.__version__} cannot export this model ({reason})'
            raise InputError(f'{said}: install a newer one, at least 2.2 for DSFD') from error
    return file.getvalue()


def _known(
    detector: nn.Module,
    weights: str | os.PathLike | None,
    limits: Limits | None,
    half: bool,
    size: tuple[int, int] | None,
) -> dict[str, str]:
    """The metadata of the file."""
    config = getattr(getattr(detector, 'cfg', None), 'filename', None)
    classes = classes_of(detector)
    taken = f'1, {size[0]}, {size[1]}' if size else 'batch, height, width'
    one = len(classes) == 1
    given = f'image (N), boxes (N, 4), scores (N){"" if one else ", labels (N)"}'
    if not limits:
        given = f'boxes (batch, P, 4), scores (batch, P{"" if one else ", classes"})'
    known = dict(mmdark=mmdark.__version__, classes=', '.join(classes), computes='float16' if half else 'float32')
    known |= dict(input=f'{INPUT} ({taken}, 3): BGR, uint8, as OpenCV reads them', boxes='x1 y1 x2 y2 in pixels')
    known |= dict(outputs=given, **{name: str(value) for name, value in (limits._asdict() if limits else {}).items()})
    if config:
        known['config'] = Path(config).stem
    if weights is not None:
        try:
            digest = sha256_of(Path(weights))
        except OSError as error:
            raise InputError(f'weights {weights} cannot be read ({error.strerror}): check the path') from error
        known |= dict(weights=Path(weights).name, weights_sha256=digest)
    return known


def _summary(
    out: Path,
    length: int,
    opset: int,
    limits: Limits | None,
    half: bool,
    size: tuple[int, int] | None,
    classes: tuple[str, ...],
) -> str:
    taken = f'one image of {size[1]}x{size[0]}' if size else 'any batch and size'
    inside = (
        f'{plural_of(noun_of(classes))} above {limits.score_thr:g}, IoU {limits.iou_threshold:g}, '
        f'at most {limits.max_per_img} an image'
        if limits
        else 'every prior, no suppression'
    )
    return f'{out}: {length / 2**20:.1f} MiB, opset {opset}, {"float16" if half else "float32"}, {taken}, {inside}'
