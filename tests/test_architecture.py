"""The house keeps its arrows: who may import whom, which names there are not, and what every public thing carries."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from mmengine.config import Config

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / 'mmdark').rglob('*.py'))
TOOLS = sorted((ROOT / 'tools').rglob('*.py'))
ROOMS = ('adaptation', 'datasets', 'engine', 'evaluation', 'models')
DAY_FILES = (
    'box_voting',
    'dark_resnet',
    'dark_vgg',
    'dsfd',
    'dual_shot_head',
    'feature_enhance',
    'hard_negatives',
    'multi_scale_tta',
    'pal_head',
)
DARK_WORDS = re.compile(r'dai_?net|dark_?isp|dark_?pair|retinex|reflectance|illumination', re.IGNORECASE)
LOSSES_MAY_IMPORT = re.compile(r'__future__|collections|typing|math|torch|torchmetrics|mmdet\.registry')
LOSSES_MAY_SEE = ('mmdark.adaptation.losses.', 'mmdark.adaptation.dark_pair.')
OF_ONE_DETECTOR = re.compile(r'dsfd|pal_?head|bbox_head|roi_head|rpn_head|dense_heads|\bneck\b|anchor', re.IGNORECASE)
NAMES_THAT_SAY_NOTHING = {'utils.py', 'util.py', 'helpers.py', 'helper.py', 'misc.py', 'common.py'}
BACKBONES = ('DarkResNet', 'DarkVGG')
MAX_LINES = 300


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


def room(name: str) -> str | None:
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


@pytest.mark.parametrize(
    ('line', 'module', 'is_package', 'expected'),
    [
        ('import mmdark.datasets', 'mmdark.models.a', False, 'mmdark.datasets'),
        ('from mmdark import datasets', 'mmdark.models.a', False, 'mmdark.datasets'),
        ('from mmdark.datasets.b import c', 'mmdark.models.a', False, 'mmdark.datasets.b.c'),
        ('from ..datasets import c', 'mmdark.models.a', False, 'mmdark.datasets.c'),
        ('from ...datasets import c', 'mmdark.adaptation.losses.a', False, 'mmdark.datasets.c'),
        ('from .. import datasets', 'mmdark.models', True, 'mmdark.datasets'),
        ('from . import a', 'mmdark.models', True, 'mmdark.models.a'),
        ('from .b import c', 'mmdark.models.a', False, 'mmdark.models.b.c'),
        ('def f():\n    from mmdark.datasets import c', 'mmdark.models.a', False, 'mmdark.datasets.c'),
        ('import importlib\nimportlib.import_module("mmdark.datasets")', 'mmdark.models.a', False, 'mmdark.datasets'),
    ],
)
def test_the_reader_of_imports_sees_them(line: str, module: str, is_package: bool, expected: str) -> None:
    assert expected in imports(line, module, is_package)


def test_rooms_do_not_import_each_other() -> None:
    seen = {name: set() for name in ROOMS}
    for path in SOURCES:
        if (own := room(module_name(path))) in ROOMS:
            seen[own] |= {other for other in map(room, imports_of(path)) if other and other != own}
    allowed = {
        'coco_annotation',
        'compat',
        'config_record',
        'dark_isp',
        'drawing',
        'errors',
        'file_limits',
        'places',
        'registry',
        'whole_file',
    }
    assert [(name, other) for name, others in seen.items() for other in others - allowed] == []
    assert 'dark_isp' in seen['adaptation'] & seen['datasets'] and 'dark_isp' not in seen['models']


def test_nothing_imports_what_stands_above_it() -> None:
    floors = {
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
        'drawing': 1,
        'compat': 2,
        **dict.fromkeys(ROOMS, 3),
        'register': 4,
        'apis': 5,
        'inference': 6,
        'deploy': 7,
        'cli': 8,
    }
    pairs = {
        (own, other)
        for path in SOURCES
        if (own := room(module_name(path))) and path.name != '__main__.py'
        for other in map(room, imports_of(path))
        if other not in (None, own)
    }
    assert {('compat', 'errors'), ('apis', 'errors')} <= pairs
    upward = {(own, other) for own, other in pairs if floors[other] >= floors[own]}
    assert upward == {('apis', 'inference')}, 'mmdark.apis.FaceInferencer, by its name and when it is asked for'


def test_dark_isp_stands_on_torch_alone() -> None:
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


def test_no_drawer_for_odds_and_ends() -> None:
    names = {path.name for folder in ('mmdark', 'tools', 'configs', 'tests') for path in (ROOT / folder).rglob('*.py')}
    assert names & NAMES_THAT_SAY_NOTHING == set()


@pytest.mark.parametrize('path', [*SOURCES, *TOOLS], ids=lambda path: str(path.relative_to(ROOT)))
def test_files_stay_short(path: Path) -> None:
    assert len(path.read_text(encoding='utf-8').splitlines()) <= MAX_LINES


def bare(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, in_class: bool = False) -> Iterator[str]:
    """What a public definition lacks: docstring, annotations; classes with their methods."""
    if node.name.startswith('_') and node.name not in ('__init__', '__call__'):
        return
    if node.name != '__init__' and not ast.get_docstring(node):
        yield f'{node.name} has no docstring'
    if isinstance(node, ast.ClassDef):
        for child in node.body:
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                yield from (f'{node.name}.{fault}' for fault in bare(child, in_class=True))
        return
    arguments = [*node.args.posonlyargs, *node.args.args]
    static = any(getattr(decorator, 'id', '') == 'staticmethod' for decorator in node.decorator_list)
    arguments = arguments[1:] if in_class and not static else arguments
    arguments += [*node.args.kwonlyargs, *filter(None, (node.args.vararg, node.args.kwarg))]
    yield from (f'{node.name}: {a.arg} has no type' for a in arguments if a.annotation is None)
    if node.returns is None:
        yield f'{node.name} has no return type'


def test_the_reader_of_definitions_sees_what_lacks() -> None:
    source = 'class A:\n  """."""\n  def f(self, x, *y: int): ...\n  @staticmethod\n  def g(z) -> None:\n    """."""\n'
    assert list(bare(ast.parse(source).body[0])) == [
        'A.f has no docstring',
        'A.f: x has no type',
        'A.f has no return type',
        'A.g: z has no type',
    ]


@pytest.mark.parametrize('path', [*SOURCES, *TOOLS], ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_public_is_documented_and_typed(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding='utf-8'))
    assert ast.get_docstring(tree)
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    assert [fault for node in tree.body if isinstance(node, definitions) for fault in bare(node)] == []


@pytest.mark.parametrize(
    'path', [path for path in SOURCES if path.name == '__init__.py'], ids=lambda path: module_name(path)
)
def test_packages_re_export_by_name(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding='utf-8'))
    imported = [
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module != '__future__'
        for alias in node.names
    ]
    stated = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == '__all__'
    ]
    assert '*' not in imported
    assert set(imported) == set(*stated)
