"""``mmdark test``: test a detector."""

from __future__ import annotations

import argparse
import os
from functools import partial

from mmdark.cli import register_everything
from mmdark.cli.options import add_run_options
from mmdark.errors import InputError


def parser() -> argparse.ArgumentParser:
    """The options."""
    parsed = argparse.ArgumentParser('mmdark test', description='Test a detector and print its AP.')
    add_run_options(parsed)
    parsed.add_argument('checkpoint', help='checkpoint file')
    parsed.add_argument('--out', metavar='FILE.pkl', help='write all detections to a pickle file')
    parsed.add_argument('--show-dir', metavar='DIR', help='draw every image: light, dark, reflectance, detections')
    parsed.add_argument('--show-score-thr', type=float, default=0.3, help='draw detections from this score on')
    parsed.add_argument('--amp', action='store_true', help='test in bfloat16')
    parsed.add_argument('--tta', action='store_true', help='several views of each image: tta_model, tta_pipeline')
    return parsed


def run(arguments: list[str]) -> int:
    """Test.

    Raises:
        InputError: the config, the data or the checkpoint cannot be used.
    """
    register_everything()
    from mmdark.apis import run_and_leave

    run_and_leave(partial(_test, parser().parse_args(arguments)))
    return 0


def _test(args: argparse.Namespace) -> None:
    from mmengine.registry import METRICS
    from mmengine.runner import Runner

    from mmdark import apis

    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = apis.load_config(args.config, args.cfg_options, args.work_dir)
    if args.out and not args.out.endswith(('.pkl', '.pickle')):
        raise InputError(f'--out {args.out}: the file is a pickle; name it *.pkl')
    apis.make_work_dir(cfg.work_dir)
    if args.tta:
        cfg = apis.enable_tta(cfg)
    if args.show_dir:
        cfg.default_hooks.draw_dark_panels = dict(
            type='DrawDarkPanels', out_dir=args.show_dir, score_thr=args.show_score_thr
        )
    cfg.load_from = args.checkpoint
    apis.settle_device(cfg, args.cfg_options or ())
    apis.prepare_distributed(cfg, args.launcher)
    runner = Runner.from_cfg(cfg)
    if args.amp:
        runner.model.test_step = apis.in_bfloat16(runner.model)
    if args.out:
        dump = METRICS.build(dict(type='DumpDetResults', out_file_path=args.out))
        runner.test_evaluator.metrics.append(dump)
    runner.test()
    if args.out and hasattr(runner.test_evaluator, 'dataset_prefixes'):
        # The evaluator of several data sets evaluates one metric per data set, and not the additional one.
        dump.evaluate(len(runner.test_dataloader.dataset))
