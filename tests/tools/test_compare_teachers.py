"""The tool that compares teachers: its table, its pictures, and one line where something is wrong."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
import torch
from PIL import Image

from mmdark.adaptation import RetinexNet
from parity.teachers import load_teacher, measure, read_pairs
from tests.tiny_wider import ROOT, write_wider

TOOL = ROOT / 'tools' / 'analysis_tools' / 'compare_teachers.py'


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return write_wider(tmp_path / 'wider', train=1, val=3) / 'WIDER_val'


def published(path: Path, seed: int) -> Path:
    """A teacher of the published width with random weights under their published names."""
    torch.manual_seed(seed)
    net = RetinexNet()
    torch.save({old: net.state_dict()[new] for old, new in net.published_names().items()}, path)
    return path


def compare(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr('sys.argv', [str(TOOL), *map(str, arguments)])
    runpy.run_path(str(TOOL), run_name='__main__')


def test_table_and_pictures(
    tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """From any directory; the numbers are those of a second reckoning, the pictures have a place for each teacher."""
    monkeypatch.chdir(tmp_path)
    files = [published(tmp_path / 'a.pth', 1), published(tmp_path / 'b.tar', 2)]
    compare(
        monkeypatch, *files, '--images', images, '--seed', 5, '--long-side', 48, '--out', 'new/t.md', '--pictures', 'p'
    )
    table = capsys.readouterr().out
    assert table == (tmp_path / 'new' / 't.md').read_text()
    head, _, *rows = [re.split(r' \| ', line.strip('| ')) for line in table.splitlines()]
    assert head == ['images: 3, long side: 48 px at most, seed of the dark: 5', 'a.pth', 'b.tar']
    pairs = list(read_pairs(sorted(images.rglob('*.jpg')), seed=5, long_side=48))
    assert pairs[0].light.shape == (1, 3, 40, 48)
    for column, file in enumerate(files, 1):
        teacher = load_teacher(str(file))
        values = [measure(pair, teacher(pair.light), teacher(pair.dark)) for pair in pairs]
        means = [sum(of_image[key] for of_image in values) / 3 for key in values[0]]
        assert [float(row[column].split(' ± ')[0]) for row in rows] == pytest.approx(means, abs=6e-5)
    pictures = sorted((tmp_path / 'p').iterdir())
    assert [picture.name for picture in pictures] == ['val_0.png', 'val_1.png', 'val_2.png']
    wide = Image.open(pictures[0]).width
    compare(monkeypatch, '--images', images, '--number', 1, '--long-side', 32, '--pictures', 'one')
    assert capsys.readouterr().out.splitlines()[0].endswith('| retinexnet_wider.pth |')
    assert Image.open(tmp_path / 'one' / 'val_0.png').width < 0.7 * wide


@pytest.mark.parametrize(
    ('arguments', 'line'),
    [
        (['{tmp}/none.pth'], 'error: RetinexNet starts from {tmp}/none.pth, which does not exist'),
        (
            ['mmdark://other.pth'],
            'error: mmdark://other.pth does not come with mmdark: name mmdark://dsfd_dark_lite_wider.pth, ',
        ),
        (
            ['{tmp}/vgg.pth'],
            "error: {tmp}/vgg.pth does not hold the published weights of RetinexNet: it lacks 'net1_conv",
        ),
        (['--images', '{tmp}/none'], 'error: --images {tmp}/none is no folder'),
        (['--long-side', '4'], 'error: --long-side 4: at least 16 pixels are needed'),
        (['--number', '0'], 'error: --number 0: at least one image is needed'),
        (['--long-side', '16', '--out', '{tmp}/vgg.pth/t.md'], 'error: --out {tmp}/vgg.pth/t.md cannot be written'),
        (['--long-side', '16', '--pictures', '{tmp}/vgg.pth'], 'error: {tmp}/vgg.pth/val_0.png cannot be written'),
    ],
)
def test_one_line_says_what_is_wrong(
    tmp_path: Path, images: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], line: str
) -> None:
    torch.save({'0.weight': torch.zeros(1)}, tmp_path / 'vgg.pth')
    given = [argument.format(tmp=tmp_path) for argument in arguments]
    with pytest.raises(SystemExit) as caught:
        compare(monkeypatch, *([] if '--images' in given else ['--images', images]), *given)
    assert str(caught.value).startswith(line.format(tmp=tmp_path)) and '\n' not in str(caught.value)
