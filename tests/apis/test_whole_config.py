"""The code that ``mmdark config`` writes: every config of ours as one file that means the same and can be edited."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from mmengine.config import Config

from mmdark.apis import load_config
from mmdark.apis.config_files import RUNNER_KEYS, TOOL_KEYS, read_config
from mmdark.apis.config_variables import with_variables
from mmdark.apis.whole_config import inheriting_config, whole_config
from mmdark.configs import own_configs
from mmdark.errors import InputError


def written(folder: Path, code: str) -> str:
    path = folder / 'my.py'
    path.write_text(code, encoding='utf-8')
    return str(path)


def settings(cfg: Config) -> dict:
    """All but variables, and the work directory, which is named after the file."""
    named = (RUNNER_KEYS | TOOL_KEYS) - {'work_dir'}
    return {key: value for key, value in cfg._cfg_dict.to_dict().items() if key in named}


@pytest.mark.parametrize('name', own_configs())
def test_each_of_our_configs_as_one_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MMEngine alone reads in it what our tools read in the config and all that it inherits."""
    file, cfg = read_config(own_configs()[name])
    monkeypatch.setattr('mmdark.apis.whole_config.read_config', lambda _: (file, cfg))
    code = whole_config(name)
    expected = settings(with_variables(file, cfg, {}))
    assert len(expected) > 10
    assert settings(Config.fromfile(written(tmp_path, code), import_custom_modules=False)) == expected
    assert (
        '\n_base_' not in code
        and max(len(line) for line in code.splitlines() if not re.search('without=|://', line)) <= 120
    )


@pytest.mark.parametrize('name', ['dsfd_dark_wider', 'dsfd_dark_lite_subset_mixed', 'yolox_tiny_wider_dark'])
def test_our_tools_read_the_same(name: str, tmp_path: Path) -> None:
    assert settings(load_config(written(tmp_path, whole_config(name)))) == settings(load_config(name))


@pytest.mark.parametrize('name', ['retinanet_r18_wider_dark', 'dsfd_dark_coco'])
def test_variables_of_one_file_are_those_of_the_config(name: str, tmp_path: Path) -> None:
    """Whichever the file sets at its top has the meaning that it has in the config."""
    path = written(tmp_path, whole_config(name))
    cfg = load_config(path)
    scalars = {
        key: value for key, value in cfg.items() if key not in RUNNER_KEYS | TOOL_KEYS and not isinstance(value, list)
    }
    assert 'data_root' in scalars
    for key, value in scalars.items():
        other = {key: value + ('else/' if isinstance(value, str) else 32)}
        assert settings(load_config(path, other)) == settings(load_config(name, other)) != settings(cfg)


def test_a_variable_that_others_are_computed_with_is_written_out(tmp_path: Path) -> None:
    source = 'size = 64\nroot = "a/"\nresume = False\n'
    source += "model = dict(type='X', size=size, area=size * size, root=root, odd=[float('inf'), (1,), {'a.b': 1}])\n"
    cfg = Config.fromfile(written(tmp_path, whole_config(written(tmp_path, source))))
    assert cfg.to_dict().keys() == {'root', 'resume', 'model'}
    expected = dict(type='X', size=64, area=4096, root='a/', odd=[math.inf, (1,), {'a.b': 1}])
    assert cfg.model.to_dict() == expected


def test_lists_of_modules_are_named(tmp_path: Path) -> None:
    source = "steps = [dict(type='A'), dict(type='B')]\ntest_dataloader = dict(dataset=dict(pipeline=steps))\n"
    source += 'val_dataloader = dict(dataset=dict(pipeline=steps[:1]))\n'
    lines = whole_config(written(tmp_path, source)).splitlines()
    assert "steps = [dict(type='A'), dict(type='B')]" in lines
    assert 'test_dataloader = dict(dataset=dict(pipeline=steps))' in lines
    assert "val_dataloader = dict(dataset=dict(pipeline=[dict(type='A')]))" in lines


@pytest.mark.parametrize('name', ['dsfd_dark_wider', 'yolox_tiny_wider_dark'])
def test_an_inheriting_file(name: str, tmp_path: Path) -> None:
    path = written(tmp_path, inheriting_config(name) + "data_root = 'else/'\n")
    assert settings(load_config(path)) == settings(load_config(name, {'data_root': 'else/'}))
    assert path != str(own_configs()[name])


def test_the_docstring_goes_along(tmp_path: Path) -> None:
    for write in (whole_config, inheriting_config):
        code = write(written(tmp_path, '"""One.\n\nTwo \\\\d.\n"""\nresume = False\n'))
        assert code.startswith('"""One.\n\nTwo \\\\d.\n\nWritten by ``mmdark config`` ')
        compile(code, 'my.py', 'exec')


def test_a_wrong_name_gets_those_that_are_spelt_alike() -> None:
    with pytest.raises(
        InputError, match=r'retinanet_r18_dark does not exist; did you mean .*retinanet_r18_wider_dark, ret'
    ):
        whole_config('retinanet_r18_dark')


def test_a_value_that_is_no_plain_one_is_refused(tmp_path: Path) -> None:
    source = written(tmp_path, "model = dict(type='X', number=range(3))\n")
    with pytest.raises(InputError, match=r'cannot be written out: range\(0, 3\) is no plain value; write it'):
        whole_config(source)
