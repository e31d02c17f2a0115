"""Test a detector: ``python tools/test.py CONFIG CHECKPOINT``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

from mmengine.config import Config, ConfigDict, DictAction
from mmengine.registry import METRICS
from mmengine.runner import Runner

from mmdark.apis import load_config, prepare_distributed, run_or_explain
from mmdark.errors import InputError

PICTURE_STEPS = ('LoadPhoto', 'LoadImageFromFile', 'DarkISP')
"""What a data set does to get its picture; ``--tta`` leaves it alone."""


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description='Test a detector and print its AP.')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--work-dir', help='where the log goes (default: work_dirs/<config name>)')
    parser.add_argument('--out', metavar='FILE.pkl', help='write all detections to a pickle file')
    parser.add_argument('--show-dir', metavar='DIR', help='draw every image: light, dark, reflectance, detections')
    parser.add_argument('--show-score-thr', type=float, default=0.3, help='draw detections from this score on')
    parser.add_argument(
        '--tta', action='store_true', help='test on several views of each image: tta_model, tta_pipeline'
    )
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='settings that differ from the config'
    )
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local-rank', '--local_rank', type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args()


def enable_tta(cfg: Config) -> Config:
    """Wrap the model into ``tta_model`` and let ``tta_pipeline`` make the views of each data set, as mmdet's tool does.

    Each data set keeps the steps that get its picture, so that of several, one may be by day and one in the dark;
    whatever follows comes from ``tta_pipeline``.

    Returns:
        The config under a name of its own: a Runner writes it into the work directory, where the config that training
        wrote must not be lost to it.

    Raises:
        InputError: the config has no views, or views cannot be batched.
    """
    if 'module' in cfg.model:
        raise InputError(
            f'--tta: the model of {cfg.filename} is wrapped already, it was written by --tta; leave it out'
        )
    for key in ('tta_model', 'tta_pipeline'):
        if not cfg.get(key):
            raise InputError(f'--tta: {cfg.filename} has no {key}; inherit configs/_base_/multi_scale_test.py')
    if cfg.test_dataloader.get('batch_size', 1) != 1 and 'MultiScaleViews' in str(cfg.tta_pipeline):
        raise InputError(
            '--tta: images of several sizes have different views, so they are tested one by one; '
            'add --cfg-options test_dataloader.batch_size=1'
        )
    picture = _picture_steps(cfg.tta_pipeline)
    views = cfg.tta_pipeline[len(picture) :]
    for dataset in _datasets(cfg.test_dataloader.dataset):
        dataset.pipeline = [*(_picture_steps(dataset.pipeline) or picture), *views]
    cfg.model = ConfigDict(**cfg.tta_model, module=cfg.model)
    path = Path(cfg.filename)
    return type(cfg)(cfg._cfg_dict, cfg_text=cfg.text, filename=path.with_stem(f'{path.stem}_tta'))


def _picture_steps(pipeline: list[ConfigDict]) -> list[ConfigDict]:
    return list(takewhile(lambda step: step['type'] in PICTURE_STEPS, pipeline))


def _datasets(dataset: ConfigDict) -> Iterator[ConfigDict]:
    """The data sets that have a pipeline, below those that join or wrap others."""
    inner = [dataset.dataset] if 'dataset' in dataset else dataset.get('datasets', [])
    for one in inner:
        yield from _datasets(one)
    if not inner:
        yield dataset


def main() -> None:
    """Build the Runner and test."""
    args = parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = load_config(args.config, args.cfg_options, args.work_dir)
    if args.out and not args.out.endswith(('.pkl', '.pickle')):
        raise InputError(f'--out {args.out}: the file is a pickle; name it *.pkl')
    if args.tta:
        cfg = enable_tta(cfg)
    if args.show_dir:
        cfg.default_hooks.draw_dark_panels = dict(
            type='DrawDarkPanels', out_dir=args.show_dir, score_thr=args.show_score_thr
        )
    cfg.load_from = args.checkpoint
    prepare_distributed(cfg, args.launcher)
    runner = Runner.from_cfg(cfg)
    if args.out:
        dump = METRICS.build(dict(type='DumpDetResults', out_file_path=args.out))
        runner.test_evaluator.metrics.append(dump)
    runner.test()
    if args.out and hasattr(runner.test_evaluator, 'dataset_prefixes'):
        # mmdet's MultiDatasetsEvaluator asks one metric a data set and leaves out the one more.
        dump.evaluate(len(runner.test_dataloader.dataset))


if __name__ == '__main__':
    run_or_explain(main)
