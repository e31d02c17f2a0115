"""What a scoring tool says: the table, the warnings, the problems of the files, and the same as JSON."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from mmdark.errors import one_line
from mmdark.whole_file import write_whole

from .average_precision import MAX_DIFFERENCE, Score

PROBLEMS_SHOWN = 20


def score_table(scores: Mapping[str, Score]) -> str:
    """A row a subset: its faces, official AP and exact AP with six digits."""
    width = max(len('subset'), *map(len, scores))
    head = f'{"subset":<{width}}  {"faces":>6}  {"official AP":>11}  {"exact AP":>8}'
    rows = [
        f'{name:<{width}}  {score.num_faces:>6}  {score.official.average_precision:>11.6f}  '
        f'{score.exact.average_precision:>8.6f}'
        for name, score in scores.items()
    ]
    return '\n'.join([head, *rows])


def difference_warnings(scores: Mapping[str, Score]) -> list[str]:
    """One line, if official and exact AP of some subset are more than 0.01 apart, with the cause."""
    far = [
        f'{name} {score.official.average_precision:.6f} and {score.exact.average_precision:.6f}'
        for name, score in scores.items()
        if score.is_apart
    ]
    if not far:
        return []
    return [
        f'official and exact AP differ by more than {MAX_DIFFERENCE}: {"; ".join(far)}; the official tool looks at '
        '1000 thresholds between the least and the greatest score alone, so scores that lie close together fall into '
        'few of them: compare detectors by the exact AP, or spread the scores'
    ]


def score_record(scores: Mapping[str, Score], problems: list[str], **about: object) -> dict:
    """All of it for JSON; an AP that is not defined becomes null.

    Args:
        scores: subset → score.
        problems: of the files, all of them.
        about: what else goes in front: the protocol, paths, numbers of images.
    """
    return {
        **about,
        'scores': {
            name: {
                'faces': score.num_faces,
                'official_AP': _finite(score.official.average_precision),
                'exact_AP': _finite(score.exact.average_precision),
            }
            for name, score in scores.items()
        },
        'warnings': difference_warnings(scores),
        'problems': problems,
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def report_scores(record: dict, scores: Mapping[str, Score], json_path: str | os.PathLike | None = None) -> None:
    """Print the table, and on stderr the warnings and the first problems; write the record.

    Args:
        record: of :func:`score_record`.
        scores: subset → score.
        json_path: where the record goes; its folder is made.

    Raises:
        InputError: the record cannot be written; the table is printed before.
    """
    problems = record['problems']
    hidden = len(problems) - PROBLEMS_SHOWN
    hint = f'all are in {json_path}' if json_path else 'add --json FILE to see all'
    for line in record['warnings']:
        print(f'warning: {line}', file=sys.stderr)
    for line in problems[:PROBLEMS_SHOWN]:
        print(f'problem: {one_line(line)}', file=sys.stderr)
    if hidden > 0:
        print(f'problem: and {hidden} more; {hint}', file=sys.stderr)
    print(score_table(scores), flush=True)
    if json_path:
        write_whole(Path(json_path), (json.dumps(record, indent=2) + '\n').encode(), '--json')
