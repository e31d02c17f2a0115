"""Objects, such as faces, on a person's photographs, in one call or one photograph after another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mmengine.config import Config
from rich.console import Console
from rich.progress import track

from mmdark.apis.launch import in_bfloat16
from mmdark.drawing import noun_of, plural_of
from mmdark.errors import InputError

from .before_after import picture_of
from .detection import Detection, Found
from .detector import load_detector
from .image_sources import each_source, image_sources
from .onnx_session import BACKENDS, OnnxSession, installed
from .output_names import shortened
from .read_ahead import read_ahead
from .result import BrokenImage, DetectionResult
from .result_files import picture_suffix, write_picture
from .tiles import tile_side
from .weights import comes_with_mmdark

Seen = tuple[DetectionResult | BrokenImage, np.ndarray | None]
"""A result, and the image that was looked at."""


class Wanted(NamedTuple):
    """What is wanted of each image; see :meth:`Inferencer.stream`."""

    batch_size: int
    pred_score_thr: float
    tta: bool
    tile: int | str | None
    with_reflectance: bool
    with_illumination: bool


class Inferencer:
    """Find what a detector was trained for; called as mmdet's ``DetInferencer``, but it returns other things.

    The steps of the config's test pipeline prepare each image, but for those that load or darken it: a photograph is
    looked at as it is. A folder goes on where a file is broken.

    Args:
        model: see :func:`mmdark.inference.load_detector`.
        weights: see :func:`mmdark.inference.load_detector`; never random.
        device: ``'auto'`` (CUDA where there is some), ``'cpu'``, ``'cuda'``, ``'cuda:1'`` ...
        show_progress: draw a progress bar on stderr while called; :meth:`stream` draws none.
        amp: compute in bfloat16, which moves boxes by fractions of a pixel.
        backend: ``'torch'``; ``'onnxruntime'``, whose file ``mmdark export`` wrote beside the weights; or ``'auto'``:
            ONNX Runtime on CPUs, where it is installed, for the detector that comes with mmdark. Several views
            (``tta``) are always looked at by PyTorch.

    Raises:
        InputError: model, weights, device or backend cannot be used.

    Attributes:
        model: the detector, with ``dataset_meta``.
        class_names: what it finds, such as ``('face',)``, in the order of the labels; empty where nothing names it.
        cfg: its config.
        weights: the file of its weights.
        device: where it runs.
        backend: what computes, ``'torch'`` or ``'onnxruntime'``.
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
        """Find the objects on all inputs.

        Args:
            inputs: see :func:`mmdark.inference.image_sources`.
            batch_size: images (or tiles) that the detector sees at a time; those of one batch have the same size.
            return_vis: also return the pictures with the objects drawn.
            out_dir: write them to ``out_dir/pictures/NAME.jpg``, too (``.png`` beyond the 65500 pixels of a JPEG).
            pred_score_thr: only objects of at least this score; below the config's ``test_cfg.score_thr`` (0.05) there
                are none.
            no_save_vis: write nothing to ``out_dir``.
            **options: ``tta``, ``tile``, ``with_reflectance``, ``with_illumination`` of :meth:`stream`.

        Returns:
            ``predictions``, for each input in its order a :class:`DetectionResult`, or a :class:`BrokenImage` where it
            could not be looked at; ``visualization``, in the same order BGR pictures, a dark photograph beside its
            brightened copy, None for a broken one, and an empty list without ``return_vis``; ``broken``, a list of the
            :class:`BrokenImage` alone.

        Raises:
            InputError: there is no input, it is nothing that images are found in, or a picture cannot be written.
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
                write_picture(folder / f'{_free_name(result.source, names)}{picture_suffix(drawn)}', drawn)
        return results

    def stream(
        self,
        inputs: Any,
        batch_size: int = 1,
        pred_score_thr: float = 0.3,
        tta: bool = False,
        tile: int | str | None = None,
        with_reflectance: bool = False,
        with_illumination: bool = False,
    ) -> Iterator[Seen]:
        """Find objects on one image after another, in the order of the inputs and in constant memory.

        Args:
            inputs: see :func:`mmdark.inference.image_sources`; also a generator, of which ``batch_size`` are held;
                where a GPU looks at them, as many again, which threads read meanwhile.
            batch_size: see :meth:`__call__`.
            pred_score_thr: see :meth:`__call__`.
            tta: look at several views of each image, the config's ``tta_pipeline``, and merge by ``tta_model``.
            tile: look through a window of so many pixels; ``'auto'`` does so for images above four million pixels,
                None looks at each image as a whole. See :mod:`mmdark.inference.tiles`.
            with_reflectance: add what the model's reflectance decoder makes of each image.
            with_illumination: add what the model's Retinex teacher makes of it.

        Returns:
            Pairs of a result and the image, ``(H, W, 3)`` BGR uint8. A file that cannot be used, or an image too large
            for the memory, is a :class:`BrokenImage` with None.

        Raises:
            InputError: the model cannot do what is asked for; an input is nothing that images are found in.
        """
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise InputError(f'batch_size={batch_size!r}: give the number of images that are looked at at a time')
        tile_side(tile, 1, 1)
        if tta:
            self._detection.prepare_views()
        for asked, what in ((with_reflectance, 'reflectance'), (with_illumination, 'illumination')):
            if asked:
                self._detection.check_teacher(what)
        wanted = Wanted(batch_size, pred_score_thr, tta, tile, with_reflectance, with_illumination)
        return self._stream(inputs, wanted)

    def _stream(self, inputs: Any, wanted: Wanted) -> Iterator[Seen]:
        """Read until a batch is full, or an image is so large that it is one by itself.

        Every ``batch_size`` inputs a batch ends, so what is beside an image does not depend on where a run begins.
        """
        batch: list[tuple[str, np.ndarray | InputError]] = []
        ahead = 0 if self.device.type == 'cpu' else wanted.batch_size
        for number, (name, image) in enumerate(read_ahead(each_source(inputs), ahead), 1):
            large = isinstance(image, np.ndarray) and tile_side(wanted.tile, *image.shape[:2])
            if large:
                yield from self._look(batch, wanted)
                batch = []
            batch.append((name, image))
            if large or number % wanted.batch_size == 0:
                yield from self._look(batch, wanted)
                batch = []
        yield from self._look(batch, wanted)

    def _look(self, batch: list[tuple[str, np.ndarray | InputError]], wanted: Wanted) -> Iterator[Seen]:
        images = [image for _, image in batch if isinstance(image, np.ndarray)]
        side = tile_side(wanted.tile, *images[0].shape[:2]) if images else None
        found = iter([] if side else self._detection.found_each(images, wanted.tta))
        for name, image in batch:
            if isinstance(image, InputError):
                yield BrokenImage(name, str(image)), None
                continue
            try:
                if side:
                    one = self._detection.found_in_tiles(image, side, wanted.batch_size, wanted.tta)
                else:
                    one = next(found)
                result = self._result(name, image, one, side, wanted)
            except InputError as error:
                yield BrokenImage(name, str(error)), None
            else:
                yield result, image

    def _result(
        self, name: str, image: np.ndarray, found: Found | InputError, side: int | None, wanted: Wanted
    ) -> DetectionResult:
        if isinstance(found, InputError):
            raise found
        boxes, scores, labels = found
        height, width = image.shape[:2]
        return DetectionResult(
            boxes,
            scores,
            width,
            height,
            name,
            self._detection.reflectance(image, side) if wanted.with_reflectance else None,
            self._detection.illumination(image, side) if wanted.with_illumination else None,
            labels,
            self.class_names,
        ).above(wanted.pred_score_thr)


FaceInferencer = Inferencer
"""The name from before there were other classes than faces."""


def _free_name(source: str, names: set[str]) -> str:
    """A name for the picture of a source; two folders may hold the same name."""
    stem = name = shortened(Path(source).stem.replace(' ', '_'))
    number = 1
    while name in names:
        number += 1
        name = f'{stem}-{number}'
    names.add(name)
    return name
