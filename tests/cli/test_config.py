"""``mmdark config``: the names, a config in a file of one's own, and mistakes in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mmdark.apis import load_config
from mmdark.cli import main
from mmdark.configs import own_configs


def test_alone_it_lists_the_names_without_torch() -> None:
    code = 'import sys; from mmdark.cli import main; main(["config"]); sys.exit("numpy" in sys.modules)'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    lines = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
    assert [name for name, _ in lines] == sorted(own_configs())
    assert all(len(says) > 10 for _, says in lines)


def test_it_writes_and_never_over_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / 'mine' / 'my.py'
    assert main(['config', 'dsfd_dark_lite_wider', '--out', str(out)]) == 0
    assert capsys.readouterr().out == f'{out}: dsfd_dark_lite_wider, with all that it inherits\n'
    written = out.read_text()
    assert load_config(str(out)).model == load_config('dsfd_dark_lite_wider').model
    assert main(['config', 'dsfd_dark_lite_wider', '--out', str(out), '--inherit']) == 1
    assert capsys.readouterr().err == f'error: --out {out} is there already: name another file, or remove it\n'
    assert out.read_text() == written


def test_without_a_file_it_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['config', 'dsfd_dark_lite_wider', '--inherit']) == 0
    assert capsys.readouterr().out.endswith(f"\n_base_ = ['{own_configs()['dsfd_dark_lite_wider']}']\n")


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (['--out', 'my.py'], 'which config? Give its name before --out or --inherit; mmdark config alone lists them'),
        (['dsfd_dark_lite_wider', '--out', 'my.txt'], '--out my.txt: name it *.py'),
        (['xyz'], 'config xyz does not exist'),
        (['dsfd_vgg16_widr'], 'config dsfd_vgg16_widr does not exist; did you mean dsfd_vgg16_wider'),
    ],
)
def test_mistakes(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['config', *arguments]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f'error: {said}') and error.count('\n') == 1
