"""Commands, options and config keys that the pages name exist, and the settings take effect."""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import re
import shlex

import pytest
from mmdet import registry
from mmengine.config import Config, DictAction
from mmengine.registry import Registry
from torch.utils.data import DataLoader

from mmdark.apis import find_config, load_config
from mmdark.cli import COMMANDS
from tests.doc_pages import ALL, PAGES, ROOT, blocks

MAIN = 'configs/dsfd_dark_wider.py'
READERS = 'my_detector_dark.py'
"""The config that docs/adaptation.md writes; this one is like it."""
LIKE_READERS = 'examples/atss_shapes_dark.py'
# The script to which each shell script passes its arguments.
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


def commands() -> list[list[str]]:
    """The words of each command: lines of the bash blocks, and commands in backticks."""
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
    classes = [cls for registry in REGISTRIES if (cls := registry.get(str(node.get('type'))))]
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
    """(config, options) of each example; one without a config is for the main config."""
    found = []
    for words in commands():
        if '--cfg-options' not in words or any('KEY' in word for word in words):
            continue
        start = words.index('--cfg-options') + 1
        end = next((i for i in range(start, len(words)) if words[i].startswith('--')), len(words))
        config = next((word for word in words if word.startswith('configs/')), MAIN)
        if words[0] == 'mmdark':
            config = LIKE_READERS if words[2] == READERS else find_config(words[2]).relative_to(ROOT).as_posix()
        if words[start:end]:  # the bare option is only mentioned
            found.append((config, tuple(words[start:end])))
    return list(dict.fromkeys(found))


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
    """Those in backticks, except the first column of the table of the published script's options."""
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
            node = node[int(part)] if isinstance(node, list) else node.get(part)  # None has removed a default hook
        assert node == value, key


def test_the_keys_of_the_tables_resolve() -> None:
    cfg = Config.fromfile(ROOT / MAIN)
    keys = re.findall(r'`([a-z]\w*(?:\.\w+)+)`', ALL)
    files = ('.onnx', '.pth', '.py', '.json', '.safetensors')
    keys = {key for key in keys if key.split('.')[0] in cfg and not key.endswith(files)}
    assert len(keys) > 12
    assert not [key for key in sorted(keys) if not resolves(cfg, key)]


def test_the_switches_are_those_of_the_as_published_config() -> None:
    """Each key=value of the table is in that config, and each difference of that config is in the table."""
    table = PAGES['docs/paper.md'].split('### Corrected defects')[1].split('\n\n')[2]
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
