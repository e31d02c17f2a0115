"""``mmdark doctor`` in environments that were broken for it; each is a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from mmdark.cli import doctor, main
from mmdark.cli.doctor import required_versions, shown

ROOT = Path(__file__).resolve().parents[2]
BLOCK = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] == {module!r}:
            raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)
sys.meta_path.insert(0, Block())
"""
FORGET = """
import importlib.metadata as metadata
version = metadata.version
def forgetful(name):
    if name in {names!r}:
        raise metadata.PackageNotFoundError(name)
    return version(name)
metadata.version = forgetful
"""


def run_doctor(folder: Path, start: str = '') -> subprocess.CompletedProcess:
    """Run it in ``folder``, after ``start``."""
    (folder / 'sitecustomize.py').write_text(start)
    environment = {'PYTHONPATH': f'{folder}:{ROOT}', 'OMP_NUM_THREADS': '1', 'PATH': '', 'HOME': str(folder)}
    command = [sys.executable, '-m', 'mmdark.cli', 'doctor']
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environment)


def rows(said: str) -> dict[str, tuple[str, str]]:
    """What → state and what was found with what to do, of the table."""
    found = re.findall(r'^(ok|note|WRONG) +(\S.{12}) (.*(?:\n +-> .*)?)$', said, re.MULTILINE)
    return {what.strip(): (state, text) for state, what, text in found}


def test_a_sound_environment(tmp_path: Path) -> None:
    (tmp_path / 'data' / 'wider').mkdir(parents=True)
    done = run_doctor(tmp_path)
    table = rows(done.stdout)
    assert done.returncode == 0 and done.stderr == '', done.stdout + done.stderr
    assert 'Detection can run.' in done.stdout
    assert {
        'Python',
        'torch',
        'mmengine',
        'mmcv',
        'mmdet',
        'mmdark starts',
        'device',
        'weights',
        'disk',
    } <= table.keys()
    assert 'WRONG' not in {state for state, _ in table.values()}
    assert table['WIDER FACE'] == ('ok', 'data/wider')
    assert all(table[name][0] == 'note' and '-> ' in table[name][1] for name in ('DARK FACE', 'ExDark'))


@pytest.mark.parametrize(
    ('module', 'names', 'remedy'),
    [
        ('torch', ('torch',), 'pip install torch>=2.1'),
        ('mmcv', ('mmcv', 'mmcv-lite', 'onedl-mmcv'), "pip install 'mmdark[openmmlab]'"),
        ('rich', ('rich',), "pip install 'rich'"),
    ],
)
def test_what_is_missing_is_named_with_what_to_do(
    tmp_path: Path, module: str, names: tuple[str, ...], remedy: str
) -> None:
    done = run_doctor(tmp_path, BLOCK.format(module=module) + FORGET.format(names=names))
    table = rows(done.stdout)
    assert done.returncode == 1 and 'Traceback' not in done.stderr, done.stderr
    assert table['mmdark starts'][0] == 'WRONG'
    assert 'Detection cannot run' in done.stdout
    assert table[module][0] == 'WRONG' and table[module][1].startswith('not installed')
    assert remedy in table[module][1].replace("'torch>=2.1'", 'torch>=2.1')


def of(state: str, what: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What the doctor says in this process of something that must be in this state."""
    status = main(['doctor'])
    table = rows(capsys.readouterr().out)
    assert table[what][0] == state
    assert status == 1 or state != 'WRONG'
    assert table['torch'][0] == table['disk'][0] == 'ok'  # no other row is lost to it
    return table[what][1]


def package(folder: Path, name: str, version: str) -> None:
    info = folder / f'{name.replace("-", "_")}-{version}.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n')


def test_a_package_that_does_not_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / 'torchmetrics.py').write_text('raise OSError("libfoo.so: cannot open")')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'torchmetrics', raising=False)
    said = of('WRONG', 'torchmetrics', capsys)
    assert 'does not import (OSError: libfoo.so: cannot open)' in said
    assert '-> pip install --force-reinstall --no-deps torchmetrics==' in said


def test_a_package_that_torchvision_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Reinstalling it would not help."""
    (tmp_path / 'torchmetrics.py').write_text('raise RuntimeError("operator torchvision::nms does not exist")')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'torchmetrics', raising=False)
    said = of('WRONG', 'torchmetrics', capsys)
    assert '-> install the torchvision for this torch (see pytorch.org), or pip uninstall torchvision' in said


def test_a_version_that_does_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not required_versions():
        pytest.skip('mmdark is on the path but not installed, so it states no versions')
    package(tmp_path, 'torchmetrics', '0.0.1')
    package(tmp_path, 'numpy', '99')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(
        doctor, 'required_versions', lambda: {'torchmetrics': SpecifierSet('<2.0,>=1.0'), 'numpy': SpecifierSet('>=2')}
    )
    said = of('WRONG', 'torchmetrics', capsys)
    assert said.startswith('torchmetrics 0.0.1 does not fit') and "-> pip install 'torchmetrics>=1.0,<2.0'" in said
    assert of('ok', 'numpy', capsys) == 'numpy 99'


def test_the_bounds_are_those_of_the_installation() -> None:
    bounds = required_versions()
    if not bounds:
        pytest.skip('mmdark is on the path but not installed, so it states no versions')
    assert (shown(bounds['torch']), shown(bounds['mmdet'])) == ('>=2.1', '>=3.3.0,<3.4.0')


def test_both_families_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    package(tmp_path, 'onedl-mmcv', '2.3.6')
    package(tmp_path, 'mmdet', '3.3.0')
    monkeypatch.syspath_prepend(tmp_path)
    said = of('WRONG', 'two families', capsys)
    assert 'onedl-mmcv' in said and 'fresh environment' in said
