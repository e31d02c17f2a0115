"""The hardest negatives of each image: the sum of their losses."""

from __future__ import annotations

import torch
from torch import Tensor


def hardest(losses: Tensor, counts: Tensor) -> Tensor:
    """Sum of the largest ``counts[b]`` of each row of ``losses``, ``(B, P)``, of equal ones whatever the other rows."""
    if losses.device.type != 'cpu':
        return hardest_by_rank(losses, counts)
    # topk is several times as fast, but must know how many: only a CPU need not wait
    rows = zip(losses, counts.tolist(), strict=True)
    return torch.stack([row.topk(min(count, len(row))).values.sum() for row, count in rows])


def hardest_by_rank(losses: Tensor, counts: Tensor) -> Tensor:
    """The same without waiting for a device."""
    ranked = losses.sort(dim=1, descending=True, stable=True).values
    ranks = torch.arange(ranked.shape[1], device=ranked.device)
    return ranked.where(ranks < counts[:, None], 0).sum(dim=1)
