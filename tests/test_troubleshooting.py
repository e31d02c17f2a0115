"""docs/troubleshooting.md holds each error line of mmdark and of the tools, and no line that is not theirs."""

from __future__ import annotations

import re
from pathlib import Path

from tests.error_lines import error_lines

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / 'docs' / 'troubleshooting.md').read_text(encoding='utf-8')


def lines_of_the_page() -> list[str]:
    """What stands in backticks in the first column of the tables, in which a | is written with a backslash."""
    cells = re.findall(r'^\| (`.*`) \| [^|]+ \|$', PAGE, re.MULTILINE)
    return [line.replace('\\|', '|') for cell in cells for line in cell.strip('`').split('`<br>`')]


def test_every_error_line_is_on_the_page() -> None:
    """Where one is missing, put the row that is printed here under its topic, and say why the line comes."""
    source = error_lines(ROOT / 'mmdark', ROOT / 'tools')
    assert len(source) > 250
    missing = source.keys() - set(lines_of_the_page())
    rows = [f'| `{line.replace("|", chr(92) + "|")}` | |   {", ".join(source[line])}' for line in sorted(missing)]
    assert not rows, '\n' + '\n'.join(rows)


def test_every_line_of_the_page_is_in_the_source() -> None:
    """And stands there once."""
    lines = lines_of_the_page()
    assert sorted(set(lines)) == sorted(lines)
    assert sorted(set(lines) - error_lines(ROOT / 'mmdark', ROOT / 'tools').keys()) == []


def test_lines_are_read_with_all_their_alternatives(tmp_path: Path) -> None:
    (tmp_path / 'mmdark').mkdir()
    (tmp_path / 'mmdark' / 'a.py').write_text(
        "HINT = 'copy it again'\n"
        'def wrong(name):\n'
        "    reason = 'is empty' if name else 'is a folder'\n"
        "    raise InputError(f'file {name} {reason}: {HINT}')\n"
        'def other(lines):\n'
        '    raise InputError(said(lines))\n'
        'def said(lines):\n'
        "    return f'line {lines[0]} is ' + 'wrong'\n"
        "print(f'error: no {HINT.upper()} here', 'not a line')\n"
        "print('no error: at all')\n"
        'raise InputError(lines)\n'
    )
    (tmp_path / 'mmdark' / 'b.sh').write_text('[ -f "$wheel" ] || stop "there is no wheel $wheel${hint:+ ($hint)}"\n')
    assert error_lines(tmp_path / 'mmdark') == {
        'file … is empty: copy it again': ['mmdark/a.py:4'],
        'file … is a folder: copy it again': ['mmdark/a.py:4'],
        'line … is wrong': ['mmdark/a.py:6'],
        'no … here': ['mmdark/a.py:9'],
        'b: there is no wheel …': ['mmdark/b.sh'],
    }


def test_topics_explain_each_line() -> None:
    tables = re.findall(r'^\|(?!---| The line).*$', PAGE, re.MULTILINE)
    assert len(tables) > 80
    assert not [row for row in tables if not re.fullmatch(r'\| `.*` \| [^|]{5,} \|', row)]
