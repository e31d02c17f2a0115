"""An error is one line of at most 300 characters, whichever program prints it, and it ends with the remedy."""

from __future__ import annotations

import pytest

from mmdark.cli import command
from mmdark.errors import InputError, run_or_explain, shown

LONG = InputError(f'names.txt:7: {"a" * 5000}\n{"b" * 5000} is no name: write another')


def fail(*_: object) -> None:
    raise LONG


def test_tools_print_short_lines() -> None:
    with pytest.raises(SystemExit) as caught:
        run_or_explain(fail)
    check(caught.value.code)


def test_the_command_prints_short_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(command, '_run', fail)
    assert command.main([]) == command.ERROR
    check(capsys.readouterr().err.rstrip('\n'))


def check(line: str) -> None:
    assert line.startswith('error: ') and len(line) <= 300 and len(line.splitlines()) == 1
    assert line.endswith(' is no name: write another')


@pytest.mark.parametrize(
    'value', ['a' * 10**6, ['a' * 100] * 10**5, {str(i): [i] for i in range(10**5)}, 10**1000, '\n\r']
)
def test_quotations_are_short(value: object) -> None:
    assert len(shown(value)) <= 60 and len(shown(value).splitlines()) == 1
