"""Every form that a photograph comes in is found once, in order, and read upright as BGR."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mmdark.errors import InputError
from mmdark.inference import each_source, image_sources
from mmdark.inference.read_ahead import read_ahead

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ('b.png', 'a.PNG', 'below/c.png', '.hidden.png', '.cache/d.png', 'note.txt', '10.bmp'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(cv2.imencode('.png', PIXELS)[1].tobytes())
    return tmp_path


def names(inputs: object, folder: Path) -> list[str]:
    return [str(Path(source.name).relative_to(folder)) for source in image_sources(inputs)]


def test_folders_patterns_and_lists(folder: Path) -> None:
    every = ['10.bmp', 'a.PNG', 'b.png', 'below/c.png']
    assert names(folder, folder) == names(f'{folder}/', folder) == every
    assert names(f'{folder}/*', folder) == every[:3]
    assert names(f'{folder}/**/*.png', folder) == ['b.png', 'below/c.png']
    assert names([folder / 'below', f'{folder}/[ab].*', str(folder / 'gone.jpg')], folder) == [
        'below/c.png',
        'a.PNG',
        'b.png',
        'gone.jpg',
    ]
    assert names(folder / 'note.txt', folder) == ['note.txt'], 'what is named is taken, whatever its name'
    (folder / 'x[1].png').write_bytes((folder / 'b.png').read_bytes())
    assert names(str(folder / 'x[1].png'), folder) == ['x[1].png'], 'a file that looks like a pattern'
    assert (image_sources(folder / 'b.png')[0].read() == PIXELS).all()


def test_pixels_in_memory_become_what_the_file_would_be() -> None:
    grey = PIXELS[..., 0]
    alpha = np.dstack([PIXELS, grey])
    deep = PIXELS.astype(np.uint16) * 257
    inputs = [PIXELS, grey, grey[..., None], alpha, deep, Image.fromarray(PIXELS[..., ::-1]), PIXELS[:, ::2]]
    sources = image_sources(inputs)
    assert [source.name for source in sources] == [f'array {index}' for index in range(7)]
    read = [source.read() for source in sources]
    repeated = np.dstack([grey] * 3)
    for image, expected in zip(read, [PIXELS, repeated, repeated, PIXELS, PIXELS, PIXELS, PIXELS[:, ::2]], strict=True):
        assert image.dtype == np.uint8 and image.flags.c_contiguous and (image == expected).all()
    assert len(image_sources(np.stack([PIXELS] * 3))) == 3 and len(image_sources(PIXELS)) == 1
    assert len(image_sources(Image.new('L', (3, 3)))) == 1


def test_orientation_is_that_of_a_viewer(tmp_path: Path) -> None:
    """Orientation 6: a viewer turns the stored pixels by 90 degrees, clockwise."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(PIXELS[..., ::-1]).save(tmp_path / 'turned.png', exif=exif)
    upright = np.rot90(PIXELS, -1)
    with Image.open(tmp_path / 'turned.png') as opened:
        from_file, from_pil = (image_sources(one)[0].read() for one in (tmp_path / 'turned.png', opened))
    assert (from_pil == upright).all()
    assert (from_file == upright).all()


def test_what_cannot_be_read_says_why_without_its_name(folder: Path) -> None:
    whole = (folder / 'b.png').read_bytes()
    (folder / 'cut: 1.png').write_bytes(whole[:-20])
    (folder / 'empty.png').write_bytes(b'')
    (folder / 'text.jpg').write_text('no image')
    reasons = []
    for name in ('cut: 1.png', 'empty.png', 'text.jpg', 'gone.png'):
        with pytest.raises(InputError) as caught:
            image_sources([str(folder / name)])[0].read()
        reasons.append(str(caught.value))
    assert reasons == [
        f'cut off (its end is missing after {len(whole) - 20} bytes)',
        'empty (0 bytes)',
        'cannot be decoded (8 bytes, damaged or no image)',
        'cannot be read (No such file or directory)',
    ]
    for wrong, line in (
        (PIXELS / 255.0, r'an array of float64: give uint8'),
        (np.zeros((4, 4, 2), np.uint8), r'shape \(4, 4, 2\)'),
        (np.zeros((0, 4, 3), np.uint8), r'shape \(0, 4, 3\)'),
    ):
        with pytest.raises(InputError, match=line):
            image_sources([wrong])[0].read()


@pytest.mark.parametrize(
    'mode', ['1', 'L', 'LA', 'La', 'P', 'PA', 'RGB', 'RGBA', 'RGBa', 'RGBX', 'CMYK', 'YCbCr', 'HSV']
)
def test_pil_images_of_every_mode(mode: str) -> None:
    """A colour that all of them can hold, or nearly."""
    steps = {'La': ['LA', 'La'], 'RGBa': ['RGBA', 'RGBa'], 'PA': ['P', 'PA']}.get(mode, [mode])
    image = Image.new('RGB', (5, 4), (255, 255, 255))
    for step in steps:
        image = image.convert(step)
    (read,) = (source.read() for source in image_sources(image))
    assert read.shape == (4, 5, 3) and read.dtype == np.uint8 and read.min() >= 254


@pytest.mark.parametrize('mode', ['I;16', 'I;16L', 'I;16B', 'I'])
def test_deep_pil_images_give_the_upper_8_bits_as_files_do(mode: str, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (6, 9), np.uint16)
    cv2.imwrite(str(tmp_path / 'deep.png'), values)
    kind = '>u2' if mode == 'I;16B' else '<i4' if mode == 'I' else '<u2'
    image = Image.frombytes(mode, (9, 6), values.astype(kind).tobytes())
    from_file, from_pil = (source.read() for source in image_sources([tmp_path / 'deep.png', image]))
    assert (from_pil == (values >> 8)[..., None]).all()
    assert np.abs(from_file.astype(int) - from_pil).max() <= 1


def test_pil_images_that_cannot_be_used_are_broken_and_the_others_go_on(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).resize((90, 60)).save(tmp_path / 'a.png')
    (tmp_path / 'cut.png').write_bytes((tmp_path / 'a.png').read_bytes()[:-99])
    closed = Image.open(tmp_path / 'a.png')
    closed.close()
    inputs = [
        Image.fromarray(PIXELS[..., ::-1]),
        Image.open(tmp_path / 'cut.png'),
        closed,
        Image.new('RGB', (0, 0)),
        Image.new('F', (3, 3)),
        Image.new('I', (3, 3), 70000),
    ]
    read = [image for _, image in read_ahead(each_source(inputs), 0)]
    assert (read[0] == PIXELS).all()
    assert all(isinstance(one, InputError) and '\n' not in str(one) for one in read[1:])
    lines = [str(one) for one in read[1:]]
    for line, said in zip(
        lines, ['cannot be decoded', 'cannot be decoded', '0 x 0', 'fractions', '70000'], strict=True
    ):
        assert said in line


def test_a_file_damaged_inside_is_read_and_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    cv2.imwrite(str(tmp_path / 'a.jpg'), np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8))
    content = (tmp_path / 'a.jpg').read_bytes()
    (tmp_path / 'a.jpg').write_bytes(content[: len(content) // 2] + b'\xff\xd9')
    assert image_sources(tmp_path / 'a.jpg')[0].read().shape == (60, 90, 3)
    assert f'{tmp_path / "a.jpg"} is damaged inside (its compressed data end too early)' in capfd.readouterr().err


def test_inputs_that_are_none(folder: Path) -> None:
    (folder / 'nothing').mkdir()
    for wrong, line in (
        ('https://example.org/a.jpg', 'does not download'),
        (['http://example.org/a.jpg'], 'does not download'),
        (folder / 'nothing', 'holds no image'),
        (f'{folder}/*.webp', 'matches no image'),
        (folder / 'gone.jpg', 'does not exist'),
        ([folder / 'gone'], 'does not exist'),
        (3, 'input 0 is of type int'),
        ([PIXELS, None], 'input 1 is of type NoneType'),
    ):
        with pytest.raises(InputError, match=line) as caught:
            image_sources(wrong)
        assert '\n' not in str(caught.value)


def test_a_generator_is_taken_one_at_a_time() -> None:
    taken = []

    def arrays() -> object:
        for index in range(5):
            taken.append(index)
            yield PIXELS

    sources = each_source(arrays())
    next(sources)
    assert taken == [0]
    assert next(sources).name == 'array 1'
