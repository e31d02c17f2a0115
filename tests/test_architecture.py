"""Who imports whom, and which words are not used where."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from mmengine.config import Config

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / 'mmdark').rglob('*.py'))
DAY_FILES = (
    'box_voting',
    'dark_resnet',
    'dark_vgg',
    'dsfd',
    'dual_shot_head',
    'feature_enhance',
    'multi_scale_tta',
    'pal_head',
)
DARK_WORDS = re.compile(r'dai_?net|dark_?isp|dark_?pair|retinex|reflectance|illumination', re.IGNORECASE)
LOSSES_MAY_IMPORT = re.compile(r'__future__|collections|typing|math|torch|torchmetrics|mmdet\.registry')
LOSSES_MAY_SEE = ('mmdark.adaptation.losses.', 'mmdark.adaptation.dark_pair.')
OF_ONE_DETECTOR = re.compile(r'dsfd|pal_?head|bbox_head|roi_head|rpn_head|dense_heads|\bneck\b|anchor', re.IGNORECASE)
BACKBONES = ('DarkResNet', 'DarkVGG')
FLOORS = {
    'errors': 0,
    'dark_isp': 0,
    'configs': 1,
    'families': 1,
    'file_limits': 1,
    'whole_file': 1,
    'places': 1,
    'coco_annotation': 2,
    'config_record': 2,
    'registry': 1,
    'protocols': 1,
    'drawing': 1,
    'compat': 2,
    **dict.fromkeys(('adaptation', 'datasets', 'engine', 'evaluation', 'models'), 3),
    'converters': 4,
    'register': 4,
    'apis': 5,
    'inference': 6,
    'deploy': 7,
    'cli': 8,
}
"""Package or module of mmdark → its level: imports go to lower levels only."""


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def imports(source: str, module: str, is_package: bool = False) -> set[str]:
    """Absolute names of all that is imported, ``from a import b`` as ``a.b``; by string, too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ''
            if node.level:
                parents = module.split('.')[: None if is_package and node.level == 1 else is_package - node.level]
                base = '.'.join([*parents, *filter(None, [base])])
            found |= {f'{base}.{alias.name}' for alias in node.names}
        elif isinstance(node, ast.Call) and getattr(node.func, 'attr', '') == 'import_module':
            found |= {argument.value for argument in node.args if isinstance(argument, ast.Constant)}
    return found


def imports_of(path: Path) -> set[str]:
    return imports(path.read_text(encoding='utf-8'), module_name(path), path.name == '__init__.py')


def package(name: str) -> str | None:
    """``mmdark.adaptation.losses.x`` → ``adaptation``."""
    parts = name.split('.')
    return parts[1] if parts[0] == 'mmdark' and len(parts) > 1 else None


def code_words(path: Path) -> Iterator[str]:
    """Every name and string of the code, docstrings left out."""
    tree = ast.parse(path.read_text(encoding='utf-8'))
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.value
        yield from (
            value
            for value in (getattr(node, field, None) for field in ('id', 'attr', 'arg', 'name', 'module'))
            if isinstance(value, str)
        )


def test_imports_go_to_lower_levels() -> None:
    pairs = {
        (importing, imported)
        for path in SOURCES
        if (importing := package(module_name(path))) and path.name != '__main__.py'
        for imported in map(package, imports_of(path))
        if imported not in (None, importing)
    }
    assert {('compat', 'errors'), ('adaptation', 'dark_isp'), ('cli', 'apis')} <= pairs
    assert ('models', 'dark_isp') not in pairs
    upward = {(importing, imported) for importing, imported in pairs if FLOORS[imported] >= FLOORS[importing]}
    assert upward == {('apis', 'inference')}, 'only the lazy mmdark.apis.Inferencer'


def test_dark_isp_imports_torch_only() -> None:
    files = sorted((ROOT / 'mmdark' / 'dark_isp').glob('*.py'))
    names = {name for path in files for name in imports_of(path) if not name.startswith('mmdark.dark_isp.')}
    roots = {name.split('.')[0] for name in names}
    assert roots == {'__future__', 'collections', 'dataclasses', 'functools', 'torch', 'typing'}


def test_losses_import_torch_and_the_registry_only() -> None:
    folder = ROOT / 'mmdark' / 'adaptation' / 'losses'
    files = sorted(folder.glob('*.py'))
    assert len(files) > 4
    for path in files:
        strange = {
            name
            for name in imports_of(path)
            if not LOSSES_MAY_IMPORT.match(name) and not name.startswith(LOSSES_MAY_SEE)
        }
        assert strange == set(), path


def test_dai_net_knows_no_detector_and_no_head() -> None:
    files = sorted((ROOT / 'mmdark' / 'adaptation').rglob('*.py'))
    assert len(files) > 12
    for path in files:
        words = [*code_words(path), *imports_of(path)]
        assert [word for word in words if OF_ONE_DETECTOR.search(word) or 'mmdark.models' in word] == [], path


@pytest.mark.parametrize('name', DAY_FILES)
def test_the_day_detector_knows_no_darkness(name: str) -> None:
    path = ROOT / 'mmdark' / 'models' / f'{name}.py'
    assert [word for word in (*code_words(path), *imports_of(path)) if DARK_WORDS.search(word)] == []


def strings(node: object) -> Iterator[str]:
    """Every key and every string of a config."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield str(key)
            yield from strings(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from strings(value)
    elif isinstance(node, str):
        yield node


@pytest.mark.parametrize('path', sorted((ROOT / 'configs' / 'dsfd').glob('*.py')), ids=lambda path: path.stem)
def test_day_configs_hold_no_darkness(path: Path) -> None:
    """In the whole config with all it inherits; ``DarkVGG`` is a backbone's name, ``mmdark`` the package's."""
    words = [word for word in (*strings(Config.fromfile(path)._cfg_dict), *code_words(path)) if word not in BACKBONES]
    assert len(words) > 100
    dark = [word for word in words if DARK_WORDS.search(word) or 'dark' in word.replace('mmdark', '').lower()]
    assert dark == []


def test_files_stay_short() -> None:
    files = [*SOURCES, *(ROOT / 'tools').rglob('*.py'), *(ROOT / 'benchmarks').glob('*.py')]
    assert [path for path in files if len(path.read_text(encoding='utf-8').splitlines()) > 300] == []
