"""Read the next photographs in threads while the detector processes the current ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from mmdark.errors import InputError

from .image_sources import ImageSource

THREADS = 4
Read = np.ndarray | InputError


def read_ahead(sources: Iterable[ImageSource], count: int) -> Iterator[tuple[str, Read]]:
    """Yield the name and the pixels (or the error) of each source, in order; ``count`` sources are read ahead."""
    if count == 0:
        yield from ((source.name, _read(source)) for source in sources)
        return
    waiting: deque[tuple[str, Future[Read]]] = deque()
    with ThreadPoolExecutor(min(count, THREADS)) as pool:
        for source in sources:
            waiting.append((source.name, pool.submit(_read, source)))
            if len(waiting) > count:
                name, image = waiting.popleft()
                yield name, image.result()
        for name, image in waiting:
            yield name, image.result()


def _read(source: ImageSource) -> Read:
    try:
        return source.read()
    except InputError as error:
        return error
