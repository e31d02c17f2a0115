"""A page to look through what ``mmdark detect`` found: each photograph, with a slider from before to after."""

from __future__ import annotations

import html
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path, PurePath
from urllib.parse import quote

import cv2
import numpy as np

import mmdark
from mmdark.drawing import FACE, brighten, colour_of, counted, counted_classes, name_of, noun_of, plural_of
from mmdark.errors import InputError
from mmdark.whole_file import write_whole

from .before_after import is_dark
from .image_sources import ImageSource
from .result import BrokenImage, DetectionResult
from .result_files import read_results

PAGE = 'gallery.html'
LONG_SIDE = 960
"""Pixels of the pictures in the page; a name leads to the whole one."""
QUALITY = 82
"""Of their JPEG compression."""


def write_gallery(
    results: str | os.PathLike,
    out: str | os.PathLike | None = None,
    dark: bool | None = None,
    after_each: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Path, list[BrokenImage]]:
    """Write one page of plain HTML, and its pictures into a folder beside it.

    The page loads nothing from elsewhere and works from a disk. It shows the photograph as it is and, right of a
    slider, brightened where it is dark, with its objects; it filters by their count, by score and by class.

    Args:
        results: folder that ``mmdark detect`` wrote, or the ``results.json`` in it. The photographs are read again.
        out: path of the page, ``gallery.html`` in that folder by default; ``NAME_files/`` beside it is for pictures.
        dark: whether the photographs are dark; None decides for each by :func:`mmdark.inference.before_after.is_dark`.
        after_each: is called after each photograph with how many are done, of how many.

    Returns:
        The page, and the photographs that it only lists because they cannot be read.

    Raises:
        InputError: there are no results, or the page or a picture cannot be written.
    """
    found, broken, about = read_results(results)
    folder = Path(results) if Path(results).is_dir() else Path(results).parent
    page = Path(out) if out is not None else folder / PAGE
    pictures = page.with_name(f'{page.stem}_files')
    lost, cards = [], []
    for number, (result, name, whole) in enumerate(zip(found, about['names'], about['pictures'], strict=True), 1):
        if PurePath(name).is_absolute() or '..' in PurePath(name).parts:
            raise InputError(
                f'{results} names a photograph {name}, which leads out of its folder: call mmdark detect again'
            )
        try:
            image = _read(result)
        except InputError as error:
            lost.append(BrokenImage(result.source, str(error)))
        else:
            before, after = (_link(path, page) for path in _write_pair(pictures / name, image, dark))
            target = folder / whole if whole and os.path.isfile(folder / whole) else Path(result.source)
            cards.append(_card(result, name, before, after, _link(target, page)))
        after_each(number, len(found))
    if lost and not cards:
        raise InputError(
            f'{len(lost)} of {len(found)} photographs cannot be read, the first, {lost[0].source}: {lost[0].reason}; '
            'call this in the folder where mmdark detect was called, relative paths begin there'
        )
    text = _page(folder, found, cards, [*broken, *lost], about)
    write_whole(page, text.encode(errors='replace'))
    return page, lost


def _read(result: DetectionResult) -> np.ndarray:
    """The photograph that was looked at.

    Raises:
        InputError: it cannot be read, or is another by now; the line does not repeat the name.
    """
    image = ImageSource(result.source).read()
    if image.shape[:2] != (result.height, result.width):
        now, then = (f'{width} x {height}' for height, width in (image.shape[:2], (result.height, result.width)))
        raise InputError(f'has {now} pixels now, {then} when it was looked at')
    return image


def _write_pair(stem: Path, image: np.ndarray, dark: bool | None) -> tuple[Path, Path]:
    """Write the photograph as it is and, where it is dark, brightened; the path of each."""
    scale = min(1.0, LONG_SIDE / max(image.shape[:2]))
    size = tuple(max(1, round(side * scale)) for side in image.shape[1::-1])
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1 else image
    pair = [('before', image)]
    if is_dark(image) if dark is None else dark:
        pair.append(('after', brighten(image)))
    paths = [stem.with_name(f'{stem.name}.{kind}.jpg') for kind, _ in pair]
    for path, (_, pixels) in zip(paths, pair, strict=True):
        write_whole(path, cv2.imencode('.jpg', pixels, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes())
    return paths[0], paths[-1]


def _card(result: DetectionResult, name: str, before: str, after: str, whole: str) -> str:
    """One photograph in the page; all that was not written here is escaped."""
    name, before, after, whole = (html.escape(text) for text in (name, before, after, whole))
    boxes = np.round(result.boxes.astype(float), 1).tolist()
    scores = np.round(result.scores.astype(float), 4).tolist()
    several = [[label] for label in result.labels.tolist()] if len(result.class_names) != 1 else [[]] * len(result)
    rows = [[*box, score, *label] for box, score, label in zip(boxes, scores, several, strict=True)]
    objects = json.dumps(rows, separators=(',', ':'))
    noun = html.escape(plural_of(noun_of(result.class_names)))
    lines = (
        '<path class="over"/>'
        if len(result.class_names) == 1
        else ''.join(map(_line, sorted(set(result.labels.tolist()))))
    )
    counts = counted_classes(Counter(result.labels.tolist()), result.class_names)
    ratio = result.width / result.height
    shape = f'aspect-ratio: {result.width} / {result.height}; max-width: calc(70vh * {ratio:.4f})'
    return f"""<article data-faces="{objects}"><figure>
<div class="frame"><div class="pair" style="{shape}">
<img src="{before}" alt="{name} as it is" loading="lazy" decoding="async">
<img class="after" src="{after}" alt="{name} with its {noun}" loading="lazy" decoding="async">
<svg viewBox="0 0 {result.width} {result.height}" preserveAspectRatio="none" aria-hidden="true">\
<path class="under"/>{lines}</svg>
<input type="range" min="0" max="100" step="1" value="50" aria-label="before and after: {name}">
<div class="handle"></div>
</div></div>
<figcaption><a href="{whole}">{name}</a><b>{html.escape(counts)}</b></figcaption>
</figure></article>"""


def _line(label: int) -> str:
    """What the boxes of a class are drawn with, where there are several."""
    blue, green, red = colour_of(label, 0)
    return f'<path class="over" data-label="{label}" style="stroke: rgb({red} {green} {blue})"/>'


def _page(
    folder: Path, found: Sequence[DetectionResult], cards: Sequence[str], broken: Sequence[BrokenImage], about: Mapping
) -> str:
    threshold, class_names = float(about.get('score_thr', 0.0)), found[0].class_names if found else FACE
    counts = Counter(label for result in found for label in result.labels.tolist())
    nouns = plural_of(noun_of(class_names))
    values = dict(
        title=html.escape(f'{nouns.capitalize()} in {folder.resolve().name}'),
        nouns=html.escape(nouns),
        Nouns=html.escape(nouns.capitalize()),
        classes=_classes(counts, class_names),
        choice=_choice(counts, class_names),
        made_by=html.escape(f'{about["model"]}, score {threshold:g} and above' if 'model' in about else ''),
        shown=html.escape(f'{counted_classes(counts, class_names)} on {counted(len(found), "photograph")}'),
        most=str(max(map(len, found), default=0)),
        threshold=f'{threshold:.2f}',
        cards='\n'.join(cards) or '<p class="none">There is no photograph.</p>',
        broken=_list_of(broken),
        version=mmdark.__version__,
    )
    text = files(__package__).joinpath(PAGE).read_text(encoding='utf-8')
    return re.sub(r'@(\w+)@', lambda key: values[key[1]], text)


def _classes(counts: Mapping[int, int], class_names: Sequence[str]) -> str:
    """What the script knows of the classes: what one object and several are called, and the name of each class."""
    noun = noun_of(class_names)
    names = [name_of(label, class_names) for label in range(max([len(class_names), *(one + 1 for one in counts)]))]
    known = dict(one=noun, many=plural_of(noun), names=names)
    return json.dumps(known, separators=(',', ':')).replace('<', '\\u003c')  # no </script> in a name


def _choice(counts: Mapping[int, int], class_names: Sequence[str]) -> str:
    """The list to choose a class from; nothing where there is one."""
    if len(class_names) == 1:
        return ''
    options = ''.join(
        f'<option value="{label}">{html.escape(name_of(label, class_names))}</option>' for label in sorted(counts)
    )
    return f'<label>Class <select id="kind"><option value="">all</option>{options}</select></label>\n'


def _list_of(broken: Sequence[BrokenImage]) -> str:
    """What could not be read, folded up."""
    if not broken:
        return ''
    rows = ''.join(f'<li>{html.escape(one.source)}: {html.escape(one.reason)}</li>\n' for one in broken)
    count = counted(len(broken), 'photograph')
    return f'<details><summary>{count} could not be read</summary><ul>\n{rows}</ul></details>'


def _link(path: Path, page: Path) -> str:
    """The path as the page names it: relative where that is possible, so that both can be moved together."""
    try:
        relative = os.path.relpath(path, page.parent)
    except ValueError:  # on another drive
        return path.resolve().as_uri()
    return quote(os.fsencode(relative.replace(os.sep, '/')))
