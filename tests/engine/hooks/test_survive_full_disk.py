"""On a full disk logs and pictures cost a line, and the numbers are there when there is room again.

``/dev/full`` takes no byte, as a full disk; elsewhere files cannot grow beyond a limit.
"""

import json
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmengine.hooks import Hook, LoggerHook
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from mmengine.visualization import TensorboardVisBackend

from mmdark.apis import load_config
from mmdark.engine.hooks import survive_full_disk
from tests.tiny_line import line_runner
from tests.tiny_wider import QUICKSTART

GUARD = {'type': 'SurviveFullDisk'}


FILLED = 400_000
"""Bytes that stand in the scalar log already: the limit is beyond what this test itself writes."""


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file can grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture(autouse=True)
def _room_again() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


class LogAll(Hook):
    """Log each iteration."""

    def before_train(self, runner: Runner) -> None:
        next(hook for hook in runner.hooks if isinstance(hook, LoggerHook)).interval = 1


class Full(Hook):
    """The disk is full in some iterations; in each of them there is a picture to write."""

    priority = 'HIGHEST'

    def __init__(self, iterations: range, room: int) -> None:
        self.iterations, self.room = iterations, room
        self.picture = np.random.default_rng(0).integers(0, 255, (512, 512, 3), np.uint8)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        log = Path(runner.log_dir) / 'vis_data' / 'scalars.json'
        if runner.iter == 0:
            log.parent.mkdir(exist_ok=True)
            log.write_text('{"step": 1234}\n' * (FILLED // 15))
        elif runner.iter == self.iterations.start:
            self.disk = full_disk(log.stat().st_size + self.room)
            self.disk.__enter__()
        elif runner.iter == self.iterations.stop:
            self.disk.__exit__(None, None, None)
        if runner.iter in self.iterations:
            runner.visualizer.add_image('picture', self.picture, step=runner.iter)


def steps(folder: Path) -> list[int]:
    """Of the iterations in ``scalars.json``; each line must be whole."""
    (log,) = folder.glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return [line['step'] for line in lines if 'loss' in line]


@pytest.mark.parametrize('room', [0, 50, 400])
def test_a_disk_that_is_full_for_a_while_costs_lines_and_no_number(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], room: int
) -> None:
    """Also where the last bytes of the disk take a part of a line."""
    runner = line_runner(tmp_path, [GUARD, LogAll(), Full(range(2, 6), room)], epochs=2, interval=100)
    capfd.readouterr()  # of loggers of other tests, whose stdout is closed
    runner.train()
    assert sorted(set(steps(tmp_path))) == steps(tmp_path) == list(range(1, 9))
    said = capfd.readouterr()
    lines = [line.split('WARNING - ')[1] for line in said.out.splitlines() if 'could not be written' in line]
    assert lines.count('the log of LocalVisBackend could not be written (File too large); the training goes on') == 1
    assert len(lines) == 2 and any(line.startswith('a picture') for line in lines)
    assert said.err == '' and not list(tmp_path.glob('*/vis_data/vis_image/*'))


def test_a_disk_that_stays_full_costs_no_training(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The scalar log and the text log take no byte."""

    class NoRoom(Hook):
        def before_train(self, runner: Runner) -> None:
            folder = Path(runner.log_dir) / 'vis_data'
            folder.mkdir(exist_ok=True)
            (folder / 'scalars.json').symlink_to('/dev/full')
            handler = runner.logger.handlers[1]
            handler.setLevel(0)
            handler.setStream(open('/dev/full', 'w'))  # noqa: SIM115

    runner = line_runner(tmp_path, [GUARD, LogAll(), NoRoom()], epochs=2, interval=8)
    capfd.readouterr()
    runner.train()
    said = capfd.readouterr()
    assert said.out.count('the log of LocalVisBackend could not be written (No space left on device)') == 1
    assert said.out.count('the text log could not be written (No space left on device)') == 1
    assert 'Traceback' not in said.err and (tmp_path / 'iter_8.pth').is_file()


def test_tensorboard_costs_a_line_and_goes_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread fails, and is another one when there is room again."""
    writer = pytest.importorskip('tensorboard.summary.writer.record_writer').RecordWriter
    reader = pytest.importorskip('tensorboard.backend.event_processing.event_accumulator').EventAccumulator
    write = writer.write

    def full(self: Any, data: bytes) -> None:
        if runner.iter in (2, 3, 4):
            raise OSError(28, 'No space left on device')
        write(self, data)

    monkeypatch.setattr(writer, 'write', full)
    monkeypatch.setattr(survive_full_disk, 'MINUTE', 0)
    runner = line_runner(tmp_path, [GUARD, LogAll()], epochs=3, interval=100)
    board = TensorboardVisBackend(str(tmp_path / 'board'))
    runner.visualizer._vis_backends['TensorboardVisBackend'] = board
    capfd.readouterr()  # of loggers of other tests, whose stdout is closed
    runner.train()
    said = capfd.readouterr()
    assert said.out.count('the log of TensorboardVisBackend could not be written') == 1 and 'Traceback' not in said.err
    events = reader(str(tmp_path / 'board'))
    events.Reload()
    assert {event.step for event in events.Scalars('loss')} >= {1, 6, 7, 8, 9, 10, 11, 12}
    assert steps(tmp_path) == list(range(1, 13))


class Writes:
    """A metric that writes its detections."""

    tries = 0

    def write(self, detections: Any) -> None:
        Writes.tries += 1
        raise OSError(28, 'No space left on device')


def test_the_detections_of_a_validation_cost_a_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    runner = line_runner(tmp_path, [GUARD], epochs=2, interval=100)
    metric = runner.val_loop.evaluator.metrics[0]
    compute = metric.compute_metrics
    metric.write = Writes().write
    metric.compute_metrics = lambda results: (metric.write(None), compute(results))[1]
    capfd.readouterr()  # of loggers of other tests, whose stdout is closed
    runner.train()
    said = capfd.readouterr().out
    assert Writes.tries == 2 and said.count('the detections of a validation could not be written') == 1


def test_the_config_costs_a_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    cfg = load_config(str(QUICKSTART))
    MMLogger.get_instance(str(tmp_path))  # on the stdout of this test
    with full_disk(4000):
        cfg.dump(tmp_path / 'config.py')
    assert f'{tmp_path / "config.py"} could not be written (File too large)' in ''.join(capfd.readouterr())
    assert not (tmp_path / 'config.py').exists()


def test_all_configs_have_it() -> None:
    hooks = load_config(str(QUICKSTART)).default_hooks
    assert hooks.survive_full_disk.type == 'SurviveFullDisk' and hooks.timer.type == 'TimeLeft'
    assert hooks.checkpoint.max_minutes == 10 and os.path.exists('/dev/full')
