"""Test a detector: ``python tools/test.py CONFIG CHECKPOINT``."""

from __future__ import annotations

import argparse
import os

from mmengine.config import DictAction
from mmengine.registry import METRICS
from mmengine.runner import Runner

from mmdark.apis import (
    enable_tta,
    in_bfloat16,
    load_config,
    make_work_dir,
    prepare_distributed,
    run_or_explain,
    settle_device,
)
from mmdark.errors import InputError


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description='Test a detector and print its AP.')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--work-dir', help='where the log goes (default: work_dirs/<config name>)')
    parser.add_argument('--out', metavar='FILE.pkl', help='write all detections to a pickle file')
    parser.add_argument('--show-dir', metavar='DIR', help='draw every image: light, dark, reflectance, detections')
    parser.add_argument('--show-score-thr', type=float, default=0.3, help='draw detections from this score on')
    parser.add_argument('--amp', action='store_true', help='test in bfloat16')
    parser.add_argument(
        '--tta', action='store_true', help='test on several views of each image: tta_model, tta_pipeline'
    )
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='settings that differ from the config'
    )
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local-rank', '--local_rank', type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Build the Runner and test."""
    args = parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = load_config(args.config, args.cfg_options, args.work_dir)
    if args.out and not args.out.endswith(('.pkl', '.pickle')):
        raise InputError(f'--out {args.out}: the file is a pickle; name it *.pkl')
    make_work_dir(cfg.work_dir)
    if args.tta:
        cfg = enable_tta(cfg)
    if args.show_dir:
        cfg.default_hooks.draw_dark_panels = dict(
            type='DrawDarkPanels', out_dir=args.show_dir, score_thr=args.show_score_thr
        )
    cfg.load_from = args.checkpoint
    settle_device(cfg, args.cfg_options or ())
    prepare_distributed(cfg, args.launcher)
    runner = Runner.from_cfg(cfg)
    if args.amp:
        runner.model.test_step = in_bfloat16(runner.model)
    if args.out:
        dump = METRICS.build(dict(type='DumpDetResults', out_file_path=args.out))
        runner.test_evaluator.metrics.append(dump)
    runner.test()
    if args.out and hasattr(runner.test_evaluator, 'dataset_prefixes'):
        # The evaluator of several data sets asks one metric a data set and leaves out the one more.
        dump.evaluate(len(runner.test_dataloader.dataset))


if __name__ == '__main__':
    run_or_explain(main)
