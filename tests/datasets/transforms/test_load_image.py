"""Photographs of every kind come out as 8-bit BGR; damaged ones are refused in one line."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import mmdark.register  # noqa: F401
from mmdark.datasets.transforms import LoadPhoto
from mmdark.errors import InputError

RGB = (200, 60, 30)


def load(path: Path, **options: object) -> np.ndarray:
    results = LoadPhoto(**options)({'img_path': str(path)})
    img = results['img']
    assert results['img_shape'] == results['ori_shape'] == img.shape[:2]
    assert img.ndim == 3 and img.shape[2] == 3
    return img


def photo(height: int = 48, width: int = 64) -> Image.Image:
    """Noise, so that the file is of some length."""
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    ('mode', 'suffix', 'expected'),
    [
        ('RGB', '.png', RGB),
        ('RGB', '.jpg', RGB),
        ('L', '.jpg', (98, 98, 98)),
        ('L', '.png', (98, 98, 98)),
        ('RGBA', '.png', RGB),
        ('LA', '.png', (98, 98, 98)),
        ('CMYK', '.jpg', RGB),
        ('1', '.png', (255, 255, 255)),
    ],
)
def test_modes(tmp_path: Path, mode: str, suffix: str, expected: tuple[int, int, int]) -> None:
    img = Image.new('RGB', (24, 16), (255,) * 3 if mode == '1' else RGB).convert(mode)
    if mode == 'RGBA':
        img.putalpha(7)
    img.save(tmp_path / f'photo{suffix}')
    loaded = load(tmp_path / f'photo{suffix}')
    assert loaded.dtype == np.uint8 and loaded.shape == (16, 24, 3)
    np.testing.assert_allclose(loaded[8, 12, ::-1], expected, atol=2)


@pytest.mark.parametrize('channels', [1, 3])
def test_16_bit_is_scaled_not_clipped(tmp_path: Path, channels: int) -> None:
    values = np.linspace(0, 65535, 32 * 32).reshape(32, 32).astype(np.uint16)
    values = values if channels == 1 else np.stack([values, values[::-1], values.T], axis=2)
    cv2.imwrite(str(tmp_path / 'deep.png'), values)
    loaded = load(tmp_path / 'deep.png').astype(float)
    expected = values.reshape(32, 32, channels) / 257
    assert np.abs(loaded - expected).max() < 1.01
    assert loaded.max() == 255 and loaded.min() == 0


def test_pixels_are_opencvs(tmp_path: Path) -> None:
    photo().save(tmp_path / 'a.jpg')
    np.testing.assert_array_equal(load(tmp_path / 'a.jpg'), cv2.imread(str(tmp_path / 'a.jpg')))
    assert load(tmp_path / 'a.jpg', to_float32=True).dtype == np.float32


def test_exif_orientation_is_applied_unless_told_otherwise(tmp_path: Path) -> None:
    img = photo(10, 30)
    exif = img.getexif()
    exif[0x0112] = 6
    img.save(tmp_path / 'turned.jpg', exif=exif)
    assert load(tmp_path / 'turned.jpg').shape == (30, 10, 3)
    assert load(tmp_path / 'turned.jpg', color_type='color_ignore_orientation').shape == (10, 30, 3)


def test_one_pixel(tmp_path: Path) -> None:
    photo(1, 1).save(tmp_path / 'one.png')
    assert load(tmp_path / 'one.png').shape == (1, 1, 3)


def refused(path: Path, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        load(path)
    message = str(caught.value)
    assert str(path) in message and 'annotation' in message and '\n' not in message
    assert LoadPhoto(ignore_empty=True)({'img_path': str(path)}) is None


def test_missing(tmp_path: Path) -> None:
    refused(tmp_path / 'gone.jpg', 'No such file')


def test_folder_in_place_of_a_file(tmp_path: Path) -> None:
    refused(tmp_path, 'cannot be read')


def test_zero_bytes(tmp_path: Path) -> None:
    (tmp_path / 'empty.jpg').touch()
    refused(tmp_path / 'empty.jpg', '0 bytes')


@pytest.mark.parametrize('suffix', ['.jpg', '.png'])
@pytest.mark.parametrize('part', [0.05, 0.5, 0.99])
def test_cut_off(tmp_path: Path, suffix: str, part: float) -> None:
    path = tmp_path / f'cut{suffix}'
    photo().save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    refused(path, 'cut off')


def test_cut_off_after_a_complete_thumbnail(tmp_path: Path) -> None:
    thumbnail, path = tmp_path / 'thumbnail.jpg', tmp_path / 'photo.jpg'
    photo(8, 8).save(thumbnail)
    segment = b'Exif\0\0' + thumbnail.read_bytes()
    photo().save(path)
    content = path.read_bytes()
    content = content[:2] + b'\xff\xe1' + (len(segment) + 2).to_bytes(2, 'big') + segment + content[2:]
    path.write_bytes(content[:-200])
    refused(path, 'cut off')
    path.write_bytes(content + b'trailing bytes that do no harm')
    assert load(path).shape == (48, 64, 3)


@pytest.mark.parametrize('progressive', [False, True])
def test_complete_jpegs_of_both_kinds_load(tmp_path: Path, progressive: bool) -> None:
    photo().save(tmp_path / 'a.jpg', progressive=progressive)
    assert load(tmp_path / 'a.jpg').shape == (48, 64, 3)


def test_no_image_at_all(tmp_path: Path) -> None:
    (tmp_path / 'page.jpg').write_text('<html>404</html>')
    refused(tmp_path / 'page.jpg', 'cannot be decoded')


def test_unknown_color_type() -> None:
    with pytest.raises(InputError, match='unchanged'):
        LoadPhoto(color_type='unchanged')


def test_a_file_damaged_inside_is_used_and_named_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, lines = tmp_path / 'night.jpg', []
    photo().save(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 200] = bytes(200)
    path.write_bytes(content)
    monkeypatch.setattr('mmdark.datasets.transforms.load_image.print_log', lambda line, *_: lines.append(line))
    step = LoadPhoto()
    assert step({'img_path': str(path)})['img'].shape == step({'img_path': str(path)})['img'].shape == (48, 64, 3)
    (line,) = lines
    assert line.startswith(f'image {path} is damaged inside (') and '\n' not in line


@pytest.mark.parametrize('progressive', [False, True])
def test_a_jpeg_without_its_end_marker_is_whole(tmp_path: Path, progressive: bool) -> None:
    whole, cut = tmp_path / 'whole.jpg', tmp_path / 'cut.jpg'
    photo().save(whole, progressive=progressive)
    cut.write_bytes(whole.read_bytes()[:-2])
    np.testing.assert_array_equal(load(cut), load(whole))


@pytest.mark.parametrize('orientation', range(1, 9))
def test_a_turned_tiff_is_read_as_a_turned_png(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo(10, 30).save(tmp_path / 'a.tif', exif=exif)
    photo(10, 30).save(tmp_path / 'a.png', exif=exif)
    for color_type in ('color', 'color_ignore_orientation'):
        tiff, png = (load(tmp_path / name, color_type=color_type) for name in ('a.tif', 'a.png'))
        np.testing.assert_array_equal(tiff, png)


@pytest.mark.parametrize('compression', [None, 'tiff_lzw', 'tiff_adobe_deflate'])
def test_a_transparent_tiff_is_read_as_a_transparent_png(tmp_path: Path, compression: str | None) -> None:
    image = photo()
    image.putalpha(90)
    image.save(tmp_path / 'a.tif', compression=compression)
    image.save(tmp_path / 'a.png')
    np.testing.assert_array_equal(load(tmp_path / 'a.tif'), load(tmp_path / 'a.png'))


@pytest.mark.parametrize('channels', [1, 3])
def test_16_bit_tiff(tmp_path: Path, channels: int) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (8, 9, channels), np.uint16)
    cv2.imwrite(str(tmp_path / 'deep.tif'), values.squeeze())
    assert np.abs(load(tmp_path / 'deep.tif').astype(int) - (values >> 8)).max() <= 1


@pytest.mark.parametrize('compression', ['tiff_lzw', 'tiff_adobe_deflate'])
def test_a_damaged_tiff(tmp_path: Path, compression: str) -> None:
    path = tmp_path / 'a.tif'
    photo(200, 200).save(path, compression=compression)
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : len(content) // 2] = bytes(len(content) // 2 - len(content) // 3)
    path.write_bytes(content)
    refused(path, 'cannot be decoded')


def test_fractions_are_refused(tmp_path: Path) -> None:
    Image.new('F', (8, 8), 0.5).save(tmp_path / 'a.tif')
    refused(tmp_path / 'a.tif', 'holds fractions')
