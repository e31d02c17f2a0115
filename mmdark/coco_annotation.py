"""Read COCO files from various tools: fill in missing values and report errors.

Missing values may be the area and ``iscrowd`` of a box, the size of an image (read from its header), and, for a
detector with one class, the categories. A box is ``x y width height`` in pixels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mmdark.errors import InputError, shown
from mmdark.file_limits import parse_json
from mmdark.places import is_place

_BEYOND = 1.05  # a box that ends beyond 1.05 times the image size is not explained by rounding
_NO_IDS = 'number images, annotations and categories from 1'

Size = tuple[int, int]
Entry = dict[str, Any]


def parse_coco(
    text: str, source: str, classes: Sequence[str], size_of: Callable[[str], Size]
) -> tuple[dict[str, Any], list[str]]:
    """Read a COCO file.

    Args:
        text: content of the file.
        source: path of the file, for messages.
        classes: names of the detector's classes; if there is only one, the file may have no categories.
        size_of: function from ``file_name`` to width and height, called if the file does not give them.

    Returns:
        The completed document, in which the categories of ``classes`` come first, in that order; and one warning line
        for each kind of suspicious box or annotation.

    Raises:
        InputError: the file is not a COCO file, has none of the classes, or has a malformed image or annotation. For
            annotations, the message names the first one and their number.
    """
    document = _document(text, source)
    images = _images(document['images'], source, size_of)
    categories, id_of = _categories(document, source, classes)
    reader = _Annotations(images, id_of)
    for place, entry in enumerate(document['annotations'], 1):
        reader.add(place, entry)
    if reader.faults:
        more = f' ({len(reader.faults)} such annotations in all)' if len(reader.faults) > 1 else ''
        raise InputError(f'{source}: annotation {reader.faults[0]}; mend it or take it out{more}')
    entries = {'images': list(images.values()), 'annotations': reader.annotations, 'categories': categories}
    return {**document, **entries}, [f'{source}: {line}' for line in reader.oddities()]


def _document(text: str, source: str) -> dict[str, Any]:
    """Parse the file and check that images and annotations are lists."""
    if not text.strip():
        raise InputError(f'{source} is empty: copy it again')
    try:
        document = parse_json(text)
    except ValueError as error:
        raise InputError(f'{source} is not whole JSON ({error}): copy it again, or write it anew') from None
    if not isinstance(document, dict):
        kind = 'a list, as of results' if isinstance(document, list) else shown(document)
        raise InputError(f'{source} holds {kind}: a COCO file holds an object of images, annotations and categories')
    document.setdefault('annotations', [])
    for key in ('images', 'annotations'):
        if not isinstance(document.get(key), list):
            raise InputError(f'{source}: {key} should be a list, not {shown(document.get(key))}: write the file anew')
    if not document['images']:
        raise InputError(f'{source} lists no image: name another file')
    return document


def _images(entries: list, source: str, size_of: Callable[[str], Size]) -> dict[int | str, Entry]:
    """Images by id, each with width and height."""
    images: dict[int | str, Entry] = {}
    for place, entry in enumerate(entries, 1):
        if not isinstance(entry, dict) or not isinstance(entry.get('file_name'), str) or not entry['file_name']:
            raise InputError(f'{source}: image {place} of the list has no file_name: write it in, or take it out')
        name, key = entry['file_name'], entry.get('id')
        if not isinstance(key, (int, str)):
            raise InputError(f'{source}: image {shown(name)} has the id {shown(key)}: {_NO_IDS}')
        if key in images:
            other = shown(images[key]['file_name'])
            raise InputError(f'{source}: images {other} and {shown(name)} have the same id {shown(key)}: {_NO_IDS}')
        sides = [entry.get('width') or 0, entry.get('height') or 0]
        if not all(is_place(side) and side >= 0 for side in sides):
            raise InputError(
                f'{source}: image {shown(name)} is {shown(sides[0])} by {shown(sides[1])} pixels: write its size, or '
                'leave width and height out'
            )
        width, height = sides if all(sides) else size_of(name)
        images[key] = {**entry, 'width': width, 'height': height}
    if len({type(key) for key in images}) > 1:
        raise InputError(f'{source}: some ids of images are numbers, others text: {_NO_IDS}')
    return images


def _categories(
    document: Mapping[str, Any], source: str, classes: Sequence[str]
) -> tuple[list[Entry], dict[int, int] | None]:
    """Categories, with ``classes`` first, and a map from ids in the file to their ids (None without categories).

    mmdet numbers labels in the order of the file's categories, so this becomes the order of the classes.
    """
    entries = document.get('categories') or []
    if not isinstance(entries, list):
        raise InputError(f'{source}: categories should be a list, not {shown(entries)}: write the file anew')
    by_name: dict[str, Entry] = {}
    id_of: dict[int, int] = {}
    for place, entry in enumerate(entries, 1):
        key, name = (entry.get('id'), entry.get('name')) if isinstance(entry, dict) else (None, None)
        if not isinstance(key, int) or not isinstance(name, str):
            raise InputError(f'{source}: category {place} of the list needs an id, a number, and a name: write them in')
        if key in id_of:
            raise InputError(f'{source}: two categories have the id {shown(key)}: {_NO_IDS}')
        id_of[key] = by_name.setdefault(name, entry)['id']
    if entries and not by_name.keys() & set(classes):
        names = shown(', '.join(by_name))
        raise InputError(
            f'{source} has the categories {names}, none is {shown(", ".join(classes))}: write metainfo=dict(classes='
            '...) into the config, letter by letter'
        )
    if not entries and len(classes) > 1:
        raise InputError(f'{source} has no categories for the {len(classes)} classes: write them in')
    for number, name in enumerate((name for name in classes if name not in by_name), max([0, *id_of]) + 1):
        by_name[name] = {'id': number, 'name': name}
    return [by_name.pop(name) for name in classes] + list(by_name.values()), id_of if entries else None


class _Annotations:
    """Collects valid annotations and the faults of the others.

    Args:
        images: images by id.
        id_of: category id in the file → category id in the completed document; None if the file has no categories.
    """

    def __init__(self, images: Mapping[int | str, Entry], id_of: Mapping[int, int] | None) -> None:
        self.images, self.id_of = images, id_of
        self.annotations: list[Entry] = []
        self.faults: list[str] = []
        self.ids: set[int | str] = set()
        self.category_ids: set[str] = set()
        self.orphans: list[str] = []
        self.unused: list[str] = []
        self.counts: Counter[str] = Counter()

    def add(self, place: int, entry: Any) -> None:
        """Check one annotation; ``place`` is its position in the list, counted from 1."""
        name = shown(entry['id']) if isinstance(entry, dict) and 'id' in entry else f'number {place}'
        try:
            category_id = self._check(entry)
        except ValueError as error:
            self.faults.append(f'{name} {error}')
            return
        image = self.images.get(entry['image_id'])
        if image is None:
            self.orphans.append(name)
            return
        box, area = entry['bbox'], entry.get('area')
        if not self._is_used(box, image):
            self.unused.append(name)
        area = area if is_place(area) and area > 0 else box[2] * box[3]
        crowd = entry.get('iscrowd') or 0
        self.annotations.append({**entry, 'area': area, 'iscrowd': crowd, 'category_id': category_id})

    def _check(self, entry: Any) -> int:
        """Return the category id in the completed document; a ``ValueError`` describes a fault of the annotation."""
        if not isinstance(entry, dict):
            raise ValueError(f'of the list is {shown(entry)}, not an object with id, image_id, category_id and bbox')
        if not isinstance(entry.get('id'), (int, str)):
            raise ValueError(f'has {"no id" if "id" not in entry else "no number as id"}')
        if entry['id'] in self.ids:
            raise ValueError('has the id of another one')
        self.ids.add(entry['id'])
        box = entry.get('bbox')
        if not isinstance(box, list) or len(box) != 4 or not all(map(is_place, box)):
            raise ValueError(f'has the bbox {shown(box)}, not four numbers x y width height')
        if entry.get('iscrowd') not in (None, 0, 1):
            raise ValueError(f'has iscrowd {shown(entry["iscrowd"])}, not 0 or 1')
        if not isinstance(entry.get('image_id'), (int, str)):
            raise ValueError(f'has the image_id {shown(entry.get("image_id"))}')
        category_id = entry.get('category_id')
        if self.id_of is None:
            self.category_ids.add(shown(category_id))
            if len(self.category_ids) > 1:
                raise ValueError(f'has category_id {shown(category_id)}, others differ, and the file has no categories')
            return 1
        if not isinstance(category_id, int) or category_id not in self.id_of:
            raise ValueError(f'has category_id {shown(category_id)}, but the categories are {shown(list(self.id_of))}')
        return self.id_of[category_id]

    def _is_used(self, box: Sequence[float], image: Entry) -> bool:
        """Whether mmdet uses a box (at least 1 pixel wide and high, overlaps its image); count suspicious ones."""
        (x, y, w, h), (width, height) = box, (image['width'], image['height'])
        self.counts['boxes'] += 1
        self.counts['corners'] += x < w <= width * _BEYOND and y < h <= height * _BEYOND
        self.counts['beyond'] += x + w > width * _BEYOND or y + h > height * _BEYOND
        return w >= 1 and h >= 1 and x < width and y < height and x + w > 0 and y + h > 0

    def oddities(self) -> list[str]:
        """One warning line for each kind of suspicious box or annotation."""
        lines = []
        if self.orphans:
            lines.append(
                f'annotation {self.orphans[0]}: {len(self.orphans)} of no image of the file left out, the first here'
            )
        if self.unused:
            what = 'box(es) below 1 pixel or outside their image left out, the first here'
            lines.append(f'annotation {self.unused[0]}: {len(self.unused)} {what}')
        boxes, beyond = self.counts['boxes'], self.counts['beyond']
        if beyond and self.counts['corners'] >= 0.9 * boxes:
            lines.append(
                f'{beyond} of {boxes} boxes reach beyond their images as x y width height, but as x1 y1 x2 y2 all fit: '
                'if they are corners, write width = x2 - x1 and height = y2 - y1'
            )
        return lines
