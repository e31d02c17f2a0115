"""Broken configs end in one line that names the file, and the line in it; whatever the tool."""

from __future__ import annotations

import os
import re
from pathlib import Path
from uuid import uuid4

import pytest
from mmengine.runner import Runner

from mmdark.apis import load_config, run_or_explain
from mmdark.errors import InputError
from tests.tiny_wider import LITE, QUICKSTART, ROOT, write_wider
from tests.tool_runs import run_tool

INHERITS = f"_base_ = ['{QUICKSTART}']\n"


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        (f'{INHERITS}a = (1,\n', r"config .*own\.py cannot be read \(line 2: '\(' was never closed: a = \(1,\): "),
        (f'\ufeff{INHERITS}', r'own\.py begins with a byte order mark'),
        ("_base_ = 'own.py'", r'own\.py inherits itself, through the _base_ of .*own\.py'),
        ("_base_ = ['through.py']", r'own\.py inherits itself, through the _base_ of .*through\.py'),
        ("_base_ = ['nowhere.py']", r'own\.py: the file .*nowhere\.py in its _base_ does not exist'),
        ("_base_ = ['broken.py']", r'config .*broken\.py cannot be read \(line 1: '),
        ("_base_ = ['folder.py']", r'config .*folder\.py is a folder'),
        ('_base_ = 5', r'own\.py: _base_ is 5: name a file, or a list of files'),
        (f'{INHERITS}train_pipeline = dict(a=1)', r"own\.py: 'train_pipeline' is a dict, but in the _base_ .* list: "),
        (f'{INHERITS}a = 1\nb = c\n', r'own\.py, line 3: NameError: '),
        (f'{INHERITS}import no_such_module\n', r"own\.py, line 2: ModuleNotFoundError: No module named 'no_such_"),
        (f"{INHERITS}raise RuntimeError('two\\nlines')", r'own\.py, line 2: RuntimeError: two lines$'),
        (
            f"{INHERITS}custom_imports = dict(imports=['no_such'])",
            r'own\.py: custom_imports: .*no_such; install it',
        ),
        (f"{INHERITS}filename = 'x'", r'own\.py cannot be read \(KeyError: filename is reserved'),
        (f'{INHERITS}default_hooks = []', r'own\.py: default_hooks is \[\]: it must be a dict$'),
        (f"{INHERITS}custom_hooks = dict(type='EMAHook')", r'own\.py: custom_hooks is .*: it must be a list$'),
        (f'{INHERITS}randomness = None', r'own\.py: randomness is None: it must be a dict$'),
        (f"{INHERITS}log_level = 'INF'", r"own\.py: log_level is 'INF': name a level"),
    ],
)
def test_a_broken_config_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / 'own.py').write_text(text)
    (tmp_path / 'through.py').write_text("_base_ = 'own.py'")
    (tmp_path / 'broken.py').write_text('a = (1,')
    (tmp_path / 'folder.py').mkdir()
    with pytest.raises(InputError, match=said) as caught:
        load_config(str(tmp_path / 'own.py'))
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    ('name', 'content', 'said'),
    [
        ('a.py', bytes(range(256)), r'a\.py is no text in UTF-8'),
        ('a.py', '# \N{LATIN SMALL LETTER E WITH ACUTE}'.encode('latin-1'), r'a\.py is no text in UTF-8'),
        ('a.py', 'a = 1'.encode('utf-16'), r'a\.py is no text in UTF-8'),
        ('a.py', b'a = 1\0', r'config .*a\.py'),
        ('a.pth', b'', r"a\.pth ends in '\.pth': a config is a file named \*\.py"),
        ('a.json', b'{', r'a\.json cannot be read \(JSONDecodeError: '),
        ('a', None, r'a is a folder: name a file in it'),
    ],
)
def test_a_file_that_is_no_config_is_one_line(tmp_path: Path, name: str, content: bytes | None, said: str) -> None:
    (tmp_path / name).mkdir() if content is None else (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        load_config(str(tmp_path / name))
    assert '\n' not in str(caught.value)


def test_two_bases_that_set_the_same_are_named(tmp_path: Path) -> None:
    swapped = [str(ROOT / 'configs' / name) for name in ('dsfd_dark_wider.py', '_base_/models/dsfd_resnet50.py')]
    (tmp_path / 'own.py').write_text(f'_base_ = {swapped}')
    said = rf'{swapped[0]} and {swapped[1]} both set .*model; let one inherit the other.*Another backbone'
    with pytest.raises(InputError, match=said):
        load_config(str(tmp_path / 'own.py'))


SMALL = {**LITE, 'val_dataloader': None, 'val_cfg': None, 'val_evaluator': None}


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ("custom_hooks = [dict(type='EarlyStoppingHook', monitor='dark/wider/AP')]", 'thus rule must be specified'),
        ('optim_wrapper = None', r'should be either all None or not None$'),
        ('model = dict(_delete_=True, backbone=dict())', 'must contain the key "type"$'),
        ('train_dataloader = dict(batch_size=0)', 'batch_size should be a positive integer'),
    ],
)
def test_what_the_runner_refuses_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / 'own.py').write_text(INHERITS + text)
    root = write_wider(tmp_path / 'wider', train=1, val=1)
    options = {'data_root': f'{root}/', 'experiment_name': uuid4().hex, 'log_level': 'ERROR'}

    def main() -> None:
        runner = Runner.from_cfg(load_config(str(tmp_path / 'own.py'), options, str(tmp_path / 'work')))
        runner.build_train_loop(runner._train_loop)

    with pytest.raises(SystemExit) as caught:
        run_or_explain(main)
    assert re.search(said, caught.value.code) and '\n' not in caught.value.code


def test_without_default_hooks_mmengines_own_are_taken(tmp_path: Path) -> None:
    (tmp_path / 'own.py').write_text(f'{INHERITS}default_hooks = None\n')
    root = write_wider(tmp_path / 'wider', train=2, val=1)
    options = {**LITE, 'data_root': f'{root}/', 'max_iters': 2, 'experiment_name': uuid4().hex, 'log_level': 'ERROR'}
    runner = Runner.from_cfg(load_config(str(tmp_path / 'own.py'), options, str(tmp_path / 'work')))
    runner.train()
    assert runner.iter == 2 and {'LoggerHook', 'CheckpointHook'} <= {type(hook).__name__ for hook in runner.hooks}


@pytest.mark.parametrize('kind', ['file in the way', 'file above', 'read-only'])
def test_a_work_directory_that_cannot_be_made_is_one_line(tmp_path: Path, kind: str) -> None:
    place = tmp_path / 'work'
    if kind == 'read-only':
        place = Path('/proc/nobody/writes/here')
        if not os.path.isdir('/proc/self'):
            pytest.skip('no /proc, in which nobody can make a folder')
    else:
        place.write_text('')
        place = place / 'below' if kind == 'file above' else place
    root = write_wider(tmp_path / 'wider', train=1, val=1)
    given = [str(QUICKSTART), '--work-dir', str(place), '--cfg-options', f'data_root={root}/', 'log_level=ERROR']
    done = run_tool('train', *given)
    (line,) = (line for line in done.stderr.splitlines() if line.startswith('error'))
    assert done.returncode == 1
    assert str(place) in line and 'cannot be written (' in line
