"""What a training left in its work directory: losses, validations, config and seed, read back as one run."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config
from mmengine.config.config import RESERVED_KEYS

from mmdark.engine.trained_settings import read_settings
from mmdark.errors import InputError
from mmdark.file_limits import parse_json

SCALARS = 'vis_data/scalars.json'
"""Of each start of a training, in a folder that is named after its time."""
Scalars = dict[str, float]


@dataclass(frozen=True)
class RunLog:
    """One training, however often it was resumed.

    Attributes:
        work_dir: its folder.
        name: of the config file, without ``.py``.
        config: of the last start, with ``load_from`` of the first; empty if it is missing.
        train: the logged iterations in order, each with ``iter`` and, in training by epochs, ``epoch``, both from 1.
        val: the validations in order, each with ``epoch`` and ``iter``, those of the last logged iteration before it.
        iterations: trained in all, by the log and the last checkpoint.
    """

    work_dir: Path
    name: str
    config: Config
    train: tuple[Scalars, ...]
    val: tuple[Scalars, ...]
    iterations: int

    @property
    def seed(self) -> int | None:
        """``randomness.seed``; None where it was drawn."""
        return (self.config.get('randomness') or {}).get('seed')

    @property
    def epochs(self) -> int:
        """The epoch of the last iteration that was logged, or the last validation's."""
        return int(max([0, *(line.get('epoch', 0) for line in (*self.train[-1:], *self.val[-1:]))]))

    @property
    def finished(self) -> bool:
        """Whether training came to its end, with the validation that the config wants there.

        Without validation an end that is set in epochs leaves no trace, so such a run is never finished.
        """
        limits = self.config.get('train_cfg') or {}
        max_iters, max_epochs = limits.get('max_iters'), limits.get('max_epochs')
        validates = None not in (self.config.get('val_cfg'), self.config.get('val_dataloader'))
        validated = bool(self.val) and (not self.train or self.val[-1]['iter'] >= self.train[-1]['iter'])
        cut = bool(max_iters) and self.iterations >= max_iters
        through = validated and bool(max_epochs) and self.val[-1]['epoch'] >= max_epochs
        return (cut and (validated or not validates)) or through


def read_run(path: str | os.PathLike) -> RunLog:
    """Read the work directory of a training, or the ``scalars.json`` of one of its starts alone.

    Starts are joined in order: one that resumed takes back what was logged beyond the place where it went on, one that
    began anew takes back everything. A last line that was cut off is left out.

    Raises:
        InputError: there is no log of a training, or a line in it cannot be read.
    """
    path = Path(path)
    files = [path] if path.is_file() else sorted(path.glob(f'*/{SCALARS}'))
    starts = [(file, lines) for file in files if (lines := list(_lines(file)))]
    if not starts:
        raise InputError(f'{path} holds no log of a training: name its work directory, with */{SCALARS} in it')
    train: list[Scalars] = []
    val: list[Scalars] = []
    config, load_from = Config({}), None
    for file, lines in starts:
        config = _config_beside(file)
        if config.get('resume') or _must_have_resumed(train, lines):
            config.load_from = load_from  # it names the checkpoint that was resumed from
            _take_back(train, val, lines)
        else:
            load_from = config.get('load_from')
            train.clear()
            val.clear()
        _add(train, val, lines)
    work_dir = path if path.is_dir() else path.absolute().parent.parent.parent
    iterations = _iterations(work_dir, train, config)
    return RunLog(work_dir, _name(work_dir, config, path), config, tuple(train), tuple(val), iterations)


def _lines(file: Path) -> Iterator[Scalars]:
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise InputError(f'{file} cannot be read ({error.strerror}): copy it again, or leave this run out') from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            scalars = parse_json(line)
            if not isinstance(scalars, dict) or 'step' not in scalars:
                raise ValueError
        except ValueError:
            if number == len(lines):  # cut off when the training was killed
                return
            raise InputError(f'{file}, line {number} is no line of scalars: take that line out') from None
        yield scalars


def _config_beside(file: Path) -> Config:
    """The config that a start wrote, as far as its text says it: a log may be a stranger's, so no config is run."""
    path = file.with_name('config.py')
    if not path.is_file():
        return Config({})
    text = path.read_text(encoding='utf-8', errors='replace')
    settings = {key: value for key, value in read_settings(text).items() if key not in RESERVED_KEYS}
    return Config(settings, cfg_text=text, filename=str(path))


def _must_have_resumed(train: list[Scalars], lines: list[Scalars]) -> bool:
    """Whether a start does nothing but the validation that follows what was trained before it."""
    only_validated = not any('iter' in line for line in lines)
    return bool(train) and only_validated and lines[0]['step'] >= train[-1].get('epoch', 0)


def _take_back(train: list[Scalars], val: list[Scalars], lines: list[Scalars]) -> None:
    """Drop what was logged after the place where a resumed start goes on with its first line."""
    step = lines[0]['step']
    if 'iter' not in lines[0]:  # it went on with the validation at the end of an epoch
        train[:] = [line for line in train if line.get('epoch', 0) <= step]
        val[:] = [line for line in val if line['epoch'] < step]
    first = next((line['iter'] for line in lines if 'iter' in line), float('inf'))
    train[:] = [line for line in train if line['iter'] < first]
    val[:] = [line for line in val if line['iter'] < first]


def _add(train: list[Scalars], val: list[Scalars], lines: list[Scalars]) -> None:
    """Training lines name their iteration; a validation's ``step`` is the epoch."""
    for line in lines:
        step = line.pop('step')
        if 'iter' in line:
            train.append(line)
        else:
            val.append({**line, 'epoch': step, 'iter': train[-1]['iter'] if train else 0})


def _iterations(work_dir: Path, train: list[Scalars], config: Config) -> int:
    """The last one logged, or the last checkpoint's where that lies between two lines of the log."""
    last = train[-1]['iter'] if train else 0
    hooks = config.get('default_hooks') or {}
    interval = (hooks.get('logger') or {}).get('interval', 10)
    record = work_dir / 'last_checkpoint'
    text = record.read_text(encoding='utf-8', errors='replace') if record.is_file() else ''
    saved = re.search(r'iter_(\d+)\.pth\s*$', text)
    saved = int(saved[1]) if saved else 0
    return saved if last < saved < last + interval else last


def _name(work_dir: Path, config: Config, path: Path) -> str:
    """Of the config that the Runner wrote into the work directory; ``tools/test.py`` may have written others there."""
    written = [file for file in work_dir.glob('*.py') if not file.stem.endswith('_tta')]
    if not written:
        return path.absolute().name
    text = Path(config.filename).read_bytes() if config.filename else b''
    return min(written, key=lambda file: (file.read_bytes() != text, -file.stat().st_mtime)).stem
