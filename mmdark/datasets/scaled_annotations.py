"""Annotations of resized images: boxes of WIDER FACE, DSFD's lists, DARK FACE, ExDark, COCO and VOC scaled along."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import PurePosixPath
from typing import Any

from mmdark.datasets.exdark_annotation import HEADER as EXDARK_HEADER
from mmdark.datasets.exdark_annotation import parse_exdark_label
from mmdark.datasets.face_formats import IMAGE_SUFFIXES, is_image
from mmdark.datasets.resized_images import Resized, ResizedImages, Tally
from mmdark.datasets.voc_annotation import CORNERS, voc_corners, voc_root, voc_size
from mmdark.datasets.wider_annotation import WiderImage, is_count, parse_wider_annotation
from mmdark.errors import InputError, shown
from mmdark.places import is_place


def scaled_annotation(path: str, content: bytes, images: ResizedImages, tally: Tally) -> bytes:
    """The content of a file that is no image, its boxes scaled if it is an annotation of a known format.

    Known are WIDER FACE's official files and DSFD's one-line lists (numbers with up to two decimals), the label files
    of DARK FACE and ExDark, COCO (boxes, areas, polygons, keypoints) and VOC (whole pixels). YOLO labels are fractions
    and need no scaling: they stay as they are, like all else.

    Args:
        path: of the file, relative to the data set.
        content: its bytes.
        images: what was resized.
        tally: is added to.

    Raises:
        InputError: the annotation is malformed, or its text cannot be read.
    """
    suffix = PurePosixPath(path).suffix.lower()
    if suffix not in ('.txt', '.json', '.xml'):
        return content
    if suffix == '.xml':
        return _scaled_voc(path, content, images, tally)
    try:
        text = content.decode('utf-8-sig')
    except UnicodeDecodeError:
        raise InputError(
            f'{path} is not UTF-8, so its boxes, if it has any, cannot be scaled: write it as UTF-8, or take it away'
        ) from None
    if suffix == '.txt':
        return _scaled_text(path, text, images, tally).encode() if text.strip() else content
    scaled = _scaled_coco(path, text, images, tally)
    return content if scaled is None else scaled


def _scaled_text(path: str, text: str, images: ResizedImages, tally: Tally) -> str:
    """WIDER FACE, DSFD's list, DARK FACE or ExDark by the look of the first lines; other text as it is."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if lines[0].startswith(EXDARK_HEADER):
        return _scaled_exdark(path, text, images, tally)
    official = is_image(lines[0]) and len(lines) > 1 and is_count(lines[1])
    if official or _starts_as_list(lines):
        return _scaled_wider(path, text, images, tally, official)
    if len(lines) > 1 and lines[0].isdecimal() and len(lines[1].split()) >= 4:
        for folder in ('image', 'images'):
            beside = PurePosixPath(path).parent.parent / folder / PurePosixPath(path).stem
            for suffix in IMAGE_SUFFIXES:
                if resized := images.images.get(f'{beside}{suffix}'):
                    return _scaled_dark_face(path, lines, resized, tally)
    return text


def _starts_as_list(lines: list[str]) -> bool:
    """Whether the first line that has a count above 0 is ``name n`` and then five numbers a face."""
    for words in map(str.split, lines):
        end = next((i for i in range(1, len(words)) if is_count(words[i]) and is_image(words[i - 1])), None)
        if end is None:
            return False
        if count := int(words[end]):
            return len(words) - end - 1 == 5 * count
    return False


def _scaled_wider(path: str, text: str, images: ResizedImages, tally: Tally, official: bool) -> str:
    """Both formats of WIDER FACE; columns after the box stay."""
    rows, written = text.splitlines(), []
    records = parse_wider_annotation(text, path)
    for record in records:
        resized = images.find(record.name, path)
        if resized is None:
            tally.absent_images += 1
            continue
        boxes = [[_number(v) for v in tally.scaled(list(face[:4]), resized.factors)] for face in record.faces]
        if official:
            written += [record.name, str(len(boxes))]
            written += [_with_rest(box, rows[face.line - 1]) for box, face in zip(boxes, record.faces, strict=True)]
            written += [] if boxes else ['0 0 0 0 0 0 0 0 0 0 ']
        else:
            written.append(_list_line(record, boxes, rows[record.line - 1]))
    return ''.join(f'{line}\n' for line in written)


def _with_rest(box: list[str], row: str) -> str:
    """The row with its first four columns replaced."""
    return ' '.join([*box, *row.split()[4:]])


def _list_line(record: WiderImage, boxes: list[list[str]], line: str) -> str:
    """A line of DSFD's list; the fifth column of each face stays."""
    labels = line.split()[-5 * len(boxes) :][4::5] if boxes else []
    faces = (' '.join([*box, label]) for box, label in zip(boxes, labels, strict=True))
    return ' '.join([record.name, str(len(boxes)), *faces])


def _scaled_dark_face(path: str, lines: list[str], resized: Resized, tally: Tally) -> str:
    """A label file of DARK FACE: a line with the count, then rows ``x1 y1 x2 y2``, columns after them kept."""
    count, *rows = lines
    written = [count]
    for row in rows:
        try:
            corners = [float(word) for word in row.split()[:4]]
            box = tally.scaled(corners, resized.factors, corners=True)
        except ValueError:
            raise InputError(f'{path}: a row should be "x1 y1 x2 y2", not {shown(row)}: mend it') from None
        written.append(_with_rest([_number(value) for value in box], row))
    return ''.join(f'{line}\n' for line in written)


def _scaled_exdark(path: str, text: str, images: ResizedImages, tally: Tally) -> str:
    """A label file of ExDark, ``a.jpg.txt`` or ``a.txt``: ``class left top width height``, columns after them kept."""
    name = str(PurePosixPath(path).with_suffix(''))
    names = [name] if is_image(name) else [f'{name}{suffix}' for suffix in IMAGE_SUFFIXES]
    resized = next(filter(None, (images.find(each, path) for each in names)), None)
    if resized is None:
        tally.absent_images += 1
        return text
    rows = text.splitlines()
    for box in parse_exdark_label(text, path):
        scaled = [_number(value) for value in tally.scaled(list(box[1:5]), resized.factors)]
        rows[box.line - 1] = ' '.join([box.class_name, *scaled, *rows[box.line - 1].split()[5:]])
    return ''.join(f'{row}\n' for row in rows)


def _scaled_coco(path: str, text: str, images: ResizedImages, tally: Tally) -> bytes | None:
    """A COCO file; None for other JSON."""
    try:
        document = json.loads(text)
    except RecursionError:
        raise InputError(f'{path} is nested too deep to be read: take it away') from None
    except ValueError:
        return None
    if isinstance(document, list) and any('bbox' in entry for entry in document if isinstance(entry, dict)):
        raise InputError(f'{path} holds boxes without images, such as results, which are not scaled: take it away')
    if not isinstance(document, dict) or not isinstance(document.get('images'), list):
        return None
    try:
        entries = {image['id']: image for image in document['images']}
        names = {key: image['file_name'] for key, image in entries.items()}
    except (KeyError, TypeError):
        if 'annotations' not in document:
            return None
        raise InputError(
            f'{path}: an image has no id or no file_name, so its boxes cannot be scaled: mend it, or take it away'
        ) from None
    found: dict[Any, Resized] = {}
    for key, image in entries.items():
        resized = images.find(str(names[key]), path, (image.get('width'), image.get('height')))
        if resized is None:
            tally.absent_images += 1
            continue
        found[key] = resized
        image['width'], image['height'] = resized.new
    document['images'] = [entries[key] for key in found]
    if 'annotations' in document:
        document['annotations'] = _scaled_entries(path, document['annotations'], found, tally)
    return json.dumps(document).encode()


def _scaled_entries(path: str, entries: object, found: dict[Any, Resized], tally: Tally) -> list[dict[str, Any]]:
    """The annotations of a COCO file that belong to an image, scaled in place."""
    if not isinstance(entries, list):
        raise InputError(f'{path}: annotations should be a list, not {shown(entries)}: mend it, or take it away')
    scaled = []
    for place, entry in enumerate(entries, 1):
        try:
            if entry.get('image_id') in found:
                _scale_entry(entry, found[entry['image_id']].factors, tally)
                scaled.append(entry)
        except (AttributeError, TypeError, ValueError, OverflowError):
            raise InputError(
                f'{path}: annotation {place} of the list has numbers that cannot be scaled, {shown(entry)}: mend it'
            ) from None
    return scaled


def _scale_entry(entry: dict[str, Any], factors: tuple[float, float], tally: Tally) -> None:
    """Scale one annotation of a COCO file in place."""
    if 'bbox' in entry:
        if not all(map(is_place, entry['bbox'])):
            raise ValueError(entry['bbox'])
        entry['bbox'] = [round(value, 3) for value in tally.scaled(entry['bbox'], factors)]
    if is_place(entry.get('area')):
        entry['area'] *= factors[0] * factors[1]
    masks = entry.get('segmentation')
    if isinstance(masks, dict):
        tally.masks += 1
        entry['segmentation'] = []
    elif masks:
        entry['segmentation'] = [
            [round(value * factors[place % 2], 3) for place, value in enumerate(polygon)] for polygon in masks
        ]
    points = entry.get('keypoints')
    if points:
        entry['keypoints'] = [
            value if place % 3 == 2 else value * factors[place % 3] for place, value in enumerate(points)
        ]


def _scaled_voc(path: str, content: bytes, images: ResizedImages, tally: Tally) -> bytes:
    """A VOC file, in whole pixels counted from 1, because mmdet truncates them; other XML as it is."""
    root = voc_root(content, path)
    if root.tag != 'annotation':
        return content
    size, folder = voc_size(root), PurePosixPath(path).parent.parent / 'JPEGImages'
    names = [(root.findtext('filename') or '').strip(), *(PurePosixPath(path).stem + end for end in IMAGE_SUFFIXES)]
    resized = next(filter(None, (images.find(f'{folder}/{name}', path, size) for name in names)), None)
    if resized is None:
        tally.absent_images += 1
        return content
    if size:
        root.find('size/width').text, root.find('size/height').text = map(str, resized.new)
    for place, box in enumerate(root.iter('bndbox'), 1):
        try:
            _scale_voc_box(box, resized.factors, tally)
        except ValueError as error:
            raise InputError(f'{path}: bndbox {place} {error}; mend it or take it out') from None
    try:
        return ElementTree.tostring(root, encoding='utf-8')
    except RecursionError:
        raise InputError(f'{path}: its elements nest too deep: write it again, or take it away') from None


def _scale_voc_box(box: ElementTree.Element, factors: tuple[float, float], tally: Tally) -> None:
    """Scale a ``bndbox`` in place; a side that was positive stays so."""
    old = [value - 1 for value in voc_corners(box)]
    x1, y1, x2, y2 = map(round, tally.scaled(old, factors, corners=True))
    x2, y2 = max(x2, x1 + (old[2] > old[0])), max(y2, y1 + (old[3] > old[1]))
    for tag, value in zip(CORNERS, (x1, y1, x2, y2), strict=True):
        box.find(tag).text = str(value + 1)


def _number(value: float) -> str:
    """With two decimals at most; a size that was there does not become 0."""
    text = f'{value:.2f}'.rstrip('0').rstrip('.')
    return '0.01' if value > 0 and text == '0' else text
