"""Files are there whole or not at all, and what was written comes back."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mmdark.engine import WholeFileBackend
from mmdark.errors import InputError
from mmdark.whole_file import CHUNK, clear_parts, replaced_whole, write_verified, write_whole, writing

OLD, NEW = b'old', b'new' * CHUNK


def test_written_files_hold_what_was_given(tmp_path: Path) -> None:
    path = tmp_path / 'new folder' / 'a.bin'
    for content in (NEW, OLD, b'', NEW[: CHUNK - 1], NEW[:CHUNK], memoryview(NEW)[: CHUNK + 1]):
        write_verified(path, content)
        assert path.read_bytes() == bytes(content)
    assert [left.name for left in path.parent.iterdir()] == ['a.bin']


@pytest.mark.parametrize('damage', ['a bit', 'the end', 'more'])
def test_what_comes_back_changed_replaces_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    """The file is changed on its way to the disk, behind the writer's back."""
    path = tmp_path / 'a.bin'
    path.write_bytes(OLD)

    def bad_disk(handle: int) -> None:
        (part,) = tmp_path.glob('.*.part')
        content = bytearray(NEW)
        if damage == 'a bit':
            content[-2] ^= 4
        part.write_bytes({'a bit': content, 'the end': NEW[:-1], 'more': NEW + b'.'}[damage])

    monkeypatch.setattr(os, 'fsync', bad_disk)
    with pytest.raises(OSError, match='does not come back the same') as caught:
        write_verified(path, NEW)
    assert caught.value.errno == errno.EIO
    assert path.read_bytes() == OLD and [left.name for left in tmp_path.iterdir()] == ['a.bin']


@pytest.mark.parametrize('code', [errno.ENOSPC, errno.EDQUOT, errno.EACCES])
@pytest.mark.parametrize('option', ['', '--out'])
def test_what_the_system_refuses_is_said_in_one_line(tmp_path: Path, code: int, option: str) -> None:
    remedy = 'choose another place' if code == errno.EACCES else 'free some space or choose another place'
    with pytest.raises(InputError) as caught, writing(tmp_path, option):
        raise OSError(code, os.strerror(code))
    said = f'{tmp_path} cannot be written ({os.strerror(code)}): {remedy}'
    assert str(caught.value) == (f'--out {said}' if option else said)


def test_a_link_stays_a_link_and_a_pipe_a_pipe(tmp_path: Path) -> None:
    real, link, pipe = (tmp_path / name for name in ('real.txt', 'link.txt', 'pipe'))
    link.symlink_to(real)  # which is made
    for content in (OLD, NEW):
        write_whole(link, content)
        assert link.is_symlink() and real.read_bytes() == content
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as pool:
        received = pool.submit(pipe.read_bytes)
        write_whole(pipe, OLD)
        assert received.result(timeout=60) == OLD and pipe.is_fifo()
    assert sorted(left.name for left in tmp_path.iterdir()) == ['link.txt', 'pipe', 'real.txt']


def test_a_file_half_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / 'new folder' / 'a.txt'
    write_whole(path, OLD)
    replace = os.replace
    monkeypatch.setattr(os, 'replace', lambda part, _: replace(part, tmp_path))  # a folder is in the way
    with pytest.raises(InputError, match=r'--json .*a\.txt cannot be written \('):
        write_whole(path, NEW, '--json')
    assert path.read_bytes() == OLD and [left.name for left in path.parent.iterdir()] == ['a.txt']


def test_file_and_folder_reach_the_disk_around_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def synced(handle: int) -> None:
        calls.append(Path(os.readlink(f'/proc/self/fd/{handle}')).name)
        fsync(handle)

    def renamed(part: Path, path: Path) -> None:
        calls.append('rename')
        replace(part, path)

    monkeypatch.setattr(os, 'fsync', synced)
    monkeypatch.setattr(os, 'replace', renamed)
    write_verified(tmp_path / 'a.bin', NEW)
    assert calls == [f'.a.bin.{os.getpid()}.part', 'rename', tmp_path.name]


def test_an_error_leaves_the_old_file_and_no_part(tmp_path: Path) -> None:
    path = tmp_path / 'a.bin'
    path.write_bytes(OLD)
    with pytest.raises(KeyError), replaced_whole(path) as part:
        part.write_bytes(NEW)
        raise KeyError
    assert path.read_bytes() == OLD and [left.name for left in tmp_path.iterdir()] == ['a.bin']


def test_parts_of_the_killed_are_cleared(tmp_path: Path) -> None:
    for name in ('.a.pth.123.part', '.last_checkpoint.7.part', 'a.part', 'a.pth', '.hidden'):
        (tmp_path / name).write_bytes(OLD)
    assert [path.name for path in clear_parts(tmp_path)] == ['.a.pth.123.part', '.last_checkpoint.7.part']
    assert sorted(path.name for path in tmp_path.iterdir()) == ['.hidden', 'a.part', 'a.pth']


def test_the_backend_writes_as_mmengines_does(tmp_path: Path) -> None:
    backend = WholeFileBackend()
    backend.put(NEW, str(tmp_path / 'b' / 'a.bin'))
    backend.put_text('schön\n', tmp_path / 'a.txt', 'latin1')
    assert backend.get(tmp_path / 'b' / 'a.bin') == NEW
    assert (tmp_path / 'a.txt').read_bytes() == b'sch\xf6n\n'
