"""``mmdark`` as it is typed: help at once, mistakes in one line, the tools of the repository under its name."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import mmdark
from mmdark.cli import COMMANDS, ERROR, main

ROOT = Path(__file__).resolve().parents[2]


def typed(*arguments: str, folder: Path | None = None, **options: object) -> subprocess.CompletedProcess:
    """A process of its own, as a person starts it."""
    command = [sys.executable, '-m', 'mmdark.cli', *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder or ROOT, **options)


@pytest.mark.parametrize('arguments', [[], ['--help'], ['-h'], ['help']], ids=str)
def test_help_names_every_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert all(re.search(rf'^  {name} +{re.escape(does)}$', said, re.MULTILINE) for name, does in COMMANDS.items())
    assert all(len(line) <= 120 for line in said.splitlines())


def test_every_command_is_there() -> None:
    assert all(callable(import_module(f'mmdark.cli.{name}').run) for name in COMMANDS)


@pytest.mark.parametrize('flag', ['--version', '-V'])
def test_version(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([flag]) == 0
    assert capsys.readouterr().out == f'mmdark {mmdark.__version__}\n'


@pytest.mark.parametrize(
    ('given', 'said'),
    [
        ('detekt', "there is no command 'detekt'; did you mean 'mmdark detect'?"),
        ('doktor', "there is no command 'doktor'; did you mean 'mmdark doctor'?"),
        (str(ROOT), f"there is no command '{ROOT}'; did you mean 'mmdark detect {ROOT}'?"),
        ('xyz', "there is no command 'xyz': there are detect, "),
    ],
)
def test_a_command_that_is_none(given: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([given]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f'error: {said}') and error.count('\n') == 1


def test_help_needs_no_torch(tmp_path: Path) -> None:
    """Nor anything else that is not Python's own: so it comes at once, and where all is broken."""
    code = 'import sys; print(sorted(name for name in sys.modules if name in {"torch", "numpy", "mmdet", "rich"}))'
    (tmp_path / 'sitecustomize.py').write_text(f'import atexit; atexit.register(lambda: exec({code!r}))')
    environment = {'PYTHONPATH': f'{tmp_path}:{ROOT}', 'PATH': ''}
    for arguments in (
        ['--help'],
        ['detect', '--help'],
        ['finetune', '--help'],
        ['doctor', '--help'],
        ['export', '--help'],
        ['nothing'],
    ):
        done = typed(*arguments, env=environment)
        assert done.stdout.splitlines()[-1] == '[]', done.stderr


@pytest.mark.parametrize('buffered', ['', '1'], ids=['at the end', 'at once'])
def test_whoever_stops_reading_gets_no_traceback(buffered: str) -> None:
    command = [sys.executable, '-m', 'mmdark.cli', '--help']
    environment = {**os.environ, 'PYTHONUNBUFFERED': buffered}
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, cwd=ROOT, env=environment, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b'')


@pytest.mark.parametrize('command', ['train', 'test', 'convert'])
def test_tools_carry_our_name(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, '--help'])
    assert not end.value.code and capsys.readouterr().out.startswith(f'usage: mmdark {command} [-h] ')


def test_a_training_that_cannot_start_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the name of a config it gets as far as the data, of which there is none."""
    for name, said in (
        (str(tmp_path / 'none.py'), f'config {tmp_path}/none.py does not exist'),
        ('dsfd_dark_widr', 'config dsfd_dark_widr does not exist; did you mean dsfd_dark_wider'),
    ):
        assert main(['train', name]) == ERROR
        assert f'error: {said}' in capsys.readouterr().err
    options = ['--work-dir', str(tmp_path), '--cfg-options', 'data_root=no/wider/']
    assert main(['train', 'dsfd_dark_lite_wider', *options]) == ERROR
    assert re.search(r'^error: .*wider.* does not exist', capsys.readouterr().err, re.MULTILINE)
    with pytest.raises(SystemExit) as wrong:
        main(['convert', '--nothing'])
    assert wrong.value.code == 2
