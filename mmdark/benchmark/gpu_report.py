"""One page about a GPU, in minutes: speeds beside their targets, memory, precision, and where the time goes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from mmengine.registry import init_default_scope

from mmdark.apis import config_path
from mmdark.errors import InputError, one_line
from mmdark.whole_file import write_whole

from .curve import WINDOW, loss_curve, means
from .inputs import write_wider
from .interleave import OURS, PUBLISHED
from .machine import machine
from .profile import profile_step
from .run import NOISE_PHOTOGRAPHS, Plan, run_subject
from .settings import Settings
from .table import markdown_head, markdown_table, progress_line

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
"""For one H100 or H200; the last two are limits from above."""
AT_MOST = ('memory', 'idle')
NETWORK = ('train', 'test')
"""Parts whose published side is one network."""


@dataclass(frozen=True)
class Order:
    """What is asked for.

    Attributes:
        settings: device, sizes and batch; the model is that of :data:`CONFIG` unless they name another.
        plan: how to measure, and the published code where it is to be measured, too.
        curve_steps: of the two loss curves.
        minutes: a part that would begin later is left out, and the page says so.
        small: the model is narrow, so that training and test have nothing published beside them.
    """

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
    """Measure part after part; after each, ``gpu.md`` and ``gpu.json`` in the folder hold what there is by then.

    A part that fails is named among those left out, with the reason, and the others go on.
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

    loaded = settings
    if not settings.data_root:
        root = write_wider(noise / 'wider', NOISE_PHOTOGRAPHS, settings.faces, settings.seed)
        loaded = replace(settings, data_root=str(root))
    yield subject('isp', settings)
    yield subject('train', loaded)
    yield subject('test', settings)
    yield 'profile', lambda content: content.update(profile=profile_step(settings)._asdict())
    yield 'curve', lambda content: content.update(curve=_curves(settings, order.curve_steps))
    yield subject('train', settings)
    yield subject('loss', settings)
    yield subject('detect', settings)


def _curves(settings: Settings, steps: int) -> dict[str, list[float]]:
    batch = max(1, settings.batch_size // 4)
    return {
        name: loss_curve(replace(settings, amp=amp, channels_last=amp), steps, batch)
        for name, amp in (('float32', False), ('bfloat16', True))
    }


def measured(content: dict) -> dict[str, float]:
    """What was measured of :data:`TARGETS`."""
    found: dict[str, float] = {}
    for record in content['records']:
        ours, other = record[OURS], record.get(PUBLISHED)
        if record['subject'] == 'isp':
            found['isp'] = ours['images_per_second']  # the last one is the preset that trains
        if record['subject'] in ('train', 'test'):
            found.setdefault(record['subject'], ours['images_per_second'])
        if record['subject'] == 'train' and other:
            found.setdefault('ratio', ours['images_per_second'] / other['images_per_second'])
            if ours['memory'] and other['memory']:
                found.setdefault('memory', ours['memory'] / ours['batch'] / (other['memory'] / other['batch']))
    idle = content.get('profile', {}).get('idle')
    return found if idle is None else {**found, 'idle': idle}


def page(content: dict) -> str:
    """The report in Markdown."""
    found = measured(content)
    lines = [
        markdown_head(content['machine']),
        '| what | target, on one H100 or H200 | measured | |',
        '| --- | --- | --- | --- |',
    ]
    for name, (what, target) in TARGETS.items():
        value = found.get(name)
        met = '' if value is None else 'met' if (value <= target) == (name in AT_MOST) or value == target else 'MISSED'
        sign = 'at most' if name in AT_MOST else 'at least'
        lines.append(f'| {what} | {sign} {target:g} | {"-" if value is None else f"{value:.3g}"} | {met} |')
    lines += ['', markdown_table(content['records'])]
    memory = [(r, r[OURS]['memory'] / r[OURS]['batch'] / 2**20) for r in content['records'] if r[OURS]['memory']]
    lines += ['Peak memory an image: ' + ', '.join(f'{r["name"]} {each:.0f} MiB' for r, each in memory) + '.', '']
    if 'curve' in content:
        lines += [*_curve_lines(content['curve']), '']
    if 'profile' in content:
        lines += [*_profile_lines(content['profile']), '']
    if content['left_out']:
        lines += ['Left out:', '', *(f'- {each}' for each in content['left_out']), '']
    return '\n'.join([*lines, f'{content["minutes"]} minutes in all.', ''])


def _curve_lines(curve: dict[str, list[float]]) -> list[str]:
    one, other = curve['float32'], curve['bfloat16']
    lines = ['| steps | float32 | bfloat16 | difference |', '| --- | --- | --- | --- |']
    for place, (mean, half) in enumerate(zip(means(one), means(other), strict=True)):
        last = min((place + 1) * WINDOW, len(one))
        lines.append(f'| {place * WINDOW + 1} to {last} | {mean:.4f} | {half:.4f} | {half / mean - 1:+.2%} |')
    return ['Mean loss on the same random batches:', '', *lines]


def _profile_lines(profile: dict) -> list[str]:
    idle = profile['idle']
    head = 'A training step on a CPU' if idle is None else f'The GPU idles {idle:.1%} of a training step'
    lines = ['| kernel | ms a step | share |', '| --- | --- | --- |']
    rows = [f'| `{name[:80]}` | {time:.2f} | {share:.1%} |' for name, time, share in profile['rows']]
    return [f'{head}; what takes longest in it:', '', *lines, *rows]
