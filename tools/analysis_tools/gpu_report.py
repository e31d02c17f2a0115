"""One page about a GPU in six minutes: ``gpu_report.py [--against DAI-NET] [--data-root WIDER] --out DIR``.

Speeds beside their targets, peak memory, float32 beside bfloat16, the longest kernels, and how long the GPU idles.
Writes ``gpu.md`` and ``gpu.json``, also while it measures. ``--device cpu --small`` rehearses it in a minute.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path

from mmdark.apis import make_work_dir, run_or_explain
from mmdark.benchmark import Plan, check_checkout, check_device
from mmdark.benchmark.gpu_report import Order, page, report, settings_for

LEFT_FREE = 1
MOST_WORKERS = 15


def parse_args() -> argparse.Namespace:
    """The command line."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    parser = argparse.ArgumentParser(description='One page about a GPU.')
    parser.add_argument('--out', default='gpu_report', metavar='DIR', help='(default: %(default)s)')
    parser.add_argument('--against', metavar='DIR', help='a checkout of the published code')
    parser.add_argument('--published-batch-size', type=int, default=8, help='its own best (default: %(default)s)')
    parser.add_argument('--data-root', metavar='DIR', help='WIDER FACE for loaded batches (default: photos of noise)')
    parser.add_argument('--workers', type=int, default=max(1, min(MOST_WORKERS, cores - LEFT_FREE)), help='that load')
    parser.add_argument('--device', choices=['cuda', 'cpu'], default='cuda', help='(default: %(default)s)')
    parser.add_argument('--small', action='store_true', help='a narrow model on 64 pixels, to rehearse')
    parser.add_argument('--minutes', type=float, default=6.0, help='begin no part later (default: %(default)s)')
    return parser.parse_args()


def main() -> None:
    """Measure, write, and print the page."""
    args = parse_args()
    check_device(args.device)
    make_work_dir(args.out)
    settings = settings_for(args.device, args.small, args.data_root, args.workers)
    if args.against:
        settings = replace(settings, published_batch_size=args.published_batch_size)
    checkout = check_checkout(args.against) if args.against else None
    plan = Plan(checkout, repeats=2 if args.small else 5)
    order = Order(settings, plan, curve_steps=6 if args.small else 300, minutes=args.minutes, small=args.small)
    print('\n' + page(report(order, Path(args.out))))


if __name__ == '__main__':
    run_or_explain(main)
