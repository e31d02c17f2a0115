"""Train a detector: ``python tools/train.py CONFIG``."""
# ruff: noqa: E402

from __future__ import annotations

import os
import signal

before = signal.getsignal(signal.SIGINT)


def end_early(*_: object) -> None:
    """Ctrl-C before the training, which would save: end with one line, also in the seconds that importing takes."""
    if os.environ.get('RANK', '0') == '0':
        os.write(2, b'ended by Ctrl-C\n')
    os._exit(130)


if __name__ == '__main__' and before is signal.default_int_handler:
    signal.signal(signal.SIGINT, end_early)

import argparse

from mmengine.config import DictAction
from mmengine.runner import Runner

from mmdark.apis import (
    check_backends,
    choose_start,
    enable_amp,
    enable_tensorboard,
    load_config,
    make_work_dir,
    note_start,
    only_training,
    prepare_distributed,
    run_or_explain,
    settle_device,
    validate_on,
)


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description='Train a detector.')
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='where logs and checkpoints go (default: work_dirs/<config name>)')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='PATH',
        help='go on from a checkpoint: PATH, or the newest whole one in the work dir (also: auto)',
    )
    parser.add_argument('--amp', action='store_true', help='train in bfloat16')
    parser.add_argument('--val-images', type=int, metavar='N', help='validate on N images of each data set, not all')
    parser.add_argument('--tensorboard', action='store_true', help='write TensorBoard files, too, beside scalars.json')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='settings that differ from the config'
    )
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local-rank', '--local_rank', type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Build the Runner and train."""
    args = parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = load_config(args.config, args.cfg_options, args.work_dir)
    make_work_dir(cfg.work_dir)
    if args.amp:
        enable_amp(cfg)
    if args.tensorboard:
        enable_tensorboard(cfg)
    if args.val_images is not None:
        validate_on(cfg, args.val_images)
    check_backends(cfg)
    settle_device(cfg, args.cfg_options or ())
    with only_training(cfg.work_dir, args.launcher):
        prepare_distributed(cfg, args.launcher)
        runner = Runner.from_cfg(cfg)
        choose_start(runner, args.resume)
        note_start(runner)
        runner.train()


if __name__ == '__main__':
    try:
        run_or_explain(main)
    finally:
        signal.signal(signal.SIGINT, before)
