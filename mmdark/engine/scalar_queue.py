"""Read many numbers from a GPU at once, because each read makes the CPU wait for the GPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from mmengine.runner import Runner
from torch import Tensor

Use = Callable[[dict[str, float]], None]


class ScalarQueue:
    """Queue of scalar tensors, each entry with a function that is called with its values later.

    Example:
        >>> queue = ScalarQueue()
        >>> queue.add({'loss': torch.tensor(0.5)}, print)
        >>> queue.add({'loss': torch.tensor(0.25)}, print)
        >>> queue.read()
        {'loss': 0.5}
        {'loss': 0.25}
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[Tensor, list[str], Use]] = []

    def __len__(self) -> int:
        """Number of entries added since the last :meth:`read`."""
        return len(self._waiting)

    def add(self, scalars: Mapping[str, Tensor], use: Use) -> None:
        """Add one-element tensors, all on the same device; the next :meth:`read` passes their values to ``use``."""
        numbers = torch.stack([value.detach().double().reshape(()) for value in scalars.values()])
        self._waiting.append((numbers, [*scalars], use))

    def read(self) -> None:
        """Read all numbers in one transfer and call the functions in the order of :meth:`add`."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        numbers = iter(torch.cat([values for values, _, _ in waiting]).tolist())
        for _, names, use in waiting:
            use(dict(zip(names, numbers, strict=False)))


def queue_of(runner: Runner) -> ScalarQueue | None:
    """The queue of ``WorldRuntimeInfo``; None if losses are read in each iteration."""
    return next((hook.queue for hook in getattr(runner, 'hooks', ()) if getattr(hook, 'queue', None) is not None), None)
