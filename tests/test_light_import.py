"""``import mmdark`` is light, one module registers everything, and whatever is imported first works."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.first_imports import OLD_CONFIG

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ('adaptation', 'datasets', 'engine', 'models')
STAND_ABOVE = ('apis', 'deploy', 'inference')
LIGHT = ('cli', 'configs', 'converters', 'dark_isp', 'drawing', 'errors', 'evaluation', 'families', 'whole_file')
METRICS = ('evaluation.coco_face_metric',)
REGISTER = 'mmdark.register'


def python(code: str, *arguments: str) -> str:
    """The last line that a fresh process prints, which finds this mmdark."""
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    command = [sys.executable, '-c', code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.splitlines()[-1]


@pytest.fixture(scope='module')
def first() -> dict[str, list[str] | str]:
    names = [f'mmdark.{name}' for name in (*HEAVY, *LIGHT, *METRICS)]
    code = 'import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name="__main__")'
    return json.loads(python(code, str(ROOT / 'tests' / 'first_imports.py'), REGISTER, OLD_CONFIG, *names))


def stated() -> Iterator[str]:
    """Every class and function whose source has a decorator ``@REGISTRY.register_module(...)``."""
    for path in (ROOT / 'mmdark').rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            for decorator in getattr(node, 'decorator_list', ()):
                if getattr(getattr(decorator, 'func', None), 'attr', '') == 'register_module':
                    yield node.name


def test_importing_mmdark_loads_the_version_alone() -> None:
    code = 'import sys; before = set(sys.modules); import mmdark, json; '
    code += 'print(json.dumps([mmdark.__version__, sorted(set(sys.modules) - before)]))'
    version, modules = json.loads(python(code))
    assert version.count('.') == 2
    strange = {name.split('.')[0] for name in modules} - {'mmdark', 'json', '_json', *sys.stdlib_module_names}
    assert strange == set() and not [name for name in modules if name.startswith('mmdark.')]


def test_register_registers_everything(first: dict[str, list[str] | str]) -> None:
    names = sorted({*stated()})  # LoadPhoto is in two registries
    assert len(names) > 50
    assert first[REGISTER] == names


def test_configs_that_import_mmdark_register_everything(first: dict[str, list[str] | str]) -> None:
    """As those in the checkpoints and work directories of users do."""
    assert first[OLD_CONFIG] == first[REGISTER]


@pytest.mark.parametrize('name', [*HEAVY, *LIGHT, *METRICS])
def test_whatever_is_imported_first_works(name: str, first: dict[str, list[str] | str]) -> None:
    result = first[f'mmdark.{name}']
    assert isinstance(result, list), result
    assert set(result) <= set(first[REGISTER])


@pytest.mark.parametrize('name', STAND_ABOVE)
def test_what_stands_above_registers_first(name: str) -> None:
    tree = ast.parse((ROOT / 'mmdark' / name / '__init__.py').read_text(encoding='utf-8'))
    imported = next(node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom)))
    assert ast.unparse(imported) == f'import {REGISTER}'


def test_every_package_is_tried_here() -> None:
    packages = {path.parent.name for path in (ROOT / 'mmdark').glob('*/__init__.py')}
    assert packages == {*HEAVY, *STAND_ABOVE, *LIGHT, 'compat'} - {'configs', 'errors', 'families', 'whole_file'}
