"""A share of many photographs, so that several machines look at all of them: 3/16 is the third of sixteen."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmdark.errors import InputError

from .json_lines import Line

RESULT_LINES = 'results.jsonl'
"""A line a photograph, written as it is looked at."""
OF_SHARES = 'results.*-of-*.jsonl'
"""The same of shares."""


@dataclass(frozen=True)
class Share:
    """Every so many batches of the photographs, so that a share holds whole batches of a run over all of them.

    Args:
        part: which share it is, from 1 on.
        parts: how many there are.
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
        """The number, among all, of the photograph that has this index in the share."""
        batch, place = divmod(index, self.batch_size)
        return (batch * self.parts + self.part - 1) * self.batch_size + place

    def lines_path(self, folder: Path) -> Path:
        """Where the lines of its photographs go."""
        return folder / (RESULT_LINES if self.parts == 1 else f'results.{self.part}-of-{self.parts}.jsonl')

    def settings(self, photographs: Sequence[str]) -> Line:
        """What a share can only be joined or continued with; nothing where it is the whole.

        Args:
            photographs: the names of all.
        """
        if self.parts == 1:
            return {}
        digest = hashlib.sha256()
        for name in photographs:
            digest.update(name.encode(errors='surrogateescape') + b'\0')
        return dict(
            shard=str(self), batch_size=self.batch_size, photographs=len(photographs), listing=digest.hexdigest()[:16]
        )

    def __str__(self) -> str:
        """As it is given."""
        return f'{self.part}/{self.parts}'


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
