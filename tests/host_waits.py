"""How often Python asks a tensor for its value, which makes the host wait where the tensor is on a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

ASKING = ('aten._local_scalar_dense', 'aten.nonzero', 'aten.is_nonzero', 'aten.equal', 'aten.masked_select')
"""Operators behind ``item()``, ``bool()``, ``float()``, and those whose result has a length that must be known."""


class _Count(TorchDispatchMode):
    def __init__(self, asked: list[str]) -> None:
        super().__init__()
        self.asked = asked

    def __torch_dispatch__(self, op: object, types: object, args: tuple = (), kwargs: dict | None = None) -> object:
        masked = str(op).startswith('aten.index') and any(
            index is not None and index.dtype == torch.bool for index in (args[1] if isinstance(args[1], list) else [])
        )
        if masked or str(op).startswith(ASKING):
            self.asked.append(str(op))
        return op(*args, **kwargs or {})


@contextmanager
def host_waits() -> Iterator[list[str]]:
    """Within it, each question is written down; ``tolist()`` and ``numpy()`` of a CPU tensor pass no operator."""
    asked: list[str] = []

    def noted(name: str) -> Any:
        method = getattr(Tensor, name)
        return lambda tensor, *args, **kwargs: asked.append(name) or method(tensor, *args, **kwargs)

    with (
        patch.object(Tensor, 'tolist', noted('tolist')),
        patch.object(Tensor, 'numpy', noted('numpy')),
        _Count(asked),
    ):
        yield asked
