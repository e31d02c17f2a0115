"""Read the lines of ``results.jsonl``, one per photograph, and write the lists made from them: JSON, CSV and COCO."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmdet.evaluation import get_classes

import mmdark
from mmdark.drawing import FACE, name_of
from mmdark.whole_file import write_text_whole

from .json_lines import Line, damaged_line, read_lines
from .result import BrokenImage, DetectionResult, key_of

RESULTS = 'results.json'
NOT_IN_COCO = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
"""Numbers from 1 to 90 that are not ids of COCO's 80 categories."""


class Kept(NamedTuple):
    """The content of a line; ``picture`` is the path of the drawn picture relative to the results folder."""

    number: int
    name: str
    item: DetectionResult | BrokenImage
    picture: str | None


Lines = Callable[[], Iterable[Kept]]
"""A function that iterates over the lines of all photographs, from the first, at each call."""


def line_of(name: str, item: DetectionResult | BrokenImage, picture: str | None = None) -> Line:
    """Make the line of a photograph, without its index; boxes and scores are not rounded."""
    line = dict(name=name, source=item.source)
    if isinstance(item, BrokenImage):
        return line | dict(broken=item.reason)
    line |= {'width': item.width, 'height': item.height, key_of(item.class_names): item.to_dicts(exact=True)}
    return line | (dict(picture=picture) if picture else {})


def kept_lines(path: Path, class_names: tuple[str, ...]) -> Iterator[Kept]:
    """Parse each line of a file, one in memory at a time.

    Raises:
        InputError: a line is malformed.
    """
    for number, line in enumerate(read_lines(path), 2):
        try:
            source = str(line['source'])
            if 'broken' in line:
                item: DetectionResult | BrokenImage = BrokenImage(source, str(line['broken']))
            else:
                size, objects = (int(line['width']), int(line['height'])), line[key_of(class_names)]
                item = DetectionResult.from_dicts(objects, *size, source, class_names)
            kept = Kept(int(line['photograph']), str(line['name']), item, line.get('picture'))
        except (KeyError, TypeError, ValueError, AttributeError):
            raise damaged_line(path, number) from None
        yield kept


def write_lists(
    folder: Path,
    formats: Collection[str],
    lines: Lines,
    about: Mapping[str, Any],
    class_names: Sequence[str],
    complete: bool,
) -> list[Path]:
    """Write the lists of all photographs in constant memory; see :meth:`.ResultFiles.close`.

    Only ``json``, ``csv``, ``coco`` and ``yolo`` have lists; other formats are ignored. ``about`` has additional
    entries of ``results.json``.
    """
    names = tuple(class_names)
    head = dict(mmdark=mmdark.__version__, **about, complete=complete) | ({'classes': names} if names != FACE else {})
    makers: dict[str, dict[str, Callable[[], Iterator[str]]]] = {
        'json': {RESULTS: lambda: _json(head, lines)},
        'csv': {'results.csv': lambda: _csv(lines, names)},
        'coco': {
            'coco_images.json': lambda: _coco_images(lines, _all_names(lines, names)),
            'coco_results.json': lambda: _coco_results(lines, _all_names(lines, names)),
        },
        'yolo': {'classes.txt': lambda: (f'{name}\n' for name in names)} if len(names) > 1 else {},
    }
    files = {name: make for kind, made in makers.items() if kind in formats for name, make in made.items()}
    for name, make in files.items():
        write_text_whole(folder / name, make())
    return [folder / name for name in files]


def category_ids(class_names: Sequence[str]) -> list[int]:
    """Category ids for COCO files: the official ids for COCO's 80 classes, else 1, 2 and so on."""
    if list(class_names) == list(get_classes('coco')):
        return [number for number in range(1, 91) if number not in NOT_IN_COCO]
    return list(range(1, len(class_names) + 1))


def csv_row(values: Sequence[object]) -> str:
    """Format values as one line of a CSV file."""
    text = io.StringIO(newline='')
    csv.writer(text, lineterminator='\n').writerow(values)
    return text.getvalue()


def _results(lines: Lines) -> Iterator[tuple[Kept, DetectionResult]]:
    return ((line, line.item) for line in lines() if isinstance(line.item, DetectionResult))


def _json(head: Mapping[str, Any], lines: Lines) -> Iterator[str]:
    """Yield the text that ``json.dumps(..., indent=1)`` would return."""
    yield json.dumps(head, indent=1, ensure_ascii=False).removesuffix('\n}')
    yield from _json_list('images', (_entry(line, result) for line, result in _results(lines)))
    broken = (line.item for line in lines() if isinstance(line.item, BrokenImage))
    yield from _json_list('broken', (dict(source=one.source, reason=one.reason) for one in broken))
    yield '\n}\n'


def _json_list(key: str, entries: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    yield f',\n "{key}": ['
    end = ''
    for number, entry in enumerate(entries):
        text = json.dumps(entry, indent=1, ensure_ascii=False).replace('\n', '\n  ')
        yield f'{"," if number else ""}\n  {text}'
        end = '\n '
    yield f'{end}]'


def _entry(line: Kept, result: DetectionResult) -> dict[str, Any]:
    entry = dict(source=result.source, name=line.name, width=result.width, height=result.height)
    entry[key_of(result.class_names)] = result.to_dicts()
    return entry | (dict(picture=line.picture) if line.picture else {})


def _csv(lines: Lines, class_names: Sequence[str]) -> Iterator[str]:
    several = [] if len(class_names) == 1 else ['label', 'class_name']
    yield csv_row(['source', 'x1', 'y1', 'x2', 'y2', 'score', *several])
    for _, result in _results(lines):
        for one in result.to_dicts():
            yield csv_row([result.source, *one['bbox'], one['score'], *(one[key] for key in several)])


def _all_names(lines: Lines, class_names: Sequence[str]) -> list[str]:
    """The names of all classes up to the highest label in the results; a class without a name gets its number."""
    most = max((int(result.labels.max(initial=0)) for _, result in _results(lines)), default=0)
    return [name_of(label, class_names) for label in range(max(len(class_names), most + 1))]


def _coco_images(lines: Lines, names: Sequence[str]) -> Iterator[str]:
    yield '{"info": {}, "images": '
    yield from _joined(
        dict(id=number, file_name=one.source, width=one.width, height=one.height)
        for number, (_, one) in enumerate(_results(lines), 1)
    )
    categories = [dict(id=number, name=name) for number, name in zip(category_ids(names), names, strict=True)]
    yield f', "annotations": [], "categories": {json.dumps(categories, ensure_ascii=False)}}}\n'


def _coco_results(lines: Lines, names: Sequence[str]) -> Iterator[str]:
    ids = category_ids(names)
    yield from _joined(
        entry for number, (_, one) in enumerate(_results(lines), 1) for entry in one.to_coco(number, ids)
    )
    yield '\n'


def _joined(entries: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the text that ``json.dumps`` would return for a list of the entries."""
    yield '['
    for number, entry in enumerate(entries):
        yield f'{", " if number else ""}{json.dumps(entry, ensure_ascii=False)}'
    yield ']'
