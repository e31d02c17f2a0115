"""``mmdark finetune``: adapt a detector to your own data."""

from __future__ import annotations

import argparse
import io
import json
import re
from contextlib import redirect_stdout
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmdark.cli import register_everything
from mmdark.cli.options import in_options, positive
from mmdark.errors import InputError
from mmdark.file_limits import parse_json
from mmdark.whole_file import write_whole

if TYPE_CHECKING:
    from mmengine.runner import Runner

    from mmdark.converters.data_folder import DataPart
    from mmdark.inference.detector import LoadedDetector

DESCRIPTION = """\
Adapt a detector to your own data: train it a little further, and say what that changed.

DATA is the folder or file of a data set as it lies: COCO (*.json), VOC (Annotations/, JPEGImages/), YOLO (data.yaml, or
images/ and labels/) or WIDER FACE (*_bbx_gt.txt). 15 % of the images are held out to measure on, 200 at most, where the
data names no validation part.

examples:
  mmdark finetune data/mine
  mmdark finetune data/mine/data.yaml --work-dir work_dirs/mine
  mmdark finetune train.json --val val.json --images photos/
  mmdark finetune data/mine --weights my.pth            your own detector, with the config that lies beside it"""

EPILOG = """\
Ctrl-C and SIGTERM keep what is done; the same command goes on exactly.
In the work dir: finetuned.pth, for mmdark detect --weights; the config of the training, which mmdark train and mmdark
test take, too; annotations/, the data in the COCO format; finetune.json, AP before and after."""

STATE, RESULT = 'finetune.json', 'finetuned.pth'
EXPECTED = re.compile('will be deprecated|is skipped since its requires_grad=False|not defined in message_hub')
"""Warnings of mmengine that need no action: deprecations, frozen weights, the timer of a resumed validation."""
SCORES = {'day': 'as they are', 'dark': 'darkened'}
"""The two validations of :mod:`mmdark.apis.finetune_config`."""


def parser() -> argparse.ArgumentParser:
    """The options."""
    style = argparse.RawDescriptionHelpFormatter
    parsed = argparse.ArgumentParser('mmdark finetune', description=DESCRIPTION, epilog=EPILOG, formatter_class=style)
    add = parsed.add_argument
    add('data', type=Path, metavar='DATA', help='folder or file of the data set')
    add('--val', type=Path, metavar='DATA', help='measure on this (default: what the data says, or 15 %%)')
    add('--images', type=Path, metavar='DIR', help='folder of the images (default: that of the annotation)')
    add('--classes', nargs='+', metavar='NAME', help='of the data, to train (default: all)')
    add('--weights', metavar='FILE', help='where to start (default: the weights that come with mmdark)')
    add('--model', metavar='CONFIG', help='config, or the name of one of ours (default: of the weights)')
    add('--work-dir', type=Path, metavar='DIR', help='for all results (default: work_dirs/finetune_DATA)')
    add('--iterations', type=positive, metavar='N', help='how long to train (default: by the images)')
    add('--batch-size', type=positive, metavar='N', help='images per step (default: of the config)')
    add('--half', action='store_true', help='write the weights as float16')
    add('--resume', action='store_true', help='go on; the same command does so without it, too')
    add('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='settings that differ from the config')
    return parsed


def run(arguments: list[str]) -> int:
    """Read the data, train, and print the AP before and after.

    Raises:
        InputError: the data or the detector cannot be used.
    """
    args = parser().parse_args(arguments)
    register_everything()
    from mmdark.apis import run_and_leave

    run_and_leave(partial(_finetune, args))
    return 0


def _finetune(args: argparse.Namespace) -> None:
    from mmdark.apis import export_weights, last_checkpoint, make_work_dir, only_training
    from mmdark.cli.finetune_data import data_for, length_of

    work_dir = args.work_dir or Path('work_dirs', f'finetune_{args.data.resolve().stem}')
    detector = _detector(args)
    parts, classes = data_for(args, detector)
    batch_size, iterations, full = length_of(args, detector, parts['train'], classes)
    asked = dict(
        data=sha256(json.dumps([part.document for part in parts.values()], sort_keys=True).encode()).hexdigest(),
        images=[str(part.images.resolve()) for part in parts.values()],
        weights=str(detector.weights.resolve()),
        model=Path(detector.cfg.filename).stem,
        classes=classes,
        iterations=iterations,
        batch_size=batch_size,
        cfg_options=args.cfg_options,
    )
    make_work_dir(str(work_dir))
    with only_training(str(work_dir)):
        state = _state(work_dir, asked)
        config = work_dir / f'{asked["model"]}.py'
        print(
            f'{full} images to train on, {len(parts["val"].document["images"])} to measure on, {", ".join(classes)}; '
            f'{iterations} iterations of {batch_size} images from {detector.weights}'
        )
        if state is None:
            _prepare(work_dir, config, detector, parts, asked, full)
            state = dict(asked=asked)
        if 'after' not in state:
            runner = _train(config, work_dir, args.cfg_options)
            state = dict(asked=asked, before=_scores(runner, 0), after=_scores(runner, -1))
            _write(work_dir / STATE, state)
        if last := last_checkpoint(str(work_dir)):
            export_weights(last, work_dir / RESULT, half=args.half)
    print(_summary(state, work_dir / RESULT, config))


def _detector(args: argparse.Namespace) -> LoadedDetector:
    """The detector to start from."""
    from mmdark.inference.detector import load_detector

    try:
        detector = load_detector(args.model, args.weights, 'cpu')
    except InputError as error:
        raise in_options(error) from None
    hooks = detector.cfg.default_hooks
    if not detector.cfg.get('train_dataloader') or (hooks.get('checkpoint') or {}).get('type') != 'WholeCheckpoint':
        raise InputError(
            f'config {detector.cfg.filename} describes no training of mmdark: name one that inherits a config of '
            'mmdark with --model'
        )
    return detector


def _state(work_dir: Path, asked: dict[str, Any]) -> dict[str, Any] | None:
    """The state written by an earlier run of the same command; None if this is the first run.

    Raises:
        InputError: the folder belongs to another training.
    """
    file = work_dir / STATE
    if not file.is_file():
        if any(work_dir.glob('*.pth')):
            raise InputError(f'{work_dir} holds another training: name another folder with --work-dir')
        return None
    try:
        state = parse_json(file.read_bytes())
        differs = [name for name, value in asked.items() if state['asked'][name] != value]
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f'{file} is damaged: take its folder away, or name another with --work-dir') from None
    if differs:
        raise InputError(
            f'{work_dir} holds a fine-tuning that differs in {", ".join(differs)}: give the same command to go on with '
            'it, or name another folder with --work-dir'
        )
    return state


def _prepare(
    work_dir: Path, config: Path, detector: LoadedDetector, parts: dict[str, DataPart], asked: dict[str, Any], full: int
) -> None:
    """Write the data in COCO format, then the config, and the state last."""
    from mmdark.apis.finetune_config import CocoPart, finetune_config

    places = {}
    for name, part in parts.items():
        places[name] = CocoPart((work_dir / 'annotations' / f'{name}.json').resolve(), part.images.resolve())
        _write(places[name].ann_file, part.document)
    finetune_config(
        detector.cfg,
        Path(asked['weights']),
        **places,
        classes=asked['classes'],
        batch_size=asked['batch_size'],
        iterations=asked['iterations'],
        images=full,
    )
    write_whole(config, detector.cfg.pretty_text.encode())
    _write(work_dir / STATE, dict(asked=asked))


def _train(config: Path, work_dir: Path, given: list[str]) -> Runner:
    """Train like ``mmdark train``, from the newest checkpoint if there is one."""
    from mmengine.config import DictAction
    from mmengine.runner import Runner

    from mmdark.apis import choose_start, last_checkpoint, load_config, note_start, prepare_distributed, settle_device

    as_dicts = argparse.ArgumentParser()
    as_dicts.add_argument('options', nargs='*', action=DictAction)
    options = as_dicts.parse_args(given).options if given else {}
    cfg = load_config(str(config), options, str(work_dir))
    settle_device(cfg, options)
    prepare_distributed(cfg, 'none')
    runner = Runner.from_cfg(cfg)
    choose_start(runner, last_checkpoint(str(work_dir)))
    note_start(runner)
    runner.logger.addFilter(lambda record: not EXPECTED.search(record.getMessage()))
    with redirect_stdout(io.StringIO()):  # pycocotools prints tables
        runner.train()
    return runner


def _scores(runner: Runner, place: int) -> dict[str, dict[str, float]]:
    """AP of the first (0) or the last (-1) validation."""
    return {
        part: {
            name: float(runner.message_hub.get_scalar(f'val/{part}/coco/bbox_{name}').data[0][place])
            for name in ('mAP_50', 'mAP')
        }
        for part in SCORES
    }


def _summary(state: dict[str, Any], weights: Path, config: Path) -> str:
    """The AP before and after, and how to use the weights."""
    rows = ['AP in percent at IoU 0.5 (mean of IoU 0.5 to 0.95)']
    for part, name in SCORES.items():
        before, after = (f'{100 * one["mAP_50"]:.1f} ({100 * one["mAP"]:.1f})' for one in _pair(state, part))
        rows.append(f'  {name:<13}{before:>14}  ->{after:>14}')
    if all(after['mAP_50'] < before['mAP_50'] for before, after in (_pair(state, part) for part in SCORES)):
        rows.append('It fell: keep the weights it started from, add images, or train for another time (--iterations).')
    rows += [
        f'weights: {weights} ({weights.stat().st_size / 2**20:.1f} MiB)',
        f'  mmdark detect PHOTOS --weights {weights}',
        f'  mmdark test {config} {weights}',
    ]
    return '\n'.join(rows)


def _pair(state: dict[str, Any], part: str) -> tuple[dict[str, float], dict[str, float]]:
    return state['before'][part], state['after'][part]


def _write(file: Path, content: object) -> None:
    write_whole(file, json.dumps(content).encode())
