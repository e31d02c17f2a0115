"""Divide many photographs into shares for several machines: 3/16 is the third of sixteen shares."""

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
    """Every ``parts``-th batch of the photographs; a run over all photographs has the same batches.

    Args:
        part: number of this share, from 1.
        parts: total number of shares.
        batch_size: number of photographs per batch.

    Example:
        >>> share = Share(2, 3, batch_size=2)
        >>> [number for number in range(12) if share.holds(number)], share.number_of(2)
        ([2, 3, 8, 9], 8)
    """

    part: int = 1
    parts: int = 1
    batch_size: int = 1

    def holds(self, number: int) -> bool:
        """Whether the photograph with this index, from 0, belongs to the share."""
        return number // self.batch_size % self.parts == self.part - 1

    def number_of(self, index: int) -> int:
        """Convert an index within the share to the index among all photographs."""
        batch, place = divmod(index, self.batch_size)
        return (batch * self.parts + self.part - 1) * self.batch_size + place

    def lines_path(self, folder: Path) -> Path:
        """Path of the file with the share's lines."""
        return folder / (RESULT_LINES if self.parts == 1 else f'results.{self.part}-of-{self.parts}.jsonl')

    def settings(self, photographs: Sequence[str]) -> Line:
        """Settings that must be equal to resume or join shares; empty if there is only one share.

        ``photographs`` are the names of all photographs, not only of this share.
        """
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
    """Parse ``'3/16'`` into part and parts.

    Raises:
        InputError: the text is not a valid share.
    """
    found = re.fullmatch(r'(\d{1,6})/(\d{1,6})', text, re.ASCII)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise InputError(f'shard {text}: give which share of how many, from 1/16 to 16/16')
    return int(found[1]), int(found[2])
