"""Join the shares of a run: write the lists of all photographs from the lines of each share."""

from __future__ import annotations

import heapq
import os
import shutil
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from mmdark.apis.work_dir_lock import only_detection
from mmdark.errors import InputError
from mmdark.whole_file import writing

from .json_lines import ABOUT, Line, is_complete, read_header
from .result_files import FOLDERS
from .result_lists import Kept, kept_lines, write_lists
from .shares import OF_SHARES, RESULT_LINES, share_of

SHARD = 'shard'


@dataclass(frozen=True)
class Shares:
    """The files with the lines of all shares of a run (or of an undivided run), and the header of the first."""

    paths: tuple[Path, ...]
    header: Line

    @property
    def class_names(self) -> tuple[str, ...]:
        """Class names of the detector."""
        return tuple(self.header['classes'])

    def lines(self) -> Iterator[Kept]:
        """Read the lines in the order of the photographs; one line per share is in memory at a time."""
        with ExitStack() as opened:
            each = [opened.enter_context(closing(kept_lines(path, self.class_names))) for path in self.paths]
            yield from heapq.merge(*each, key=lambda line: line.number)


def shares_in(folders: Sequence[str | os.PathLike]) -> Shares:
    """Find all shares of a run in one or more folders.

    Raises:
        InputError: a share is missing, duplicated, incomplete, or from a different run.
    """
    paths = [
        path for folder in folders for name in (OF_SHARES, RESULT_LINES) for path in sorted(Path(folder).glob(name))
    ]
    if not paths:
        raise InputError(f'{", ".join(map(str, folders))}: no {RESULT_LINES} of mmdark detect; name its --out-dir')
    headers = {path: _header(path) for path in paths}
    first = headers[paths[0]]
    for path, header in headers.items():
        other = [key for key in {**first, **header} if first.get(key) != header.get(key) and key not in (SHARD, ABOUT)]
        if other:
            raise InputError(
                f'{path} and {paths[0]} are of different runs ({", ".join(other)}): join the shares of one run'
            )
        if not is_complete(path):
            raise InputError(f'{path} is not complete: give its mmdark detect command again with --resume')
    by_shard = {header.get(SHARD, '1/1'): path for path, header in headers.items()}
    wanted = {f'{part}/{share_of(one)[1]}' for one in by_shard for part in range(1, share_of(one)[1] + 1)}
    twice = [shard for shard, count in Counter(header.get(SHARD) for header in headers.values()).items() if count > 1]
    if missing := sorted(wanted - by_shard.keys(), key=share_of):
        raise InputError(
            f'{len(missing)} of {len(wanted)} shares are missing, the first is {missing[0]}: run them, or name their '
            'folders, too'
        )
    if twice:
        raise InputError(f'share {twice[0]} is there twice: name each folder once')
    return Shares(tuple(by_shard.values()), first)


def join_shares(shares: Shares, out_dir: str | os.PathLike, formats: Collection[str] = ()) -> list[Path]:
    """Write the lists of all photographs to a folder, and copy the files of each photograph there.

    Args:
        shares: the return value of :func:`shares_in`.
        out_dir: output folder.
        formats: formats of the lists to write, such as ``json``, ``csv`` or ``coco``; by default those of the run.

    Returns:
        Paths of the result files and folders.
    """
    out, wanted = Path(out_dir), set(formats) or set(shares.header['formats'])
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
        with only_detection(out / RESULT_LINES):
            for folder in dict.fromkeys(path.parent for path in shares.paths):
                if not os.path.samefile(folder, out):
                    _bring(folder, out, shares.header['formats'])
            about = shares.header[ABOUT]
            places = write_lists(out, wanted, shares.lines, about, shares.class_names, complete=True)
    return places + [out / name for kind, name in FOLDERS.items() if kind in wanted and (out / name).is_dir()]


def _bring(folder: Path, out: Path, formats: Collection[str]) -> None:
    for kind, name in FOLDERS.items():
        if kind in formats and (folder / name).is_dir():
            shutil.copytree(folder / name, out / name, copy_function=shutil.copyfile, dirs_exist_ok=True)


def _header(path: Path) -> Line:
    try:
        header = read_header(path)
        share_of(header.get(SHARD, '1/1'))
        if all(isinstance(header[key], kind) for key, kind in (('classes', list), ('formats', list), (ABOUT, dict))):
            return header
    except OSError as error:
        raise InputError(f'{path} cannot be read ({error.strerror}): name a folder that mmdark detect wrote') from None
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise InputError(f'{path} was not written by mmdark detect: name its --out-dir')
