"""Measure: ``benchmark.py {isp,loss,detect,data,train,test,startup,all} [--against DAI-NET] [--json FILE]``.

DarkISP, matching with the PAL losses, detections after the network, the data pipeline, a step of training, a test
forward, and the start-up of ``tools/test.py``; on random inputs of real shapes, or with ``--data-root`` on WIDER FACE.
``--against`` names a checkout of the published code (``git clone https://github.com/ZPDu/DAI-Net``), which is measured
in turn with ours. Each figure is a median; images/s and the ratio say how many times as fast.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from mmengine.config import DictAction

from mmdark.apis import config_path
from mmdark.cli.options import positive
from mmdark.errors import InputError
from mmdark.whole_file import write_whole

from .machine import Settings, check_device, machine
from .published import check_checkout
from .records import SUBJECTS, Plan, markdown_head, markdown_table, progress_line, run_subject


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description='Speed and memory of mmdark.')
    parser.add_argument('subjects', nargs='+', choices=[*SUBJECTS, 'all'], metavar='SUBJECT', help=', '.join(SUBJECTS))
    parser.add_argument('--config', default=str(config_path('dsfd_dark_wider.py')), help='(default: %(default)s)')
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cpu', help='(default: %(default)s)')
    parser.add_argument('--threads', type=positive, default=1, help='of torch and OpenCV (default: %(default)s)')
    parser.add_argument('--batch-size', type=positive, help='(default: 1; loss 4; on a GPU 16)')
    parser.add_argument('--size', type=positive, default=640, help='side of the images (default: %(default)s)')
    parser.add_argument('--faces', type=positive, default=40, help='in an image (default: %(default)s)')
    parser.add_argument('--amp', action='store_true', help='train and test in bfloat16')
    parser.add_argument('--channels-last', action='store_true', help='train and test with the hook ChannelsLast')
    parser.add_argument('--compile', action='store_true', help='train with the hook CompileParts')
    parser.add_argument('--repeats', type=positive, default=5, help='turns of a side in a run (default: %(default)s)')
    parser.add_argument('--runs', type=positive, default=1, help='how often, in new processes (default: %(default)s)')
    parser.add_argument('--data-root', metavar='DIR', help='WIDER FACE for data, startup, and the batches of train')
    parser.add_argument('--images', type=positive, default=32, help='that data reads in a call (default: %(default)s)')
    parser.add_argument('--workers', type=int, default=4, help='that load the batches of train (default: %(default)s)')
    parser.add_argument('--peak-tflops', type=float, help='dense, of the device (default: of GPUs that are known)')
    parser.add_argument('--against', metavar='DIR', help='a checkout of the published code')
    parser.add_argument('--published-batch-size', type=positive, help='its own best (default: --batch-size)')
    parser.add_argument('--json', metavar='FILE', help='write every turn of every run')
    parser.add_argument('--markdown', metavar='FILE', help='write the table')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='settings that differ from the config'
    )
    return parser.parse_args()


def settings_of(args: argparse.Namespace) -> Settings:
    """What the command line asks for."""
    if args.data_root and not Path(args.data_root).is_dir():
        raise InputError(f'--data-root {args.data_root}: there is no such folder; name that of WIDER FACE')
    return Settings(
        config=args.config,
        cfg_options=args.cfg_options or {},
        device=args.device,
        threads=args.threads,
        batch_size=args.batch_size,
        published_batch_size=args.published_batch_size,
        size=args.size,
        faces=args.faces,
        amp=args.amp,
        channels_last=args.channels_last,
        compile=args.compile,
        images=args.images,
        data_root=os.path.abspath(args.data_root) if args.data_root else None,
        workers=args.workers,
    )


def write(path: str | None, option: str, text: str) -> None:
    """Write a file whole, where one is asked for."""
    if path is not None:
        write_whole(Path(path), text.encode(), option)


def main() -> None:
    """Measure subject after subject; after each, what there is by then is written."""
    args = parse_args()
    check_device(args.device)
    settings = settings_of(args)
    plan = Plan(check_checkout(args.against) if args.against else None, args.repeats, args.runs, args.peak_tflops)
    place, records = machine(settings), []
    print(markdown_head(place), flush=True)
    for subject in SUBJECTS if 'all' in args.subjects else dict.fromkeys(args.subjects):
        for record in run_subject(subject, settings, plan):
            records.append(record)
            print(progress_line(record), flush=True)
            write(args.json, '--json', json.dumps(dict(machine=place, records=records), indent=1) + '\n')
            write(args.markdown, '--markdown', markdown_head(place) + '\n' + markdown_table(records))
    print('\n' + markdown_table(records), end='')
