"""Results as a detector gives them, without a detector; and one that gives what it is told to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from mmengine.config import Config

from mmdark.errors import InputError
from mmdark.inference import BrokenImage, FaceResult, each_source


def result_of(source: str, *rows: tuple[float, ...], size: tuple[int, int] = (80, 60)) -> FaceResult:
    """Rows of x1 y1 x2 y2 score on an image of this width and height."""
    table = np.array(rows, np.float32).reshape(-1, 5)
    return FaceResult(table[:, :4], table[:, 4], *size, source)


class ToldInferencer:
    """Reads the images as a true one does, and finds one face on each: its corner is the brightness of the image.

    Args:
        before: is called with the number of each image before it is looked at.
        weights: a file that stands for its weights.
        kind: of its model.
    """

    class_names, backend = ('face',), 'torch'

    def __init__(
        self, before: Callable[[int], object] = lambda number: None, weights: str | Path = __file__, kind: str = 'Told'
    ) -> None:
        self.before, self.weights = before, str(weights)
        cfg = dict(model=dict(type=kind), test_dataloader=dict(dataset=dict(pipeline=[])))
        self.cfg = Config(cfg, cfg_text='told', filename='configs/told.py')

    def stream(
        self, inputs: Iterable, batch_size: int = 1, **options: object
    ) -> Iterator[tuple[FaceResult | BrokenImage, np.ndarray | None]]:
        for number, source in enumerate(each_source(inputs)):
            self.before(number)
            try:
                image = source.read()
            except InputError as error:
                yield BrokenImage(source.name, str(error)), None
                continue
            height, width = image.shape[:2]
            yield result_of(source.name, (1, 2, 11, 22, 0.75), size=(width, height)), image
