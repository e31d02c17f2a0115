"""Make a small face data set in the WIDER FACE format from photographs that ship inside installed packages.

Two public-domain portraits (Grace Hopper from matplotlib, Eileen Collins from scikit-image) are pasted at varied
scales, flips and exposures into public-domain and CC0 photographs of the same packages. The box of every face is known
from the paste itself. Nothing is downloaded. Two persons suffice to try the whole pipeline, not to judge a detector.
"""

import argparse
import importlib.util
import json
import shutil
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mmdark.errors import InputError

Image = NDArray[np.uint8]
Backdrop = tuple[str, Image]  # name and BGR photograph without faces

SIZES = ((320, 320), (400, 320), (480, 360))
FACE_HEIGHTS = (18, 160)
MAX_FACES = 4
EMPTY_EVERY = 12  # one image in so many shows no face
JPEG_QUALITY = 92
RECIPE = 1  # raise it when the same parameters give other images
MARK = 'made by make_demo_faces.py'
FOLDERS = ('WIDER_train', 'WIDER_val', 'wider_face_split')
# Photographs with their licences, and what was measured on them: portraits, parts without faces.
DATA = json.loads(Path(__file__).with_name('demo_photographs.json').read_text(encoding='utf-8'))


@dataclass(frozen=True)
class Sprite:
    """A person to paste: BGR image ``(H, W, 3)``, matte ``(H, W)`` in 0-1 and the face x1, y1, x2, y2 in pixels."""

    image: Image
    matte: NDArray[np.float32]
    face: tuple[float, float, float, float]


@dataclass(frozen=True)
class Placement:
    """Where and how one sprite is pasted: size and corner in pixels, mirror, tone curves, blur (sigma, pixels)."""

    sprite: Sprite
    size: tuple[int, int]
    corner: tuple[int, int]
    flip: bool
    curves: Image
    blur: float

    @property
    def box(self) -> tuple[int, int, int, int]:
        """The face as WIDER FACE writes it: x, y, width, height in whole pixels."""
        source_height, source_width = self.sprite.matte.shape
        x1, y1, x2, y2 = self.sprite.face
        if self.flip:
            x1, x2 = source_width - x2, source_width - x1
        xs = [round(self.corner[0] + x * self.size[0] / source_width) for x in (x1, x2)]
        ys = [round(self.corner[1] + y * self.size[1] / source_height) for y in (y1, y2)]
        return xs[0], ys[0], xs[1] - xs[0], ys[1] - ys[0]

    def layer(self, canvas: tuple[int, int]) -> tuple[slice, slice, Image, NDArray[np.float32]]:
        """Return rows and columns of a canvas (width, height) that the sprite meets, and its pixels and matte there."""
        image, matte = cv2.LUT(self.sprite.image, self.curves), self.sprite.matte
        if self.flip:
            image, matte = image[:, ::-1], matte[:, ::-1]
        image, matte = (cv2.resize(array, self.size, interpolation=cv2.INTER_AREA) for array in (image, matte))
        if self.blur:
            image, matte = (cv2.GaussianBlur(array, (0, 0), self.blur) for array in (image, matte))
        (left, top), (width, height) = self.corner, self.size
        x1, y1, x2, y2 = max(left, 0), max(top, 0), min(left + width, canvas[0]), min(top + height, canvas[1])
        inside = np.s_[y1 - top : y2 - top, x1 - left : x2 - left]
        return slice(y1, y2), slice(x1, x2), image[inside], matte[inside]


def make_demo_faces(
    out_dir: str | Path,
    *,
    train: int = 48,
    val: int = 16,
    size: Sequence[tuple[int, int]] = SIZES,
    seed: int = 0,
    sprites: Sequence[Sprite] | None = None,
    backdrops: Mapping[str, Sequence[Backdrop]] | None = None,
) -> Path:
    """Write the demo set, or do nothing where the same set already lies; return its folder.

    Args:
        out_dir: receives ``WIDER_train``, ``WIDER_val``, ``wider_face_split``, ``SOURCES.md`` and, last, ``demo.json``.
        train: number of training images; every twelfth shows no face.
        val: number of validation images, with backdrops and random numbers of their own.
        size: widths and heights in pixels; each image takes one of them.
        seed: the same seed and parameters give the same bytes.
        sprites: persons to paste, instead of the two portraits.
        backdrops: what to paste them into, for ``train`` and ``val``, instead of the photographs of the packages.

    Raises:
        InputError: a package is missing, a number is senseless or ``out_dir`` holds a WIDER FACE folder not made here.
    """
    out_dir, counts = Path(out_dir), {'train': train, 'val': val}
    if min(train, val) < 1 or seed < 0:
        raise InputError(f'train={train}, val={val}, seed={seed}: at least one image each, and a seed from 0 on.')
    if not size or min(min(width_height) for width_height in size) < 64:
        raise InputError(f'size={size}: give at least one width and height, each 64 pixels or more.')
    sprites = list(sprites or portraits())
    backdrops = {split: list(backdrops[split] if backdrops else photograph_parts(split)) for split in counts}
    pictures = [array for sprite in sprites for array in (sprite.image, sprite.matte, np.array(sprite.face))]
    pictures += [image for split in counts for _, image in backdrops[split]]
    parameters = {**counts, 'size': [list(width_height) for width_height in size], 'seed': seed, 'recipe': RECIPE}
    parameters['pictures'] = zlib.crc32(b''.join(np.ascontiguousarray(array).tobytes() for array in pictures))
    if _state(out_dir) == parameters and len(list(out_dir.glob('WIDER_*/images/*/*.jpg'))) == train + val:
        return out_dir
    _clear(out_dir)
    for stream, split in enumerate(counts):
        scenes = draw_scenes(np.random.default_rng((seed, stream)), sprites, backdrops[split], size)
        _write_split(out_dir, split, islice(scenes, counts[split]))
    (out_dir / 'SOURCES.md').write_text(_sources(), encoding='utf-8')
    (out_dir / 'demo.json').write_text(json.dumps({MARK: parameters}) + '\n', encoding='utf-8')
    return out_dir


def portraits() -> Iterator[Sprite]:
    """Yield the two portraits, cut out along their outlines with a soft edge that fades below the shoulders."""
    for name, portrait in DATA['portraits'].items():
        image, face = read_photograph(name), portrait['face']
        points = np.array(portrait['outline'], np.int32)
        bottom, fade = int(points[:, 1].max()), (face[3] - face[1]) // 3
        matte = cv2.fillPoly(np.zeros(image.shape[:2], np.float32), [points], 1.0)
        matte = cv2.GaussianBlur(matte, (0, 0), (face[3] - face[1]) / 80)
        matte *= np.clip((bottom - np.arange(len(matte), dtype=np.float32)) / fade, 0, 1)[:, None]
        yield Sprite(image[:bottom], matte[:bottom], tuple(face))


def photograph_parts(split: str) -> Iterator[Backdrop]:
    """Yield the backdrops of ``train`` or ``val``."""
    for name in DATA['backdrops'][split]:
        part = DATA['parts'].get(name, {'photograph': name, 'box': (0, 0, None, None)})
        x1, y1, x2, y2 = part['box']
        yield name, read_photograph(part['photograph'])[y1:y2, x1:x2]


def read_photograph(name: str) -> Image:
    """Read a photograph from its installed package, without importing that: BGR ``(H, W, 3)``."""
    photograph = DATA['photographs'][name]
    package, spec = photograph['package'], importlib.util.find_spec(photograph['module'])
    if spec is None or spec.origin is None:
        raise InputError(f'The demo set needs a photograph from {package}, not installed here: pip install {package}')
    path = Path(spec.origin).parent / photograph['file']
    image = cv2.imread(str(path), cv2.IMREAD_COLOR) if path.is_file() else None
    if image is None:
        raise InputError(f'{path} is missing or broken: pip install --upgrade --force-reinstall {package}')
    return image


def draw_scenes(
    rng: np.random.Generator, sprites: Sequence[Sprite], backdrops: Sequence[Backdrop], size: Sequence[tuple[int, int]]
) -> Iterator[tuple[str, Image, list[Placement]]]:
    """Yield without end: name of the backdrop, BGR image ``(H, W, 3)`` and what was pasted, nearest first."""
    for number in count(1):
        canvas = tuple(size[rng.integers(len(size))])
        name, photograph = backdrops[rng.integers(len(backdrops))]
        image = _draw_backdrop(rng, photograph, canvas)
        placements = [] if number % EMPTY_EVERY == 0 else _draw_placements(rng, sprites, canvas)
        for placement in reversed(placements):
            rows, columns, pixels, matte = placement.layer(canvas)
            behind = image[rows, columns].astype(np.float32)
            image[rows, columns] = np.rint(behind + matte[..., None] * (pixels - behind))
        yield name, image, placements


def _draw_backdrop(rng: np.random.Generator, image: Image, canvas: tuple[int, int]) -> Image:
    """Crop at random to the shape of the canvas (width, height), scale, mirror and expose."""
    height, width = image.shape[:2]
    scale = min(width / canvas[0], height / canvas[1]) * rng.uniform(0.55, 1.0)
    crop_width, crop_height = (max(1, int(side * scale)) for side in canvas)
    x, y = rng.integers(width - crop_width + 1), rng.integers(height - crop_height + 1)
    crop = image[y : y + crop_height, x : x + crop_width]
    crop = cv2.resize(crop, canvas, interpolation=cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC)
    tint = 0.25 if (image[..., :1] == image).all() else 0.08
    return cv2.LUT(crop[:, ::-1] if rng.random() < 0.5 else crop, _draw_curves(rng, tint))


def _draw_placements(rng: np.random.Generator, sprites: Sequence[Sprite], canvas: tuple[int, int]) -> list[Placement]:
    """Place one to four sprites, the nearest (largest) first; no face is covered, cut or touched by another."""
    largest = min(FACE_HEIGHTS[1], 0.5 * min(canvas))
    heights = np.exp(rng.uniform(*np.log([FACE_HEIGHTS[0], largest]), rng.integers(1, MAX_FACES + 1)))
    covered = np.zeros(canvas[::-1], bool)
    placements: list[Placement] = []
    for height in sorted(heights, reverse=True):
        for _ in range(30):
            placement = _draw_placement(rng, sprites[rng.integers(len(sprites))], height, canvas)
            x, y, box_width, box_height = placement.box
            if not covered[max(y - 2, 0) : y + box_height + 2, max(x - 2, 0) : x + box_width + 2].any():
                rows, columns, _, matte = placement.layer(canvas)
                covered[rows, columns] |= matte > 0.01
                placements.append(placement)
                break
    return placements


def _draw_placement(rng: np.random.Generator, sprite: Sprite, height: float, canvas: tuple[int, int]) -> Placement:
    """Draw a place for a sprite whose face is so many pixels high and lies wholly inside the canvas (width, height)."""
    source_height, source_width = sprite.matte.shape
    scale = height / (sprite.face[3] - sprite.face[1])
    size = (max(1, round(source_width * scale)), max(1, round(source_height * scale)))
    blur = height * rng.uniform(0.01, 0.03) if rng.random() < 0.2 else 0.0
    placement = Placement(sprite, size, (0, 0), bool(rng.random() < 0.5), _draw_curves(rng, 0.06), blur)
    x, y, box_width, box_height = placement.box
    left, top = rng.integers(canvas[0] - box_width + 1) - x, rng.integers(canvas[1] - box_height + 1) - y
    return replace(placement, corner=(int(left), int(top)))


def _draw_curves(rng: np.random.Generator, tint: float) -> Image:
    """Draw tone curves ``(1, 256, 3)``: gamma, contrast, -1 to +0.5 stops, channels apart by the share ``tint``."""
    gamma, contrast, stops = rng.uniform((0.8, 0.75, -1.0), (1.3, 1.15, 0.5))
    levels = 0.5 + contrast * ((np.arange(256) / 255) ** gamma - 0.5)
    curves = 255 * levels[:, None] * 2**stops * rng.uniform(1 - tint, 1 + tint, 3)
    return np.rint(np.clip(curves, 0, 255)).astype(np.uint8)[None]


def _write_split(out_dir: Path, split: str, scenes: Iterable[tuple[str, Image, list[Placement]]]) -> None:
    lines = []
    for index, (event, image, placements) in enumerate(scenes):
        name = f'{event}/{event}_{index:04d}.jpg'
        path = out_dir / f'WIDER_{split}' / 'images' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]):
            raise InputError(f'{path} cannot be written: check the rights and the space left there.')
        # The columns after the box: blur, expression, illumination, invalid, occlusion, pose.
        rows = [(*p.box, int(p.blur > 0), 0, int(p.curves.max() < 150), 0, 0, 0) for p in placements]
        lines += [name, str(len(rows)), *(' '.join(map(str, row)) + ' ' for row in rows or [(0,) * 10])]
    (out_dir / 'wider_face_split').mkdir(exist_ok=True)
    (out_dir / 'wider_face_split' / f'wider_face_{split}_bbx_gt.txt').write_text(
        '\n'.join(lines) + '\n', encoding='utf-8'
    )


def _state(out_dir: Path) -> dict | None:
    """Return what ``demo.json`` says: None where there is none of this tool, empty while the set is unfinished."""
    path = out_dir / 'demo.json'
    text = path.read_text(encoding='utf-8') if path.is_file() else ''
    if MARK not in text:
        return None
    try:
        return json.loads(text)[MARK]
    except json.JSONDecodeError:
        return {}


def _clear(out_dir: Path) -> None:
    """Remove an older or unfinished demo set, and only that: ``demo.json`` tells it from a real one."""
    present = [out_dir / folder for folder in FOLDERS if (out_dir / folder).exists()]
    if present and _state(out_dir) is None:
        raise InputError(f'{present[0]} was not made by this tool and stays: choose another folder for the demo set.')
    for folder in present:
        shutil.rmtree(folder)
    out_dir.mkdir(parents=True, exist_ok=True)
    (out_dir / 'demo.json').write_text(json.dumps({MARK: {}}) + '\n', encoding='utf-8')


def _sources() -> str:
    rows = [('Package', 'File', 'Photograph', 'Licence'), ('---',) * 4]
    rows += [tuple(row[key] for key in ('package', 'file', 'shows', 'licence')) for row in DATA['photographs'].values()]
    head = '# Sources of the demo set\n\nCut, rescaled, mirrored, re-exposed and blurred from these photographs:\n\n'
    return head + ''.join(f'| {" | ".join(row)} |\n' for row in rows)


def main() -> None:
    """Command line: make the demo set and say where it lies."""
    parser = argparse.ArgumentParser(description='Make a small WIDER-format face data set, without any download.')
    parser.add_argument('out_dir', nargs='?', type=Path, default=Path('data/demo_faces'))
    parser.add_argument('--train', type=int, default=48, help='number of training images')
    parser.add_argument('--val', type=int, default=16, help='number of validation images')
    parser.add_argument('--size', nargs='+', type=_width_height, default=SIZES, metavar='WIDTHxHEIGHT')
    parser.add_argument('--seed', type=int, default=0)
    try:
        out_dir = make_demo_faces(**vars(parser.parse_args()))
    except (InputError, OSError) as error:
        sys.exit(f'{error}')
    print(f'The demo set lies in {out_dir}; its photographs are named in {out_dir / "SOURCES.md"}.')


def _width_height(text: str) -> tuple[int, int]:
    width, height = text.lower().split('x')
    return int(width), int(height)


if __name__ == '__main__':
    main()
