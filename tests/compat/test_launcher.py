"""``python -m mmdark.compat TOOL``: another program's tool finds the bridges built."""

import subprocess
import sys
from pathlib import Path

import mmdet
import pytest

from mmdark.compat import __main__ as launcher
from mmdark.errors import InputError


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, '-m', 'mmdark.compat', *arguments], capture_output=True, text=True, check=False
    )


def test_a_script_finds_the_bridges_its_arguments_and_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / 'neighbour.py').write_text('HERE = 7\n')
    script = tmp_path / 'tool.py'
    script.write_text(
        'import sys\nfrom mmcv.ops import batched_nms\nfrom neighbour import HERE\n'
        'print(__name__, sys.argv[1:], HERE)\nraise SystemExit(3)\n'
    )
    done = run(str(script), '--flag', 'value')
    assert done.stdout.endswith("__main__ ['--flag', 'value'] 7\n"), done.stderr
    assert done.returncode == 3


def test_mmdets_own_test_tool_starts() -> None:
    done = run('mmdet:test', '--help')
    assert done.returncode == 0, done.stderr
    assert 'usage: test.py' in done.stdout


def test_short_names() -> None:
    tools = Path(mmdet.__file__).parent / '.mim' / 'tools'
    assert launcher.find_tool('mmdet:train') == tools / 'train.py'
    assert launcher.find_tool('mmdet:train.py') == tools / 'train.py'


@pytest.mark.parametrize('tool', ['nowhere.py', 'mmdet:nothing', 'no_such_package:test', '../mmdet:test', ':test'])
def test_an_unknown_tool_gets_one_line(tool: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match=r'usage: python -m mmdark\.compat'):
        launcher.find_tool(tool)
    with pytest.raises(SystemExit, match='1'):
        launcher.main([tool])
    assert capsys.readouterr().err.count('\n') == 1


def test_without_a_tool_it_prints_its_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match='2'):
        launcher.main([])
    assert capsys.readouterr().out.startswith('usage: python -m mmdark.compat TOOL')


def test_bad_input_inside_the_tool_ends_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / 'tool.py'
    script.write_text('from mmdark.errors import InputError\nraise InputError("mend it")\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, 'argv', list(sys.argv))
        patch.setattr(sys, 'path', list(sys.path))
        with pytest.raises(SystemExit, match='1'):
            launcher.main([str(script)])
    assert capsys.readouterr().err == 'mend it\n'
