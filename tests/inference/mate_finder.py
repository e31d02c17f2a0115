"""An inferencer without a network, whose finds depend on the images that are beside one in its batch."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import numpy as np

from mmdark.errors import InputError
from mmdark.inference import BrokenImage, FaceResult, each_source

from .face_results import ToldInferencer, result_of


class MateFinder(ToldInferencer):
    """Finds as many faces as the images of a batch say together."""

    def stream(
        self, inputs: Iterable, batch_size: int = 1, **options: object
    ) -> Iterator[tuple[FaceResult | BrokenImage, np.ndarray | None]]:
        """As Inferencer's; a batch ends every ``batch_size`` inputs."""
        sources, number = iter(each_source(inputs)), itertools.count()
        while batch := list(itertools.islice(sources, batch_size)):
            images = [_read(source) for source in batch]
            noise = np.random.default_rng(sum(int(image.sum()) for image in images if isinstance(image, np.ndarray)))
            for source, image in zip(batch, images, strict=True):
                self.before(next(number))
                if isinstance(image, InputError):
                    yield BrokenImage(source.name, str(image)), None
                    continue
                height, width = image.shape[:2]
                corners = np.sort(noise.uniform(0, min(width, height), (noise.integers(4), 2, 2)), axis=1)
                rows = np.column_stack([corners.reshape(-1, 4), np.sort(noise.uniform(0.3, 1, len(corners)))[::-1]])
                yield result_of(source.name, *rows.tolist(), size=(width, height)), image


def _read(source: object) -> np.ndarray | InputError:
    try:
        return source.read()
    except InputError as error:
        return error
