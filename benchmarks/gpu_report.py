"""One page about a GPU in six minutes: ``gpu_report.py [--against DAI-NET] [--data-root WIDER] --out DIR``.

Speeds beside their targets, peak memory, float32 beside bfloat16, the longest kernels, and how long the GPU idles.
Writes ``gpu.md`` and ``gpu.json``, also while it measures. ``--device cpu --small`` rehearses it in a minute.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from mmengine.registry import init_default_scope

from mmdark.apis import config_path, make_work_dir
from mmdark.errors import InputError, one_line
from mmdark.whole_file import write_whole

from .inputs import write_wider
from .machine import Settings, check_device, machine
from .measure import OURS, PUBLISHED
from .published import check_checkout
from .records import (
    NOISE_PHOTOGRAPHS,
    Plan,
    markdown_head,
    markdown_lines,
    markdown_table,
    progress_line,
    run_subject,
)
from .training import curve_lines, loss_curve, profile_lines, profile_step

CONFIG = 'ablations/dsfd_dark_wider_dark-isp-on-device.py'
"""The main config as a GPU trains it: the data preprocessor darkens."""
FED = {'train_dataloader.pin_memory': True, 'model.detector.data_preprocessor.non_blocking': True}
TARGETS = {
    'isp': ('DarkISP, images/s', 3000.0),
    'train': ('training step with batches loaded, bfloat16, images/s', 215.0),
    'test': ('test forward with detections, bfloat16, images/s', 800.0),
    'ratio': ('training step beside the published one, times as fast', 4.0),
    'memory': ("peak memory an image in training, of the published step's", 0.5),
    'idle': ('share of the time in which the GPU idles', 0.1),
}
"""For one H100 or H200; those of AT_MOST are limits from above."""
AT_MOST = ('memory', 'idle')
NETWORK = ('train', 'test')
"""Subjects whose published side is one network, which the narrow model of ``--small`` is not."""


@dataclass(frozen=True)
class Order:
    """What is asked for; a part that would begin after ``minutes`` is left out, and the page says so."""

    settings: Settings
    plan: Plan
    curve_steps: int
    minutes: float
    small: bool = False


def settings_for(device: str, small: bool, data_root: str | None, workers: int) -> Settings:
    """Batches of 16 images of 640 pixels in bfloat16; small: two of 64 pixels, of a model an eighth as wide."""
    settings = Settings(
        config=str(config_path(CONFIG)),
        cfg_options=FED if device == 'cuda' else {},
        device=device,
        batch_size=16,
        amp=True,
        channels_last=True,
        data_root=data_root,
        workers=workers,
    )
    if not small:
        return settings
    channels = [32, 64, 64, 128, 64, 32]
    narrow = {
        'input_size': 64,
        'model.detector.backbone.widen_factor': 0.125,
        'model.detector.neck.in_channels': channels,
        'model.detector.bbox_head.first_shot.in_channels': channels,
        'model.detector.bbox_head.second_shot.in_channels': channels,
        'model.reflectance_decoder.in_channels': 8,
        'model.enhancer.channels': 8,
    }
    return replace(
        settings, cfg_options={**settings.cfg_options, **narrow}, batch_size=2, size=64, faces=4, images=4, workers=1
    )


def report(order: Order, folder: Path) -> dict:
    """Measure part after part, and write ``gpu.md`` and ``gpu.json`` into the folder after each.

    A part that fails is listed with its reason, and the others go on.
    """
    init_default_scope('mmdet')
    start = time.monotonic()
    content: dict = dict(machine=machine(order.settings), records=[], left_out=[], minutes=0.0)
    with TemporaryDirectory() as noise:
        for name, part in _parts(order, Path(noise)):
            if (time.monotonic() - start) / 60 >= order.minutes:
                content['left_out'].append(f'{name} (the {order.minutes:g} minutes were over)')
                continue
            print(f'{name} ...', flush=True)
            try:
                part(content)
            except (InputError, RuntimeError) as error:  # out of memory is one of the latter
                content['left_out'].append(f'{name} ({one_line(str(error))})')
                print(f'  failed: {one_line(str(error))}', flush=True)
            content['minutes'] = round((time.monotonic() - start) / 60, 1)
            write_whole(folder / 'gpu.json', (json.dumps(content, indent=1) + '\n').encode(), '--out')
            write_whole(folder / 'gpu.md', page(content).encode(), '--out')
    return content


def _parts(order: Order, noise: Path) -> Iterator[tuple[str, Callable[[dict], None]]]:
    """The most wanted first."""
    settings = order.settings

    def subject(name: str, given: Settings) -> tuple[str, Callable[[dict], None]]:
        def measure(content: dict) -> None:
            alone = order.small and name in NETWORK
            for record in run_subject(name, given, replace(order.plan, checkout=None) if alone else order.plan):
                content['records'].append(record)
                print('  ' + progress_line(record), flush=True)

        return name, measure

    def curves(content: dict) -> None:
        batch = max(1, settings.batch_size // 4)
        content['curve'] = {
            name: loss_curve(replace(settings, amp=amp, channels_last=amp), order.curve_steps, batch)
            for name, amp in (('float32', False), ('bfloat16', True))
        }

    loaded = settings
    if not settings.data_root:
        root = write_wider(noise / 'wider', NOISE_PHOTOGRAPHS, settings.faces, settings.seed)
        loaded = replace(settings, data_root=str(root))
    yield subject('isp', settings)
    yield subject('train', loaded)
    yield subject('test', settings)
    yield 'profile', lambda content: content.update(profile=profile_step(settings))
    yield 'curve', curves
    yield subject('train', settings)
    yield subject('loss', settings)
    yield subject('detect', settings)


def measured(content: dict) -> dict[str, float]:
    """What was measured of :data:`TARGETS`."""
    values: dict[str, float] = {}
    for record in content['records']:
        subject, ours, other = record['subject'], record[OURS], record.get(PUBLISHED)
        if subject == 'isp':
            values['isp'] = ours['images_per_second']  # the last one is the preset that trains
        if subject in NETWORK:
            values.setdefault(subject, ours['images_per_second'])
        if subject == 'train' and other:
            values.setdefault('ratio', ours['images_per_second'] / other['images_per_second'])
            if ours['memory'] and other['memory']:
                values.setdefault('memory', ours['memory'] / ours['batch'] / (other['memory'] / other['batch']))
    idle = content.get('profile', {}).get('idle')
    return values if idle is None else {**values, 'idle': idle}


def page(content: dict) -> str:
    """The report in Markdown."""
    values, rows = measured(content), []
    for name, (what, target) in TARGETS.items():
        value = values.get(name)
        met = '' if value is None else 'met' if (value <= target) == (name in AT_MOST) or value == target else 'MISSED'
        limit = f'{"at most" if name in AT_MOST else "at least"} {target:g}'
        rows.append((what, limit, '-' if value is None else f'{value:.3g}', met))
    targets = markdown_lines(('what', 'target, on one H100 or H200', 'measured', ''), rows)
    lines = [markdown_head(content['machine']), targets, markdown_table(content['records'])]
    memory = [(r, r[OURS]['memory'] / r[OURS]['batch'] / 2**20) for r in content['records'] if r[OURS]['memory']]
    lines += ['Peak memory an image: ' + ', '.join(f'{r["name"]} {each:.0f} MiB' for r, each in memory) + '.', '']
    lines += [curve_lines(content['curve'])] if 'curve' in content else []
    lines += [profile_lines(content['profile'])] if 'profile' in content else []
    if content['left_out']:
        lines += ['Left out:', '', *(f'- {each}' for each in content['left_out']), '']
    return '\n'.join([*lines, f'{content["minutes"]} minutes in all.', ''])


def parse_args() -> argparse.Namespace:
    """The command line."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    parser = argparse.ArgumentParser(description='One page about a GPU.')
    parser.add_argument('--out', default='gpu_report', metavar='DIR', help='(default: %(default)s)')
    parser.add_argument('--against', metavar='DIR', help='a checkout of the published code')
    parser.add_argument('--published-batch-size', type=int, default=8, help='its own best (default: %(default)s)')
    parser.add_argument('--data-root', metavar='DIR', help='WIDER FACE for loaded batches (default: photos of noise)')
    parser.add_argument('--workers', type=int, default=max(1, min(15, cores - 1)), help='that load')
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
