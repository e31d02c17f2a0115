"""Numbers that a GPU computes, read many at a time: each reading makes the CPU wait for the GPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from mmengine.runner import Runner
from torch import Tensor

Use = Callable[[dict[str, float]], None]


class ScalarQueue:
    """Scalars of a device that are needed later, and what is to be done with them then.

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
        """How often something was added since the last reading."""
        return len(self._waiting)

    def add(self, scalars: Mapping[str, Tensor], use: Use) -> None:
        """Keep some numbers until the next reading.

        Args:
            scalars: name → tensor of one element; all on one device.
            use: called with the numbers at the next reading, in the order of the calls of this method.
        """
        numbers = torch.stack([value.detach().double().reshape(()) for value in scalars.values()])
        self._waiting.append((numbers, [*scalars], use))

    def read(self) -> None:
        """Read all numbers at once, and hand them on."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        numbers = iter(torch.cat([values for values, _, _ in waiting]).tolist())
        for _, names, use in waiting:
            use(dict(zip(names, numbers, strict=False)))


def queue_of(runner: Runner) -> ScalarQueue | None:
    """The queue of a training that reads its losses later; None where each iteration reads its own."""
    return next((hook.queue for hook in getattr(runner, 'hooks', ()) if getattr(hook, 'queue', None) is not None), None)
