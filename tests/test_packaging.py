"""What is packed: the wheel with what ``mim train|test mmdark`` looks for, and requirements of no one family."""

import os
import re
import shutil
import subprocess
import sys
import venv
from email.message import Message
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest

import mmdark

ROOT = Path(__file__).resolve().parents[1]
FOR_A_CLONE = ('benchmark.py', 'gpu_report.py', 'peers.py', 'check_parity.py', 'compare_teachers.py')
"""They run what stands in benchmarks/ and parity/, which are not in the wheel."""


@pytest.fixture(scope='module')
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    folder = tmp_path_factory.mktemp('wheel')
    options = ['--no-deps', '--no-build-isolation', '--no-index', '--quiet', '--disable-pip-version-check']
    command = [sys.executable, '-m', 'pip', 'wheel', *options, '--wheel-dir', str(folder), str(copy_of_sources(folder))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob('*.whl')
    return ZipFile(path)


def copy_of_sources(folder: Path, name: str = 'sources') -> Path:
    """The files that packaging reads; in the repository itself the build would leave its build/ behind."""
    copy = folder / name
    skip = shutil.ignore_patterns('__pycache__', '.mim', '*.egg-info')
    for name in ('mmdark', 'configs', 'tools', 'requirements'):
        shutil.copytree(ROOT / name, copy / name, ignore=skip)
    for name in ('setup.py', 'pyproject.toml', 'MANIFEST.in', 'LICENSE', 'README.md', 'model-index.yml'):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, copy / name)
    return copy


@pytest.fixture(scope='module')
def metadata(wheel: ZipFile) -> Message:
    (name,) = (name for name in wheel.namelist() if name.endswith('.dist-info/METADATA'))
    return Parser().parsestr(wheel.read(name).decode())


def packed(wheel: ZipFile, prefix: str) -> set[str]:
    return {name.removeprefix(prefix) for name in wheel.namelist() if name.startswith(prefix)}


def on_disk(folder: str, *suffixes: str) -> set[str]:
    paths = (path for path in (ROOT / folder).rglob('*') if path.suffix in suffixes and '.mim' not in path.parts)
    return {path.relative_to(ROOT / folder).as_posix() for path in paths}


def test_every_module_is_in_the_wheel(wheel: ZipFile) -> None:
    """And py.typed and the weights that come with mmdark."""
    files = {name for name in packed(wheel, 'mmdark/') if not name.startswith('.mim/')}
    assert files == on_disk('mmdark', '.py', '.pth', '.onnx') | {'py.typed'}
    shipped = 'models/retinexnet_wider.pth'
    assert wheel.read(f'mmdark/{shipped}') == (ROOT / 'mmdark' / shipped).read_bytes()


def test_the_wheel_holds_nothing_but_mmdark(wheel: ZipFile) -> None:
    assert {name.split('/')[0] for name in wheel.namelist()} == {'mmdark', f'mmdark-{mmdark.__version__}.dist-info'}
    assert not [name for name in wheel.namelist() if '__pycache__' in name]


@pytest.mark.parametrize('folder', ['configs', 'tools'])
def test_mim_finds_configs_and_tools(wheel: ZipFile, folder: str) -> None:
    missing = on_disk(folder, '.py', '.sh') - packed(wheel, f'mmdark/.mim/{folder}/')
    for_a_clone = {f'analysis_tools/{name}' for name in FOR_A_CLONE}
    assert missing == (for_a_clone if folder == 'tools' else set())
    assert 'mmdark/.mim/model-index.yml' in wheel.namelist()


def test_the_model_index_names_configs_that_exist() -> None:
    configs = re.findall(r'Config: (\S+)', (ROOT / 'model-index.yml').read_text())
    assert configs
    assert not [config for config in configs if not (ROOT / config).is_file()]


def test_the_wheel_writes_its_configs_out(wheel: ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path / 'packages')
    code = """
from mmdark.cli import main
from mmdark.apis import load_config
main(['config', 'dsfd_dark_lite_wider', '--out', 'all.py'])
main(['config', 'dsfd_dark_lite_wider', '--out', 'heir.py', '--inherit'])
both = [load_config(path, work_dir='same').to_dict() for path in ('all.py', 'heir.py')]
print(both[0]['model'] == both[1]['model'], both[0].keys() - both[1].keys())
"""
    done = subprocess.run(
        [sys.executable, '-c', code],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, 'PYTHONPATH': str(tmp_path / 'packages')},
    )
    assert done.stdout.splitlines()[-1] == 'True set()'
    assert f"['{tmp_path}/packages/mmdark/.mim/configs/" in (tmp_path / 'heir.py').read_text()


def test_version_is_stated_once(metadata: Message) -> None:
    assert metadata['Version'] == mmdark.__version__
    assert metadata['Requires-Python'] == '>=3.10'


def test_required_packages_belong_to_no_family(metadata: Message) -> None:
    required = [line for line in metadata.get_all('Requires-Dist') if 'extra ==' not in line]
    known = {
        'matplotlib',
        'numpy',
        'opencv-python',
        'packaging',
        'pillow',
        'pyyaml',
        'rich',
        'scipy',
        'torch',
        'torchmetrics',
    }
    assert {re.match(r'[\w-]+', line)[0] for line in required} == known


@pytest.mark.parametrize(
    ('extra', 'packages'),
    [
        ('openmmlab', {'mmcv-lite', 'mmdet', 'mmengine'}),
        ('openmmlab-full', {'mmcv', 'mmdet', 'mmengine'}),
        ('onedl', {'onedl-mmcv', 'onedl-mmdetection', 'onedl-mmengine'}),
    ],
)
def test_each_extra_brings_one_whole_family(metadata: Message, extra: str, packages: set[str]) -> None:
    lines = [line for line in metadata.get_all('Requires-Dist') if re.search(rf'extra == .{extra}.$', line)]
    assert {re.match(r'[\w-]+', line)[0] for line in lines} == packages


def test_every_required_package_is_pinned() -> None:
    constraints = (ROOT / 'requirements' / 'constraints.txt').read_text()
    pinned = set(re.findall(r'^([\w-]+)==', constraints, re.MULTILINE))
    files = [path for path in (ROOT / 'requirements').glob('*.txt') if path.name != 'constraints.txt']
    named = {re.match(r'[\w-]+', line)[0] for path in files for line in path.read_text().splitlines() if line}
    assert named <= pinned


@pytest.mark.parametrize('here', ['beside the clone', 'in the clone', 'elsewhere'])
def test_an_editable_install_is_found_from_any_folder(editable: tuple[Path, Path], here: str, tmp_path: Path) -> None:
    """Also where the clone's folder is named mmdark, as git names it, and the current folder holds it."""
    clone, python = editable
    folder = {'beside the clone': clone.parent, 'in the clone': clone, 'elsewhere': tmp_path}[here]
    code = 'import mmdark.cli; print(mmdark.__file__)'
    (folder / 'script.py').write_text(code)
    for arguments in (['-c', code], ['script.py'], ['-m', 'mmdark.cli', '--version']):
        done = subprocess.run(
            [python, *arguments], capture_output=True, text=True, check=False, cwd=folder, env={'PATH': ''}
        )
        expected = f'mmdark {mmdark.__version__}' if '-m' in arguments else str(clone / 'mmdark' / '__init__.py')
        assert done.stdout.strip() == expected, done.stderr


@pytest.fixture(scope='module')
def editable(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A clone, and the Python of an environment that holds nothing but its editable install."""
    folder = tmp_path_factory.mktemp('editable')
    clone = copy_of_sources(folder, 'mmdark')
    code = f'from setuptools import build_meta; build_meta.build_editable({str(folder)!r})'
    subprocess.run([sys.executable, '-c', code], capture_output=True, check=True, cwd=clone)
    venv.create(folder / 'venv')
    (packages,) = (folder / 'venv').glob('lib/python*/site-packages')
    ZipFile(*folder.glob('*.whl')).extractall(packages)
    return clone, folder / 'venv' / 'bin' / 'python'
