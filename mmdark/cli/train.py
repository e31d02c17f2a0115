"""``mmdark train``: train a detector."""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from mmdark.cli import register_everything
from mmdark.cli.options import add_run_options
from mmdark.errors import INTERRUPTED


def parser() -> argparse.ArgumentParser:
    """The options."""
    parsed = argparse.ArgumentParser('mmdark train', description='Train a detector.')
    add_run_options(parsed)
    parsed.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='PATH',
        help='go on from a checkpoint: PATH, or the newest whole one in the work dir (also: auto)',
    )
    parsed.add_argument('--amp', action='store_true', help='train in bfloat16')
    parsed.add_argument('--val-images', type=int, metavar='N', help='validate on N images of each data set, not all')
    parsed.add_argument('--tensorboard', action='store_true', help='write TensorBoard files, too, beside scalars.json')
    return parsed


def run(arguments: list[str]) -> int:
    """Train.

    Raises:
        InputError: the config, the data or a checkpoint cannot be used.
    """
    with _ctrl_c_ends_at_once():
        register_everything()
        from mmdark.apis import run_and_leave

        run_and_leave(partial(_train, parser().parse_args(arguments)))
    return 0


def _train(args: argparse.Namespace) -> None:
    from mmengine.runner import Runner

    from mmdark import apis

    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = apis.load_config(args.config, args.cfg_options, args.work_dir)
    apis.make_work_dir(cfg.work_dir)
    if args.amp:
        apis.enable_amp(cfg)
    if args.tensorboard:
        apis.enable_tensorboard(cfg)
    if args.val_images is not None:
        apis.validate_on(cfg, args.val_images)
    apis.settle_device(cfg, args.cfg_options or ())
    with apis.only_training(cfg.work_dir, args.launcher):
        apis.prepare_distributed(cfg, args.launcher)
        runner = Runner.from_cfg(cfg)
        apis.choose_start(runner, args.resume)
        apis.note_start(runner)
        runner.train()


@contextmanager
def _ctrl_c_ends_at_once() -> Iterator[None]:
    """Exit on Ctrl-C until ``SaveOnSigterm`` takes over; in an import KeyboardInterrupt may become another error."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end(*_: object) -> None:
    if os.environ.get('RANK', '0') == '0':
        os.write(2, b'ended by Ctrl-C\n')
    os._exit(INTERRUPTED)
