"""The demo set: deterministic, in the official format, and its boxes are where the faces are.

The oracle for the boxes: instead of portraits, white patches on a black body are pasted into black pictures; the white
extent in the written JPEG must be the annotated box, within one pixel.
"""

import importlib.util
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from mmdark.errors import InputError

SCRIPT = Path(__file__).parents[2] / 'tools' / 'dataset_converters' / 'make_demo_faces.py'
BLACK = {split: [('black', np.zeros((200, 300, 3), np.uint8))] for split in ('train', 'val')}


@pytest.fixture(scope='module')
def demo() -> ModuleType:
    """Load the script from its path."""
    spec = importlib.util.spec_from_file_location('make_demo_faces', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def made(demo: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the default set once."""
    return demo.make_demo_faces(tmp_path_factory.mktemp('demo') / 'faces')


def patch(demo: ModuleType):
    """Return a sprite: a white face off the centre of a black body."""
    image = np.zeros((260, 240, 3), np.uint8)
    image[40:170, 50:150] = 255
    return demo.Sprite(image, np.ones((260, 240), np.float32), (50, 40, 150, 170))


def read(root: Path, split: str) -> dict[str, list[list[int]]]:
    """Read an official annotation file: image name to rows of ten numbers."""
    lines = iter((root / f'wider_face_split/wider_face_{split}_bbx_gt.txt').read_text().splitlines())
    images = {}
    for name in lines:
        count = int(next(lines))
        rows = [[int(number) for number in next(lines).split()] for _ in range(max(count, 1))]
        assert all(len(row) == 10 for row in rows) and (count or rows == [[0] * 10])
        images[name] = rows[:count]
    return images


def contents(root: Path) -> dict[str, bytes]:
    """Return every file below a folder."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob('*') if path.is_file()}


def white_extents(image: np.ndarray, boxes: list[list[int]]) -> list[tuple[int, int, int, int]]:
    """Measure x, y, width, height of the white patch around the centre of each box, at half height of its edges."""
    extents = []
    for x, y, width, height in boxes:
        centre_x, centre_y = x + width // 2, y + height // 2
        # Two profiles through the centre: walk out from it until the level falls below the middle of white and black
        # (black comes out at 0 to 0.18 of white under the exposures drawn).
        white = float(np.median(image[centre_y - 2 : centre_y + 3, centre_x - 2 : centre_x + 3]))
        sides = []
        for profile, centre in ((image[centre_y], centre_x), (image[:, centre_x], centre_y)):
            dark = np.flatnonzero(profile < 0.55 * white)
            first, last = dark[dark < centre].max(initial=-1) + 1, dark[dark > centre].min(initial=len(profile))
            sides.append((first, last - first))
        extents.append((sides[0][0], sides[1][0], sides[0][1], sides[1][1]))
    return extents


def test_counts_and_format(made: Path) -> None:
    """48 and 16 images of 1-4 faces, one in twelve without; every named image exists and none besides."""
    heights = []
    for split, count in (('train', 48), ('val', 16)):
        images = read(made, split)
        folder = made / f'WIDER_{split}' / 'images'
        assert len(images) == count and set(images) == {p.relative_to(folder).as_posix() for p in folder.rglob('*.jpg')}
        assert sum(not rows for rows in images.values()) == count // 12
        assert max(map(len, images.values())) == 4
        for name, rows in images.items():
            height, width = cv2.imread(str(folder / name)).shape[:2]
            assert (width, height) in {(320, 320), (400, 320), (480, 360)}
            boxes = np.array([row[:4] for row in rows]).reshape(-1, 4)
            assert (boxes[:, :2] >= 0).all() and (boxes[:, :2] + boxes[:, 2:] <= (width, height)).all()
            for i, (x, y, w, h) in enumerate(boxes):
                others = np.delete(boxes, i, 0)
                apart = (others[:, 0] >= x + w) | (others[:, 0] + others[:, 2] <= x)
                assert (apart | (others[:, 1] >= y + h) | (others[:, 1] + others[:, 3] <= y)).all()
            heights += boxes[:, 3].tolist()
    assert 17 <= min(heights) < 25 and 120 < max(heights) <= 161


def test_halves_share_no_backdrop(made: Path) -> None:
    """The event folders, named after the backdrops, differ between the halves."""
    events = [{path.name for path in (made / f'WIDER_{split}' / 'images').iterdir()} for split in ('train', 'val')]
    assert len(events[0]) >= 5 and len(events[1]) >= 5 and not events[0] & events[1]


def test_sources_are_named(demo: ModuleType, made: Path) -> None:
    """SOURCES.md names every photograph with a licence."""
    text = (made / 'SOURCES.md').read_text(encoding='utf-8')
    assert all(photograph['file'] in text for photograph in demo.DATA['photographs'].values())
    assert 'Grace Hopper' in text and 'Eileen Collins' in text and 'CC0' in text and 'public domain' in text


@pytest.mark.parametrize('seed', [0, 1, 2])
def test_boxes_are_exact(demo: ModuleType, tmp_path: Path, seed: int) -> None:
    """The white extent found in the JPEG is the annotated box within one pixel."""
    root = demo.make_demo_faces(tmp_path, train=24, val=1, seed=seed, sprites=[patch(demo)], backdrops=BLACK)
    images = read(root, 'train')
    for name, rows in images.items():
        image = cv2.imread(str(root / 'WIDER_train' / 'images' / name), cv2.IMREAD_GRAYSCALE)
        boxes = [row[:4] for row in rows]
        for box, found in zip(boxes, white_extents(image, boxes), strict=True):
            edges = [(b[0], b[1], b[0] + b[2], b[1] + b[3]) for b in (box, found)]
            assert np.abs(np.subtract(*edges)).max() <= 1, (name, box, found)
    assert sum(map(len, images.values())) > 24


def test_every_white_patch_is_annotated(demo: ModuleType, tmp_path: Path) -> None:
    """No face without a box: with the boxes blackened (and a margin for blur), nothing white is left."""
    root = demo.make_demo_faces(tmp_path, train=12, val=1, sprites=[patch(demo)], backdrops=BLACK)
    for name, rows in read(root, 'train').items():
        image = cv2.imread(str(root / 'WIDER_train' / 'images' / name), cv2.IMREAD_GRAYSCALE)
        for x, y, width, height, *_ in rows:
            margin = 3 + height // 10
            image[max(y - margin, 0) : y + height + margin, max(x - margin, 0) : x + width + margin] = 0
        assert image.max() < 60, name  # black at its brightest exposure, and traces of the compression


def test_same_seed_same_bytes(demo: ModuleType, tmp_path: Path) -> None:
    """Two runs agree in every byte; another seed does not."""
    first, second, other = (
        contents(demo.make_demo_faces(tmp_path / name, train=6, val=3, seed=seed))
        for name, seed in (('a', 5), ('b', 5), ('c', 6))
    )
    assert first == second and first != other


def test_second_run_does_nothing(demo: ModuleType, tmp_path: Path) -> None:
    """The same set is left alone; a broken or different one is made anew, without leftovers."""
    arguments = dict(train=4, val=2, sprites=[patch(demo)], backdrops=BLACK)
    root = demo.make_demo_faces(tmp_path, **arguments)
    before, stamps = contents(root), {path: path.stat().st_mtime_ns for path in root.rglob('*')}
    demo.make_demo_faces(tmp_path, **arguments)
    assert {path: path.stat().st_mtime_ns for path in root.rglob('*')} == stamps

    next(root.rglob('*.jpg')).unlink()
    demo.make_demo_faces(tmp_path, **arguments)
    assert contents(root) == before

    mark = root / 'demo.json'
    mark.write_text(mark.read_text()[:-20])  # as if the tool had been stopped
    demo.make_demo_faces(tmp_path, **arguments)
    assert contents(root) == before

    demo.make_demo_faces(tmp_path, **{**arguments, 'train': 2})
    assert len(list(root.rglob('WIDER_train/**/*.jpg'))) == 2
    assert len(read(root, 'train')) == 2


def test_a_real_data_set_is_never_touched(demo: ModuleType, tmp_path: Path) -> None:
    """A WIDER folder without the mark of the tool is refused and left as it is."""
    image = tmp_path / 'WIDER_train' / 'images' / '0--Parade' / 'mine.jpg'
    image.parent.mkdir(parents=True)
    image.write_bytes(b'precious')
    (tmp_path / 'demo.json').write_bytes(b'{}')
    before = contents(tmp_path)
    with pytest.raises(InputError, match='another folder'):
        demo.make_demo_faces(tmp_path, train=1, val=1)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(('module', 'package'), [('matplotlib', 'matplotlib'), ('skimage', 'scikit-image')])
def test_missing_package(
    demo: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, package: str
) -> None:
    """The error is one line with the command that mends it, and nothing is written."""
    find = importlib.util.find_spec
    monkeypatch.setattr(demo.importlib.util, 'find_spec', lambda name: None if name == module else find(name))
    with pytest.raises(InputError, match=f'pip install {package}$') as error:
        demo.make_demo_faces(tmp_path / 'faces')
    assert '\n' not in str(error.value) and not (tmp_path / 'faces').exists()


@pytest.mark.parametrize('wrong', [{'train': 0}, {'val': -1}, {'seed': -1}, {'size': []}, {'size': [(320, 20)]}])
def test_senseless_numbers(demo: ModuleType, tmp_path: Path, wrong: dict) -> None:
    """They are refused before anything is written."""
    with pytest.raises(InputError):
        demo.make_demo_faces(tmp_path / 'faces', **wrong)
    assert not (tmp_path / 'faces').exists()


def test_command_line(demo: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """The options arrive; an unusable folder ends with one line and status 1."""
    monkeypatch.setattr(
        'sys.argv', [SCRIPT.name, str(tmp_path / 'faces'), '--train', '2', '--val', '1', '--size', '96x80']
    )
    demo.main()
    assert str(tmp_path / 'faces') in capsys.readouterr().out
    assert cv2.imread(str(next((tmp_path / 'faces').rglob('*.jpg')))).shape == (80, 96, 3)
    (tmp_path / 'file').touch()
    monkeypatch.setattr('sys.argv', [SCRIPT.name, str(tmp_path / 'file')])
    with pytest.raises(SystemExit, match='file'):
        demo.main()
