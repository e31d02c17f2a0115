"""A resized copy of a whole data set within a size budget, its annotations scaled along."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from mmdark.datasets.face_formats import IMAGE_SUFFIXES, image_size, is_image
from mmdark.datasets.folder_copy import check_folders, content_of, files_below, run_over
from mmdark.datasets.resized_images import Resized, ResizedImages, Tally
from mmdark.datasets.scaled_annotations import scaled_annotation
from mmdark.datasets.transforms import LoadPhoto
from mmdark.errors import InputError
from mmdark.whole_file import write_whole

SMALLEST_SIDE = 32
LOWEST_QUALITY = 75
"""Quality goes down to here before the images get smaller: a detector misses little of what JPEG drops above it."""

_SAMPLE = 48
_PASSES = 10
_WELL_FILLED = 0.95
_UNITS = {'': 1, 'b': 1, 'kb': 10**3, 'mb': 10**6, 'gb': 10**9, 'kib': 2**10, 'mib': 2**20, 'gib': 2**30}

Size = tuple[int, int]


class Setting(NamedTuple):
    """Longest side of an image in pixels, and quality of a JPEG or WebP, common to all images."""

    max_side: int
    quality: int


class SmallCopy(NamedTuple):
    """What was done: setting and bytes of the copy, images, counts over the annotations, what was left out and why."""

    setting: Setting
    size: int
    images: int
    tally: Tally
    left_out: list[str]
    broken: list[str]


def parse_budget(text: str) -> int:
    """A size in bytes; ``45MiB`` is 45 · 2^20, ``45MB`` 45 · 10^6.

    Raises:
        InputError: it is not a positive number with a known unit.

    Example:
        >>> parse_budget('1.5KiB')
        1536
    """
    match = re.fullmatch(r'\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*', text, re.IGNORECASE)
    if not match or match[2].lower() not in _UNITS or float(match[1]) <= 0:
        raise InputError(f'budget {text!r}: give a number and kB, MB, GB, KiB, MiB or GiB, such as 45MiB')
    return int(float(match[1]) * _UNITS[match[2].lower()])


def shrink_folder(
    source: str | Path, out: str | Path, budget: int, ceiling: Setting | None = None, workers: int | None = None
) -> SmallCopy:
    """Write a copy of a data set that takes ``budget`` bytes at most, all files counted.

    The largest setting that fits is looked for on a sample, first down in quality to :data:`LOWEST_QUALITY`, then in
    side; then the whole copy is written, measured, and written again with a smaller setting where it is too large (or
    with a larger one where much room is left). Folders and names stay, so a config needs another ``data_root`` only.

    An image that needs no resizing and is not larger than its new encoding is copied byte for byte. PNG, BMP and TIFF
    images are resized only. ``.mat`` files (WIDER FACE's official ground truth) hold boxes that are not scaled: they
    are left out. Annotated images without a file are left out of WIDER FACE and COCO annotations.

    Args:
        source: folder of the data set.
        out: folder of the copy, new or empty.
        budget: in bytes.
        ceiling: no image gets larger or better than this; by default 640 px and quality 90.
        workers: number of processes; by default one a core.

    Raises:
        InputError: the folders or numbers cannot be used, an annotation is malformed, or the budget is too small.
    """
    source, out, ceiling = Path(source), Path(out), ceiling or Setting(640, 90)
    check_folders(source, out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f'--out {out} is there already: choose a new or an empty folder, or take it away')
    if ceiling.max_side < SMALLEST_SIDE or not 1 <= ceiling.quality <= 100:
        raise InputError(f'give a --max-side of {SMALLEST_SIDE} or more and a --quality from 1 to 100, not {ceiling}')
    files = files_below(source)
    others = [name for name in files if not is_image(name)]
    left_out = [name for name in others if name.lower().endswith('.mat')]
    others = [name for name in others if name not in left_out]
    sizes, broken = _read_sizes(source, [name for name in files if is_image(name)], workers)
    unchanged = ResizedImages({**dict.fromkeys(broken), **{name: Resized(size, size) for name, size in sizes.items()}})
    for name in others:  # what is wrong with an annotation is said before the work, not after it
        scaled_annotation(name, content_of(source / name), unchanged, Tally())
    copy = partial(_write_copy, source, out, sizes, list(broken), others, workers)
    setting, size, tally, faults = _fit(source, sizes, others, budget, ceiling, copy)
    return SmallCopy(setting, size, len(sizes) - len(faults), tally, left_out, [*broken.values(), *faults])


def new_size(size: Size, max_side: int) -> Size:
    """Width and height with the longest side at most ``max_side``, at least 1.

    Example:
        >>> new_size((1024, 768), 640)
        (640, 480)
    """
    factor = min(1.0, max_side / max(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def largest_setting(estimate: Callable[[Setting], float], room: float, ceiling: Setting) -> Setting | None:
    """The largest setting whose estimated bytes fit into ``room``; None where none does.

    Args:
        estimate: bytes of all images at a setting; grows with either number.
        room: bytes.
        ceiling: the first to be tried.

    Example:
        >>> largest_setting(lambda setting: setting.max_side * setting.quality, 50000, Setting(640, 90))
        Setting(max_side=640, quality=78)
        >>> largest_setting(lambda setting: setting.max_side * setting.quality, 30000, Setting(640, 90))
        Setting(max_side=400, quality=75)
    """
    floor = min(LOWEST_QUALITY, ceiling.quality)
    quality = _largest(lambda value: estimate(Setting(ceiling.max_side, value)) <= room, floor, ceiling.quality)
    if quality is not None:
        return Setting(ceiling.max_side, quality)
    side = _largest(lambda value: estimate(Setting(value, floor)) <= room, SMALLEST_SIDE, ceiling.max_side)
    return None if side is None else Setting(side, floor)


def _largest(fits: Callable[[int], bool], low: int, high: int) -> int | None:
    """The largest number from ``low`` to ``high`` that fits, by bisection."""
    if fits(high):
        return high
    if not fits(low):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _read_sizes(source: Path, names: list[str], workers: int | None) -> tuple[dict[str, Size], dict[str, str]]:
    """Width and height of each image from its header, and a line for each that has none."""
    if not names:
        raise InputError(f'{source} holds no image ({", ".join(IMAGE_SUFFIXES)}): name the folder of a data set')
    sizes, broken = {}, {}
    for name, size in run_over(partial(_size_below, source), names, workers, 'sizes'):
        if isinstance(size, InputError):
            broken[name] = str(size)
        else:
            sizes[name] = size
    if not sizes:
        raise InputError(f'{source}: none of {len(names)} images can be read; the first: {next(iter(broken.values()))}')
    return sizes, broken


def _size_below(source: Path, name: str) -> Size:
    return image_size(source / name)


def _fit(
    source: Path,
    sizes: dict[str, Size],
    others: list[str],
    budget: int,
    ceiling: Setting,
    copy: Callable[[Setting], tuple[int, int, Tally, list[str]]],
) -> tuple[Setting, int, Tally, list[str]]:
    """Write copies until one is at or under the budget and, if that takes no third pass, fills it well."""
    estimate = _Estimate(source, sizes)
    fixed = sum((source / name).stat().st_size for name in others)
    room, done = budget - fixed, None
    for number in range(1, _PASSES + 1):
        setting = largest_setting(estimate, room, ceiling) if room > 0 else None
        if done and (setting is None or setting <= done[0]):
            return done
        if setting is None:
            least = fixed + estimate(Setting(SMALLEST_SIDE, min(LOWEST_QUALITY, ceiling.quality)))
            raise InputError(f'budget of {budget:,} bytes: even the smallest copy takes about {least:,.0f}; give more')
        image_bytes, fixed, tally, faults = copy(setting)
        total = image_bytes + fixed
        done = (setting, total, tally, faults) if total <= budget else None
        if done and (setting == ceiling or total >= _WELL_FILLED * budget or number > 1):
            return done
        estimate.correction *= image_bytes / max(estimate(setting), 1)
        room = (budget - fixed) * (1 if done else 0.995**number)
    raise InputError(f'budget of {budget:,} bytes: not met after {_PASSES} passes; give a little more')


class _Estimate:
    """Bytes of all images at a setting, from a sample spread over them, by the number of their pixels.

    Args:
        source: folder of the images.
        sizes: of all images.
    """

    def __init__(self, source: Path, sizes: dict[str, Size]) -> None:
        names = list(sizes)
        places = np.linspace(0, len(names) - 1, min(_SAMPLE, len(names))).round().astype(int)
        self.sizes, self.correction = list(sizes.values()), 1.0
        self.known: dict[Setting, float] = {}
        self.sample: list[tuple[Path, Size]] = [(source / names[place], sizes[names[place]]) for place in places]

    def __call__(self, setting: Setting) -> float:
        """Estimate."""
        if setting not in self.known:
            weights, pixels = 0, 0
            for path, size in self.sample:
                smaller = new_size(size, setting.max_side)
                try:
                    weights += len(small_image(path, Resized(size, smaller), setting.quality))
                except InputError:
                    continue  # broken: found again, and told, when it is its turn to be copied
                pixels += smaller[0] * smaller[1]
            whole = sum(width * height for width, height in (new_size(size, setting.max_side) for size in self.sizes))
            self.known[setting] = weights / max(pixels, 1) * whole
        return self.known[setting] * self.correction


def small_image(path: Path, resized: Resized, quality: int) -> bytes:
    """The content of an image's file after resizing; the content it has where that is not larger.

    Raises:
        InputError: the image is broken.
    """
    pixels = LoadPhoto()({'img_path': str(path)})['img']
    if pixels.shape[1::-1] != resized.old:
        raise InputError(f'image {path} is not of the size its header says: write it again')
    if resized.new != resized.old:
        pixels = cv2.resize(pixels, resized.new, interpolation=cv2.INTER_AREA)
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_WEBP_QUALITY, quality, cv2.IMWRITE_PNG_COMPRESSION, 9]
    suffix = path.suffix.lower()
    start = 0 if suffix in ('.jpg', '.jpeg') else 2 if suffix == '.webp' else 4
    _, encoded = cv2.imencode(
        suffix, pixels, options[start : start + 2] if suffix not in ('.bmp', '.tif', '.tiff') else []
    )
    content = path.read_bytes()
    return content if resized.new == resized.old and len(content) <= encoded.size else encoded.tobytes()


def _write_copy(
    source: Path,
    out: Path,
    sizes: dict[str, Size],
    broken: list[str],
    others: list[str],
    workers: int | None,
    setting: Setting,
) -> tuple[int, int, Tally, list[str]]:
    """Write all files at a setting; bytes of the images, bytes of the others, counts, a line for each broken image."""
    resized = dict.fromkeys(broken)
    resized |= {name: Resized(size, new_size(size, setting.max_side)) for name, size in sizes.items()}
    tasks = [(name, resized[name], setting.quality) for name in sizes]
    title = f'side {setting.max_side}, quality {setting.quality}:'
    image_bytes, faults = 0, []
    for (name, *_), written in run_over(partial(_write_image, source, out), tasks, workers, title):
        if isinstance(written, InputError):
            faults.append(str(written))
            resized[name] = None
        else:
            image_bytes += written
    images, tally, other_bytes = ResizedImages(resized), Tally(), 0
    for name in others:
        content = scaled_annotation(name, content_of(source / name), images, tally)
        write_whole(out / name, content)
        other_bytes += len(content)
    return image_bytes, other_bytes, tally, faults


def _write_image(source: Path, out: Path, task: tuple[str, Resized, int]) -> int:
    """Write one image; its bytes."""
    name, resized, quality = task
    content = small_image(source / name, resized, quality)
    write_whole(out / name, content)
    return len(content)
