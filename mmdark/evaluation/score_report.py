"""The report of an evaluation tool: table, warnings and problems of the files, as text and JSON."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from mmdark.errors import one_line
from mmdark.whole_file import write_whole

from .average_precision import Score, difference_warning


def score_table(scores: Mapping[str, Score]) -> str:
    """One row per subset: its faces, official AP and exact AP with six digits."""
    width = max(len('subset'), *map(len, scores))
    head = f'{"subset":<{width}}  {"faces":>6}  {"official AP":>11}  {"exact AP":>8}'
    rows = [
        f'{name:<{width}}  {score.num_faces:>6}  {score.official.average_precision:>11.6f}  '
        f'{score.exact.average_precision:>8.6f}'
        for name, score in scores.items()
    ]
    return '\n'.join([head, *rows])


def score_record(scores: Mapping[str, Score], problems: list[str], **about: object) -> dict:
    """The complete report for JSON; an undefined AP becomes null.

    Args:
        scores: subset → score.
        problems: all problems of the files.
        about: first entries of the record: the protocol, paths, numbers of images.
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
        'warnings': difference_warning(scores),
        'problems': problems,
    }


def report_scores(record: dict, scores: Mapping[str, Score], json_path: str | os.PathLike | None = None) -> None:
    """Print warnings and problems to stderr and the table to stdout, and write the record if a path is given.

    Raises:
        InputError: the record cannot be written; the table has already been printed.
    """
    for kind in ('warning', 'problem'):
        for line in record[f'{kind}s']:
            print(f'{kind}: {one_line(line)}', file=sys.stderr)
    print(score_table(scores), flush=True)
    if json_path:
        write_whole(Path(json_path), (json.dumps(record, indent=2) + '\n').encode(), '--json')


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
