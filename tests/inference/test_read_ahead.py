"""Reading ahead changes neither the order nor what is wrong with an image, and holds no more than it may."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest

from mmdark.errors import InputError
from mmdark.inference.image_sources import ImageSource, image_sources
from mmdark.inference.read_ahead import read_ahead


@pytest.mark.parametrize('count', [0, 1, 3, 50])
def test_the_order_and_what_is_wrong_stay(count: int) -> None:
    arrays = [np.full((2, 2, 3), value, np.uint8) for value in range(8)]
    sources = [*image_sources(arrays[:5]), ImageSource('none.jpg'), *image_sources(arrays[5:])]
    seen = list(read_ahead(sources, count))
    assert [name for name, _ in seen] == [source.name for source in sources]
    assert isinstance(seen[5][1], InputError)
    assert [int(image[0, 0, 0]) for _, image in seen if not isinstance(image, InputError)] == list(range(8))


@pytest.mark.parametrize('count', [0, 2])
def test_only_so_many_are_asked_for(count: int) -> None:
    asked: list[int] = []

    def sources() -> Iterator[ImageSource]:
        for number in range(10):
            asked.append(number)
            yield ImageSource(str(number), np.zeros((1, 1, 3), np.uint8))

    stream = read_ahead(sources(), count)
    for number in range(4):
        next(stream)
        assert len(asked) == number + 1 + count
    stream.close()
    assert len(asked) == 4 + count


def test_the_next_one_is_read_while_this_one_is_looked_at() -> None:
    begun = threading.Event()
    first = SimpleNamespace(name='a', read=lambda: np.zeros(1))
    second = SimpleNamespace(name='b', read=lambda: begun.set() or np.ones(1))
    stream = read_ahead([first, second], 1)
    assert next(stream)[0] == 'a'
    assert begun.wait(10)  # nobody has asked for the second yet
    assert next(stream)[0] == 'b'
