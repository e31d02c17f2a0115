"""Detect objects, such as faces, on photographs: all in one call, or as a stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import numpy as np
from mmengine.config import Config
from rich.console import Console
from rich.progress import track

from mmdark.apis.image_pipelines import takes_views
from mmdark.apis.launch import in_bfloat16
from mmdark.drawing import noun_of, plural_of
from mmdark.errors import InputError

from .before_after import picture_of
from .detection import Detection
from .detector import load_detector
from .image_sources import each_source, image_sources
from .onnx_session import BACKENDS, OnnxSession, installed
from .output_names import free_name
from .read_ahead import read_ahead
from .result import BrokenImage, DetectionResult
from .result_files import picture_suffix, write_picture
from .tiles import tile_side
from .weights import comes_with_mmdark

Seen = tuple[DetectionResult | BrokenImage, np.ndarray | None]
"""A result and its image; the image is None for a :class:`BrokenImage`."""


class Options(NamedTuple):
    """Options of :meth:`Inferencer.stream`."""

    batch_size: int
    pred_score_thr: float
    tta: bool | None
    tile: int | str | None
    with_reflectance: bool
    with_illumination: bool


class Inferencer:
    """Detect objects on photographs; called like mmdet's ``DetInferencer``, but returns :class:`DetectionResult`.

    Each image goes through the config's test pipeline, without the steps that load or darken it. Files that cannot be
    read are reported as :class:`BrokenImage`, and the other images are still processed.

    Args:
        model: see :func:`mmdark.inference.load_detector`.
        weights: see :func:`mmdark.inference.load_detector`; the model is never left with random weights.
        device: see :func:`mmdark.inference.chosen_device`.
        show_progress: draw a progress bar on stderr during a call; :meth:`stream` draws none.
        amp: compute in bfloat16, which moves boxes by fractions of a pixel.
        backend: ``'torch'``; ``'onnxruntime'``, which needs the file that ``mmdark export`` wrote next to the weights;
            or ``'auto'``: ONNX Runtime for weights that come with mmdark, on a CPU, if it is installed; else torch.

    Raises:
        InputError: model, weights, device or backend cannot be used.

    Attributes:
        model: the detector, with ``dataset_meta``.
        class_names: such as ``('face',)``, in the order of the labels; empty if unknown.
        cfg: the config of the model.
        weights: path of the weights file.
        device: device of the model.
        backend: ``'torch'`` or ``'onnxruntime'``.
    """

    def __init__(
        self,
        model: str | Config | None = None,
        weights: str | Path | None = None,
        device: str = 'auto',
        show_progress: bool = True,
        amp: bool = False,
        backend: str = 'auto',
    ) -> None:
        self.model, self.cfg, self.weights = load_detector(model, weights, device)
        self.class_names = tuple(self.model.dataset_meta['classes'])
        if amp:
            self.model.test_step = in_bfloat16(self.model)
        self.device = next(self.model.parameters()).device
        self.show_progress = show_progress
        session = self._session(backend, amp)
        self.backend = 'torch' if session is None else 'onnxruntime'
        self._detection = Detection(self.model, self.cfg, session)

    def _session(self, backend: str, amp: bool) -> OnnxSession | None:
        if backend not in BACKENDS:
            raise InputError(f'backend={backend!r}: give one of {", ".join(BACKENDS)}')
        possible = self.device.type == 'cpu' and not amp
        if backend == 'onnxruntime' and not possible:
            raise InputError("backend='onnxruntime' computes on the CPU in float32: leave out device and amp")
        if backend == 'torch' or not possible:
            return None
        file = self.weights.with_suffix('.onnx')
        if backend == 'auto' and not (comes_with_mmdark(self.weights) and file.is_file() and installed()):
            return None
        session = OnnxSession(self.weights, self.cfg)
        if session.same_settings:
            return session
        if backend == 'auto':
            return None
        raise InputError(
            f'{session.path} has other thresholds or sizes than the config: make it anew with mmdark export'
        )

    def __call__(
        self,
        inputs: Any,
        batch_size: int = 1,
        return_vis: bool = False,
        out_dir: str = '',
        pred_score_thr: float = 0.3,
        no_save_vis: bool = False,
        **options: Any,
    ) -> dict[str, list]:
        """Detect objects on all inputs.

        Args:
            inputs: see :func:`mmdark.inference.image_sources`.
            batch_size: number of images (or tiles) of the same size per forward pass.
            return_vis: also return the images with the objects drawn.
            out_dir: folder for the drawn images, ``out_dir/pictures/NAME.jpg`` (``.png`` if a side exceeds JPEG's 65500
                pixels).
            pred_score_thr: minimum score. Objects below the config's ``test_cfg.score_thr`` (0.05) are never returned.
            no_save_vis: write nothing to ``out_dir``.
            **options: ``tta``, ``tile``, ``with_reflectance``, ``with_illumination`` of :meth:`stream`.

        Returns:
            A dict of three lists. ``predictions``: for each input a :class:`DetectionResult`, or a :class:`BrokenImage`
            if it could not be read. ``visualization``: for each input the drawn BGR image (a dark photograph next to
            its brightened copy), None if it could not be read; empty without ``return_vis``. ``broken``: all
            :class:`BrokenImage`.

        Raises:
            InputError: there is no input, its type is not supported, or a drawn image cannot be written.
        """
        sources = inputs if isinstance(inputs, Iterator) else image_sources(inputs)
        seen: Iterable[Seen] = self.stream(sources, batch_size, pred_score_thr, **options)
        if self.show_progress:
            total = None if isinstance(sources, Iterator) else len(sources)
            seen = track(
                seen, plural_of(noun_of(self.class_names)), total, console=Console(stderr=True), transient=True
            )
        results: dict[str, list] = dict(predictions=[], visualization=[], broken=[])
        folder = None if no_save_vis or not out_dir else Path(out_dir) / 'pictures'
        names: set[str] = set()
        for result, image in seen:
            results['predictions'].append(result)
            if isinstance(result, BrokenImage):
                results['broken'].append(result)
            drawn = picture_of(image, result) if image is not None and (return_vis or folder) else None
            if return_vis:
                results['visualization'].append(drawn)
            if folder and drawn is not None:
                path = PurePath(PurePath(result.source).name.replace(' ', '_'))
                write_picture(folder / f'{free_name(path, names)}{picture_suffix(drawn)}', drawn)
        return results

    def stream(
        self,
        inputs: Any,
        batch_size: int = 1,
        pred_score_thr: float = 0.3,
        tta: bool | None = None,
        tile: int | str | None = None,
        with_reflectance: bool = False,
        with_illumination: bool = False,
    ) -> Iterator[Seen]:
        """Yield the results image by image, in the order of the inputs and in constant memory.

        Args:
            inputs: see :func:`mmdark.inference.image_sources`. A generator is consumed lazily: ``batch_size`` images
                are in memory; on a GPU twice as many, because threads read the next ones ahead.
            batch_size: see :meth:`__call__`.
            pred_score_thr: see :meth:`__call__`.
            tta: test-time augmentation by the config's ``tta_pipeline`` and ``tta_model``. None uses it if the config
                sets ``tta_by_default``, except on tiles.
            tile: side of the tiles in pixels; ``'auto'`` uses tiles for images above four million pixels, None never.
                See :mod:`mmdark.inference.tiles`.
            with_reflectance: add the output of the model's reflectance decoder.
            with_illumination: add the illumination that the model's Retinex teacher decomposes.

        Returns:
            Pairs of a result and its image, ``(H, W, 3)`` BGR uint8. For a file that cannot be read, or an image too
            large for the memory, the pair is a :class:`BrokenImage` and None.

        Raises:
            InputError: the model does not support an option, or the type of an input is not supported.
        """
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise InputError(f'batch_size={batch_size!r}: give the number of images that the detector sees at a time')
        tile_side(tile, 1, 1)
        if takes_views(self.cfg, tta):
            self._detection.prepare_views()
        for asked, what in ((with_reflectance, 'reflectance'), (with_illumination, 'illumination')):
            if asked:
                self._detection.check_teacher(what)
        options = Options(batch_size, pred_score_thr, tta, tile, with_reflectance, with_illumination)
        return self._stream(inputs, options)

    def _stream(self, inputs: Any, options: Options) -> Iterator[Seen]:
        """Collect images into batches; an image that is split into tiles is processed alone.

        A batch ends after every ``batch_size`` inputs, so that a resumed run has the same batches.
        """
        batch: list[tuple[str, np.ndarray | InputError]] = []
        ahead = 0 if self.device.type == 'cpu' else options.batch_size
        for number, (name, image) in enumerate(read_ahead(each_source(inputs), ahead), 1):
            large = isinstance(image, np.ndarray) and tile_side(options.tile, *image.shape[:2])
            if large:
                yield from self._look(batch, options)
                batch = []
            batch.append((name, image))
            if large or number % options.batch_size == 0:
                yield from self._look(batch, options)
                batch = []
        yield from self._look(batch, options)

    def _look(self, batch: list[tuple[str, np.ndarray | InputError]], options: Options) -> Iterator[Seen]:
        images = [image for _, image in batch if isinstance(image, np.ndarray)]
        side = tile_side(options.tile, *images[0].shape[:2]) if images else None
        detection = self._detection
        each = iter([] if side else detection.detect_each(images, takes_views(self.cfg, options.tta)))
        for name, image in batch:
            try:
                if isinstance(image, InputError):
                    raise image
                objects = (
                    detection.detect_tiled(image, side, options.batch_size, bool(options.tta)) if side else next(each)
                )
                if isinstance(objects, InputError):
                    raise objects
                boxes, scores, labels = objects
                result = DetectionResult(
                    boxes,
                    scores,
                    image.shape[1],
                    image.shape[0],
                    name,
                    detection.reflectance(image, side) if options.with_reflectance else None,
                    detection.illumination(image, side) if options.with_illumination else None,
                    labels,
                    self.class_names,
                ).above(options.pred_score_thr)
            except InputError as error:
                yield BrokenImage(name, str(error)), None
            else:
                yield result, image


FaceInferencer = Inferencer
"""Name of :class:`Inferencer` before version 0.2."""
