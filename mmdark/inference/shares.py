"""Shares of many photographs for several machines: 3/16 is the third of sixteen."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmdark.errors import InputError

from .json_lines import Line

RESULT_LINES = 'results.jsonl'
OF_SHARES = 'results.*-of-*.jsonl'


@dataclass(frozen=True)
class Share:
    """Every ``parts``-th batch of the photographs, so that the batches are those of a run over all of them.

    Args:
        part: number of the share, from 1 on.
        parts: number of shares.
        batch_size: photographs in a batch.

    Example:
        >>> share = Share(2, 3, batch_size=2)
        >>> [number for number in range(12) if share.holds(number)], share.number_of(2)
        ([2, 3, 8, 9], 8)
    """

    part: int = 1
    parts: int = 1
    batch_size: int = 1

    def holds(self, number: int) -> bool:
        """Whether the photograph of this number, from 0 on, belongs to it."""
        return number // self.batch_size % self.parts == self.part - 1

    def number_of(self, index: int) -> int:
        """From an index in the share to the number among all photographs."""
        batch, place = divmod(index, self.batch_size)
        return (batch * self.parts + self.part - 1) * self.batch_size + place

    def lines_path(self, folder: Path) -> Path:
        """The file with its lines."""
        return folder / (RESULT_LINES if self.parts == 1 else f'results.{self.part}-of-{self.parts}.jsonl')

    def settings(self, photographs: Sequence[str]) -> Line:
        """Must be equal where a share is resumed or joined; empty for the whole. Takes the names of all photographs."""
        if self.parts == 1:
            return {}
        listing = b''.join(name.encode(errors='surrogateescape') + b'\0' for name in photographs)
        return dict(
            shard=f'{self.part}/{self.parts}',
            batch_size=self.batch_size,
            photographs=len(photographs),
            listing=hashlib.sha256(listing).hexdigest()[:16],
        )


WHOLE = Share()


def share_of(text: str) -> tuple[int, int]:
    """Part and parts of ``'3/16'``.

    Raises:
        InputError: it is no share.
    """
    found = re.fullmatch(r'(\d{1,6})/(\d{1,6})', text, re.ASCII)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise InputError(f'shard {text}: give which share of how many, from 1/16 to 16/16')
    return int(found[1]), int(found[2])
