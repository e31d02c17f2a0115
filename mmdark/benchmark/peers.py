"""Face detectors side by side on the same photographs: AP by day, in simulated darkness and brightened, and time."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from statistics import median
from time import perf_counter

import numpy as np

from mmdark.datasets.dark_copy import darkened
from mmdark.datasets.label_files import read_text
from mmdark.datasets.transforms import Brighten
from mmdark.datasets.transforms.load_image import read_photo
from mmdark.datasets.wider_annotation import ATTRIBUTES, WiderFace, parse_wider_annotation
from mmdark.errors import InputError
from mmdark.evaluation.face_scores import LabelledFaces, face_scores
from mmdark.whole_file import write_whole

from .table import milliseconds

KINDS = ('day', 'day+gamma', 'day+clahe', 'dark', 'dark+gamma', 'dark+clahe')
"""How the photographs are shown: as they are or darkened with seed 0, and brightened then."""
ILLUMINATION = ATTRIBUTES.index('illumination')


@dataclass
class Compared:
    """One detector on all photographs of one kind.

    Attributes:
        detector: its name.
        kind: of :data:`KINDS`.
        found: photograph → x1 y1 x2 y2 score, shape ``(N, 5)``.
        seconds: of each photograph, from its pixels to the faces.
        network_seconds: of each photograph, the network alone; empty where that cannot be told.
    """

    detector: str
    kind: str
    found: dict[str, np.ndarray] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    network_seconds: list[float] = field(default_factory=list)


def read_face_labels(path: str | Path) -> dict[str, LabelledFaces]:
    """The faces of each image of a WIDER FACE annotation, ``event/image.jpg``; those without a size are left out.

    Raises:
        InputError: the file cannot be read or is malformed.
    """
    text = read_text(str(path), 'annotation', 'name a *_bbx_gt.txt of WIDER FACE')
    labels = {}
    for image in parse_wider_annotation(text, str(path)):
        faces = [face for face in image.faces if face.width > 0 and face.height > 0]
        corners = [(face.x, face.y, face.x + face.width, face.y + face.height) for face in faces]
        labels[short_name(image.name)] = LabelledFaces(
            np.array(corners, np.float64).reshape(-1, 4), np.array([_is_badly_lit(face) for face in faces], bool)
        )
    return labels


def short_name(name: str) -> str:
    """``event/image.jpg``, the last two parts of a path.

    Example:
        >>> short_name('WIDER_val/images/0--Parade/a.jpg')
        '0--Parade/a.jpg'
    """
    return '/'.join(PurePath(name).parts[-2:])


def read_night_list(path: str | Path, labels: Collection[str]) -> set[str]:
    """The images of a text file with the name of one, ``event/image.jpg``, a line; those that have no labels are not.

    Raises:
        InputError: the file cannot be read, or no image in it has labels.
    """
    text = read_text(str(path), 'list', 'name a text file with event/image.jpg a line')
    names = set(map(short_name, filter(None, map(str.strip, text.splitlines()))))
    if not names & set(labels):
        raise InputError(f'{path}: none of its {len(names)} images is among those with labels; write event/image.jpg')
    return names & set(labels)


def photographs(root: str | Path, names: Iterable[str]) -> dict[str, Path]:
    """Where the image of each name lies: below ``root``, or below its ``WIDER_*/images``.

    Raises:
        InputError: one is not there.
    """
    folders = [Path(root), *sorted(Path(root).glob('WIDER_*/images'))]
    places = {name: next((path for path in (f / name for f in folders) if path.is_file()), None) for name in names}
    if missing := [name for name, path in places.items() if path is None]:
        raise InputError(
            f'--data-root {root}: {len(missing)} of {len(places)} images are not there ({missing[0]} first): name the '
            'folder that they lie in'
        )
    return places


def spread(names: Sequence[str], count: int | None) -> list[str]:
    """So many of the names, evenly spread over them; all without a count.

    Example:
        >>> spread('abcdefgh', 3), spread('ab', 5)
        (['a', 'c', 'f'], ['a', 'b'])
    """
    count = min(count or len(names), len(names))
    return [names[index * len(names) // count] for index in range(count)]


def views(image: np.ndarray, path: str | Path, kinds: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    """A photograph ``(H, W, 3)`` BGR uint8 as each of :data:`KINDS` shows it; the name of its file decides the dark."""
    lights = {'day': image}
    for kind in kinds:
        light, _, method = kind.partition('+')
        if light not in lights:
            lights[light] = darkened(image, path)[0]
        yield kind, Brighten(method).transform({'img': lights[light]})['img'] if method else lights[light]


def compare(
    finders: Mapping[str, Callable], photos: Mapping[str, Path], kinds: Sequence[str], track: Callable = iter
) -> list[Compared]:
    """Have all detectors look at one photograph after another, so that all meet the same state of the machine.

    Before, each looks at the first one once, which is not timed.

    Args:
        finders: name → a detector, see :data:`mmdark.deploy.face_finders.FaceFinder`.
        photos: name → file.
        kinds: some of :data:`KINDS`.
        track: shows the progress of a sequence.

    Returns:
        Kind by kind, each detector.

    Raises:
        InputError: a photograph cannot be read.
    """
    results = {(kind, name): Compared(name, kind) for kind in kinds for name in finders}
    first = read_photo(str(next(iter(photos.values()))))[0]
    for find in finders.values():
        find(first)
    for photo in track(list(photos)):
        for kind, view in views(read_photo(str(photos[photo]))[0], photos[photo], kinds):
            for name, find in finders.items():
                begun = perf_counter()
                rows, network_seconds = find(view)
                result = results[kind, name]
                result.seconds.append(perf_counter() - begun)
                result.found[photo] = rows
                if network_seconds is not None:
                    result.network_seconds.append(network_seconds)
    return list(results.values())


def peers_table(results: Sequence[Compared], labels: Mapping[str, LabelledFaces], night: Collection[str] = ()) -> str:
    """A Markdown table: a row for each detector and kind, AP in percent, medians of the milliseconds."""
    rows = []
    for result in results:
        scores = face_scores(labels, result.found, night)
        times = [milliseconds(median(each)) if each else '-' for each in (result.seconds, result.network_seconds)]
        rows.append((result.detector, result.kind, *(f'{score:.1f}' for score in scores.values()), *times))
    head = ('detector', 'images', *scores, 'ms an image', 'ms of the network')
    return '\n'.join(f'| {" | ".join(row)} |' for row in (head, ('---',) * len(head), *rows)) + '\n'


def write_detections(path: str | Path, found: Mapping[str, np.ndarray]) -> None:
    """Write ``{"event/image.jpg": [[x1, y1, x2, y2, score], ...]}`` with all digits.

    Raises:
        InputError: the file cannot be written.
    """
    write_whole(Path(path), json.dumps({name: rows.tolist() for name, rows in found.items()}).encode(), '--out')


def _is_badly_lit(face: WiderFace) -> bool:
    return face.attributes[ILLUMINATION : ILLUMINATION + 1] == (1,)
