"""What the README, CONTRIBUTING.md and the pages of docs/ say is there: paths, options, keys of configs, links."""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import pkgutil
import re
import shlex
from pathlib import Path

import pytest
from mmdet import registry
from mmengine.config import Config, DictAction
from mmengine.registry import Registry
from torch.utils.data import DataLoader

from mmdark.apis import find_config, load_config
from mmdark.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
MAIN = 'configs/dsfd_dark_wider.py'
README, CHINESE = 'README.md', 'README_zh-CN.md'
DOCS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / 'docs').rglob('*.md'))
PAGES = {name: (ROOT / name).read_text(encoding='utf-8') for name in (README, CHINESE, 'CONTRIBUTING.md', *DOCS)}
ALL = '\n'.join(PAGES.values())
INDEX = 'docs/README.md'
MADE = 'configs/mine'
"""Where a reader of docs/extend.md puts configs; test_extend.py does so, too."""
READERS = 'my_detector_dark.py'
"""The config that docs/adaptation.md writes; this one is like it."""
LIKE_READERS = 'examples/atss_shapes_dark.py'
PAPER = PAGES['docs/paper.md']
ROOMS = (
    '.ci',
    'benchmarks',
    'configs',
    'docker',
    'docs',
    'examples',
    'mmdark',
    'parity',
    'requirements',
    'tests',
    'tools',
)
# The script behind each shell script that hands its arguments on.
BEHIND = {
    'tools/dist_train.sh': 'tools/train.py',
    'tools/dist_test.sh': 'tools/test.py',
    'tools/slurm_train.sh': 'tools/train.py',
    'tools/slurm_test.sh': 'tools/test.py',
    'tools/quickstart.sh': 'tools/quickstart.py',
    'tools/train_minutes.sh': 'tools/train.py',
    'tests/run.sh': 'tools/setup_env.sh',
}
FOREIGN = ('docker', 'mim', 'mkdocs', 'pip', '.venv/bin/ruff')
REGISTRIES = [value for value in vars(registry).values() if isinstance(value, Registry)]


def blocks(language: str, text: str = ALL) -> list[str]:
    return re.findall(rf'^```{language}\n(.*?)^```$', text, re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    """The words of each command: whole lines of the bash blocks, and what stands in backticks."""
    lines = '\n'.join(blocks('bash')).replace('\\\n', ' ').splitlines()
    prose = re.sub(r'^```.*?^```$', '', ALL, flags=re.MULTILINE | re.DOTALL)
    lines += re.findall(r'`((?:bash|python|mmdark|--)[^`]*)`', prose)
    split = [shlex.split(part, comments=True) for line in lines for part in line.split('&&')]
    return [words for words in split if words]


def tool_of(words: list[str]) -> str | None:
    if words[0] == 'mmdark':
        return f'mmdark {words[1]}' if words[1:] and words[1] in COMMANDS else None
    return next((word for word in words if re.fullmatch(r'(tools|tests)/[\w/]+\.(py|sh)', word)), None)


def options_of_command(command: str) -> set[str]:
    module = importlib.import_module(f'mmdark.cli.{command}')
    if hasattr(module, 'parser'):
        return set(module.parser()._option_string_actions)
    return set(re.findall(r"add_argument\(\s*'(--[\w-]+)'", inspect.getsource(module)))


def options_of(tool: str) -> set[str]:
    """The options that a tool's own source declares."""
    if tool.startswith('mmdark '):
        return options_of_command(tool.split()[1])
    text = (ROOT / BEHIND.get(tool, tool)).read_text(encoding='utf-8')
    if shim := re.search(r"run_tool\('(\w+)'\)", text):
        return options_of_command(shim[1])
    if shim := re.search(r'^from ((?:benchmarks|parity)\.\w+) import main', text, re.MULTILINE):
        text = inspect.getsource(importlib.import_module(shim[1]))
    found = re.findall(r"add_argument\(\s*'(--[\w-]+)'", text) + re.findall(
        r'^ +(?:-h \| )?(--\w+)\)', text, re.MULTILINE
    )
    assert found, tool
    return set(found)


def accepts(node: object, key: str) -> bool:
    """Whether a config node holds the key, or the class it names takes it."""
    if isinstance(node, (list, tuple)):
        return key.isdecimal() and int(key) < len(node)
    if not isinstance(node, dict):
        return False
    classes = [cls for room in REGISTRIES if (cls := room.get(str(node.get('type'))))]
    if {'dataset', 'batch_size'} <= node.keys():
        classes.append(DataLoader)
    return key in node or any(key in inspect.signature(cls).parameters for cls in classes)


def resolves(cfg: Config, dotted: str) -> bool:
    node = cfg._cfg_dict
    *places, last = dotted.split('.')
    for place in places:
        if not accepts(node, place):
            return False
        node = node[int(place)] if isinstance(node, (list, tuple)) else node.get(place)
    return accepts(node, last)


def cfg_options() -> list[tuple[str, tuple[str, ...]]]:
    """(config, options) of each example; those without a config are meant for the main one."""
    found = []
    for words in commands():
        if '--cfg-options' not in words or any('KEY' in word for word in words):
            continue
        start = words.index('--cfg-options') + 1
        end = next((i for i in range(start, len(words)) if words[i].startswith('--')), len(words))
        config = next((word for word in words if word.startswith('configs/')), MAIN)
        if words[0] == 'mmdark':
            config = LIKE_READERS if words[2] == READERS else find_config(words[2]).relative_to(ROOT).as_posix()
        if words[start:end]:  # the bare option is only spoken of
            found.append((config, tuple(words[start:end])))
    return list(dict.fromkeys(found))


@pytest.mark.parametrize('page', PAGES)
def test_every_path_exists(page: str) -> None:
    rooms = '|'.join(map(re.escape, ROOMS))
    named = set(re.findall(rf'(?<![\w/.-])((?:{rooms})/[\w./-]*\w/?)', PAGES[page]))
    named = {path for path in named if not path.startswith(MADE)}
    assert len(named) > 5 or page in DOCS
    assert not [path for path in sorted(named) if not (ROOT / path).exists()]


def links_of(page: str) -> list[str]:
    return re.findall(r'\]\(([^)\s]+)\)', PAGES[page])


def anchors_of(page: str) -> set[str]:
    text = re.sub(r'^```.*?^```$', '', PAGES[page], flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r'^#+ (.+)$', text, re.MULTILINE)
    return {re.sub(r'[^\w -]', '', heading).lower().replace(' ', '-') for heading in headings}


@pytest.mark.parametrize('page', PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    """Files are looked for from the page's own folder; the part behind # is a heading of the page that is linked."""
    links = links_of(page)
    assert links or page in DOCS
    for link in links:
        if link.startswith(('http://', 'https://')):
            continue
        file, _, anchor = link.partition('#')
        target = ((ROOT / page).parent / file).resolve() if file else ROOT / page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors_of(target.relative_to(ROOT).as_posix()), link


@pytest.mark.parametrize('page', DOCS)
def test_every_page_is_in_the_index_and_on_the_site(page: str) -> None:
    name = page.removeprefix('docs/')
    assert f': {name}\n' in (ROOT / 'mkdocs.yml').read_text(encoding='utf-8')
    assert f']({name})' in PAGES[INDEX] or page == INDEX


def test_the_api_page_names_what_is_there() -> None:
    names = re.findall('^::: (.+)$', PAGES['docs/api.md'], re.MULTILINE)
    assert len(names) > 10
    assert all(callable(pkgutil.resolve_name(name)) for name in names)


def test_the_tools_of_a_commit_have_the_pinned_versions() -> None:
    pins = (ROOT / 'requirements' / 'constraints.txt').read_text()
    used = re.findall(r'\[(.+==.+)\]', (ROOT / '.pre-commit-config.yaml').read_text())
    assert used and all(f'\n{pin}\n' in pins for pin in used)


@pytest.mark.parametrize(
    ('english', 'chinese'),
    [(README, CHINESE), (INDEX, 'docs/zh_cn/README.md'), ('docs/adaptation.md', 'docs/zh_cn/adaptation.md')],
)
def test_a_translation_has_the_same_code_links_and_figures(english: str, chinese: str) -> None:
    assert blocks(r'\w+', PAGES[english]) == blocks(r'\w+', PAGES[chinese])
    assert files_linked_by(english) == files_linked_by(chinese)
    assert len(re.findall('^## ', PAGES[english], re.MULTILINE)) == len(
        re.findall('^## ', PAGES[chinese], re.MULTILINE)
    )
    assert figures_of(english) == figures_of(chinese)


def files_linked_by(page: str) -> set[str]:
    """Pages and files, a translation standing for what it translates, without the page itself."""
    local = [link for link in links_of(page) if not link.startswith('https:')]
    paths = {((ROOT / page).parent / link).resolve().relative_to(ROOT).as_posix() for link in local}
    return {path.replace('zh_cn/', '').replace('_zh-CN', '') for path in paths} - {README, INDEX}


def figures_of(page: str) -> set[str]:
    """The numbers of the prose."""
    prose = re.sub(r'^```.*?^```$|\]\([^)]*\)|`[^`]*`', '', PAGES[page], flags=re.MULTILINE | re.DOTALL)
    return set(re.findall(r'(?<![\w.-])\d+(?:\.\d+)?(?:e-\d)?(?![\w-])', prose))


@pytest.mark.parametrize('page', PAGES)
def test_what_python_imports_from_us_is_there(page: str) -> None:
    for code in blocks('python', PAGES[page]):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and (node.module or '').split('.')[0] == 'mmdark':
                module = importlib.import_module(node.module)
                assert [name.name for name in node.names if not hasattr(module, name.name)] == []


def test_every_option_is_one_of_the_tool() -> None:
    checked = 0
    for words in commands():
        tool = tool_of(words)
        if tool is None or words[0] in FOREIGN:
            continue
        for option in (word.split('=')[0] for word in words if re.match(r'--\w', word)):
            assert option in options_of(tool), f'{tool} has no {option}'
            checked += 1
    assert checked > 10


def test_options_named_alone_exist() -> None:
    """Those in backticks, but for the first column of the table of the published script."""
    published = r'\| Option of its training script.*?\n\n'
    text = re.sub(published, lambda table: _second_column(table[0]), ALL, flags=re.DOTALL)
    named = set(re.findall(r'`(--[\w-]+)', text))
    tools = {*BEHIND.values(), *filter(None, map(tool_of, commands())), *(f'mmdark {name}' for name in COMMANDS)}
    tools -= BEHIND.keys()
    known = set().union(*map(options_of, tools))
    assert len(named) > 8
    assert named <= known, named - known


def _second_column(table: str) -> str:
    return '\n'.join(line.split('|')[2] for line in table.splitlines() if line.count('|') > 2)


@pytest.mark.parametrize(('config', 'options'), cfg_options())
def test_every_setting_is_one_of_the_config(config: str, options: tuple[str, ...]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    given = parser.parse_args(['--cfg-options', *options]).cfg_options
    before = Config.fromfile(ROOT / config)
    assert [key for key in given if not resolves(before, key)] == []
    after = load_config(str(ROOT / config), given)
    for key, value in given.items():
        node = after._cfg_dict
        for part in key.split('.'):
            node = node[int(part)] if isinstance(node, list) else node.get(part)  # None has left out a default hook
        assert node == value, key


def test_the_keys_of_the_tables_resolve() -> None:
    cfg = Config.fromfile(ROOT / MAIN)
    keys = re.findall(r'`([a-z]\w*(?:\.\w+)+)`', ALL)
    files = ('.onnx', '.pth', '.py', '.json', '.safetensors')
    keys = {key for key in keys if key.split('.')[0] in cfg and not key.endswith(files)}
    assert len(keys) > 12
    assert not [key for key in sorted(keys) if not resolves(cfg, key)]


def test_the_switches_are_those_of_the_as_published_config() -> None:
    """Each key=value of the table stands in that config, and each difference of that config stands in the table."""
    table = PAPER.split('### What we mend, and the switch back')[1].split('\n\n')[2]
    told = {key: ast.literal_eval(value) for key, value in re.findall(r'`([\w.]+)=([^`]+)`', table)}
    published = Config.fromfile(ROOT / 'configs' / 'ablations' / 'dsfd_dark_wider_as-published.py')
    main = Config.fromfile(ROOT / MAIN)
    (preset,) = (step.preset for step in published.train_dataloader.dataset.pipeline if step.type == 'DarkISP')
    assert told.pop('DarkISP.preset') == preset == 'dainet'
    for key, value in told.items():
        assert dotted(published, key) == value != dotted(main, key), key
    names = {'model', 'optim_wrapper', 'param_scheduler', 'train_cfg', 'tta_model'}
    changed = {name for name in main if main[name] != published.get(name)} - {'train_dataloader', 'train_pipeline'}
    assert changed == {key.split('.')[0] for key in told} == names


def dotted(cfg: Config, key: str) -> object:
    node = cfg._cfg_dict
    for part in key.split('.'):
        node = node.get(part, {})
    return node


def test_every_loss_of_the_model_stands_in_the_table() -> None:
    model = Config.fromfile(ROOT / MAIN).model
    rows = [line for line in PAPER.splitlines() if re.match(r'\|.*`mmdark/', line)]
    losses = {f'loss_{name}' for name in model.losses}
    assert losses == {key for row in rows for key in re.findall(r'\| `(loss_\w+)` \|', row)}


def test_the_ablation_is_the_file_it_is_said_to_be() -> None:
    path, code = re.search(
        r'This is\n`(configs/ablations/[\w.-]+)`:\n\n```python\n(.*?)```', PAGES['docs/training.md'], re.DOTALL
    ).groups()
    assert (ROOT / path).read_text(encoding='utf-8') == code


def test_versions_are_the_pinned_ones() -> None:
    pins = dict(re.findall(r'^([\w-]+)==([\d.]+)', (ROOT / 'requirements/constraints.txt').read_text(), re.MULTILINE))
    named = re.findall(r'\b(mmengine|mmcv|mmdet) (\d+\.\d+\.\d+)', ALL)
    assert len(named) > 3
    assert not [(name, version) for name, version in named if pins[name] != version]
