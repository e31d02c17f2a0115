"""``mmdark finetune``: each layout from end to end, exact after a stop, the AP of ``mmdark test``, errors in a line."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.runner import Runner

from mmdark.apis import find_config, load_config
from mmdark.cli import ERROR, main
from mmdark.engine.hooks import LiveProgress
from mmdark.inference.weights import shipped_weights
from tests.tiny_own_data import write_coco, write_voc, write_yolo
from tests.tiny_wider import FACE, write_wider

GFL = 'gfl_dark_mobilenetv2_wider'
TINY = (
    'input_size=64',
    'train_dataloader.num_workers=0',
    'val_dataloader.num_workers=0',
    'test_dataloader.num_workers=0',
    'optim_wrapper.optimizer.lr=0.002',
)
ALL_BOXES = ('model.test_cfg.score_thr=0.0', 'model.test_cfg.max_per_img=50')


def start_weights(folder: Path, config: str = GFL, names: tuple[str, ...] = ()) -> list[str]:
    """Random weights for a config, and the options that start from them; with ``names`` for so many classes."""
    cfg = load_config(config)
    torch.manual_seed(0)
    model = cfg.model.get('detector') or cfg.model
    model.backbone.init_cfg = None
    meta = {}
    if names:
        model.bbox_head.num_classes = len(names)
        config, meta = str(folder / 'several.py'), {'dataset_meta': {'classes': names}}
        cfg.dump(config)
    built = MODELS.build(cfg.model)
    built.init_weights()
    torch.save({'state_dict': built.state_dict(), 'meta': meta}, folder / 'start.pth')
    return ['--model', config, '--weights', str(folder / 'start.pth')]


@pytest.fixture(scope='module')
def start(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return start_weights(tmp_path_factory.mktemp('start'))


def finetune(data: Path, work_dir: Path, *options: str, iterations: int = 3, settings: tuple[str, ...] = ()) -> None:
    given = ['--work-dir', str(work_dir), '--iterations', str(iterations), *options]
    assert main(['finetune', str(data), *given, '--cfg-options', *TINY, *settings]) == 0


def state_of(work_dir: Path) -> dict:
    return json.loads((work_dir / 'finetune.json').read_text())


def weights(file: Path) -> dict[str, torch.Tensor]:
    return torch.load(file, weights_only=True)['state_dict']


def equal(one: Path, other: Path) -> bool:
    pair = weights(one), weights(other)
    return pair[0].keys() == pair[1].keys() and all(
        torch.equal(value, pair[1][name]) for name, value in pair[0].items()
    )


@pytest.mark.parametrize(
    ('write', 'images', 'held_out'),
    [(write_coco, 4, 4), (write_voc, 4, 4), (lambda root: write_yolo(root, 6), 5, 1), (write_wider, 8, 2)],
    ids=['coco', 'voc', 'yolo', 'wider'],
)
def test_each_layout(
    write: Callable[[Path], Path],
    images: int,
    held_out: int,
    start: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The boxes are those of the files, the weights change, and ``mmdark detect`` takes them with nothing else."""
    root, work_dir = write(tmp_path / 'data'), tmp_path / 'work'
    finetune(root, work_dir, *start, '--half')
    said, state = capsys.readouterr().out, state_of(work_dir)
    assert f'{images} images to train on, {held_out} to measure on, face; 3 iterations of {images} images' in said
    assert f'mmdark detect PHOTOS --weights {work_dir}/finetuned.pth' in said and 'WARNING' not in said
    for part, count in (('train', images), ('val', held_out)):
        document = json.loads((work_dir / 'annotations' / f'{part}.json').read_text())
        assert len(document['images']) == count
        assert all(box['bbox'] == pytest.approx(FACE, abs=1e-3) for box in document['annotations'])
    before, after = weights(Path(start[-1])), weights(work_dir / 'finetuned.pth')
    head, frozen = 'bbox_head.gfl_reg.weight', 'backbone.conv1.conv.weight'
    assert not torch.equal(before[head].half(), after[head]) and torch.equal(before[frozen].half(), after[frozen])
    assert set(state['before']) == set(state['after']) == {'day', 'dark'}
    moved = tmp_path / 'elsewhere.pth'
    (work_dir / 'finetuned.pth').rename(moved)
    photos = next(path.parent for path in root.rglob('*.jpg'))
    assert main(['detect', str(photos), '--weights', str(moved), '--out-dir', str(tmp_path / 'out')]) == 0
    assert json.loads((tmp_path / 'out' / 'results.json').read_text())['model'] == GFL


def test_learns_and_says_what_mmdark_test_says(
    start: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bright rectangles in noise are soon found; before and after are the AP of the two weight files."""
    root, work_dir = write_wider(tmp_path / 'data', train=8, val=3), tmp_path / 'work'
    settings = (*ALL_BOXES, 'optim_wrapper.optimizer.lr=0.005')
    finetune(root, work_dir, *start, '--batch-size', '4', iterations=40, settings=settings)
    state, said = state_of(work_dir), capsys.readouterr().out
    for name, file in (('before', start[-1]), ('after', f'{work_dir}/finetuned.pth')):
        folder = tmp_path / name
        main(['test', f'{work_dir}/{GFL}.py', file, '--work-dir', str(folder)])
        measured = json.loads(next(folder.glob('*/*.json')).read_text())
        for part in ('day', 'dark'):
            for score, value in state[name][part].items():
                assert measured[f'{part}/coco/bbox_{score}'] == pytest.approx(value, abs=1e-9)
            assert f'{100 * state[name][part]["mAP_50"]:.1f} (' in said
    assert state['before']['day']['mAP_50'] < 0.1 < 0.3 < state['after']['day']['mAP_50']


STOPPED = ('--batch-size', '2')
ITERATIONS = 5


@pytest.fixture(scope='module')
def once(start: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A data set, and the work dir of a run that was never stopped."""
    folder = tmp_path_factory.mktemp('once')
    root = write_coco(folder / 'data', train=3, val=2)
    finetune(root, folder / 'work', *start, *STOPPED, iterations=ITERATIONS, settings=ALL_BOXES)
    return root, folder / 'work'


@pytest.mark.parametrize(
    ('step', 'iteration', 'number'),
    [
        ('after_val_iter', 0, signal.SIGTERM),
        ('after_train_iter', 3, signal.SIGTERM),
        ('after_train_iter', 2, signal.SIGINT),
        ('after_val_iter', ITERATIONS, signal.SIGTERM),
    ],
    ids=['first validation', 'training', 'Ctrl-C', 'last validation'],
)
def test_goes_on_exactly(
    step: str,
    iteration: int,
    number: int,
    start: list[str],
    once: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same command again gives the weights and the AP of a run that was never stopped."""
    root, whole = once

    def stop(self: LiveProgress, runner: Runner, *args: object, **more: object) -> None:
        if runner.iter == iteration:
            os.kill(os.getpid(), number)

    with monkeypatch.context() as patched:
        patched.setattr(LiveProgress, step, stop)
        given = ['--work-dir', str(tmp_path), '--iterations', str(ITERATIONS), *start, *STOPPED]
        try:
            status = main(['finetune', str(root), *given, '--cfg-options', *TINY, *ALL_BOXES])
        except SystemExit as end:
            status = end.code
    assert status == (130 if number == signal.SIGINT else 0)
    assert 'after' not in state_of(tmp_path) and not (tmp_path / 'finetuned.pth').exists()
    finetune(root, tmp_path, *start, *STOPPED, '--resume', iterations=ITERATIONS, settings=ALL_BOXES)
    assert equal(whole / 'finetuned.pth', tmp_path / 'finetuned.pth') and state_of(whole) == state_of(tmp_path)


def test_a_finished_run_trains_no_more(
    start: list[str], once: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says again what it has found, and may write the weights in another precision."""
    monkeypatch.setattr(Runner, 'train', None)
    before = weights(once[1] / 'finetuned.pth')
    finetune(once[0], once[1], *start, *STOPPED, '--half', iterations=ITERATIONS, settings=ALL_BOXES)
    after = weights(once[1] / 'finetuned.pth')
    assert all(torch.equal(value.half(), after[name]) for name, value in before.items())
    assert 'darkened' in capsys.readouterr().out


def test_mmdark_train_does_the_same(start: list[str], tmp_path: Path) -> None:
    """The config in the work dir is that of an ordinary training."""
    root, work_dir, other = write_voc(tmp_path / 'data'), tmp_path / 'work', tmp_path / 'other'
    finetune(root, work_dir, *start)
    assert main(['train', f'{work_dir}/{GFL}.py', '--work-dir', str(other)]) == 0
    assert equal(work_dir / 'iter_3.pth', other / 'iter_3.pth')


@pytest.mark.parametrize('config', ['dsfd_dark_lite_wider', 'fcos_r18_wider_dark'])
def test_other_detectors(config: str, tmp_path: Path) -> None:
    """DAI-Net with pairs from the pipeline, the weights that come with mmdark, and with DarkISP on the device."""
    options = [] if config == 'dsfd_dark_lite_wider' else start_weights(tmp_path, config)
    root, work_dir = write_yolo(tmp_path / 'data', 4), tmp_path / 'work'
    finetune(root, work_dir, *options, '--batch-size', '2', iterations=1)
    photo = str(root / 'images' / 'sub' / '0.jpg')
    assert main(['detect', photo, '--weights', f'{work_dir}/finetuned.pth', '--out-dir', f'{tmp_path}/out']) == 0


def write_two_classes(root: Path) -> Path:
    """A YOLO folder of faces and hats."""
    write_yolo(root, 4)
    for file in (root / 'labels').rglob('*.txt'):
        file.write_text(file.read_text() + '1 .2 .2 .2 .2\n')
    (root / 'data.yaml').write_text('train: images\nnames: [face, hat]\n')
    return root


def test_several_classes(tmp_path: Path) -> None:
    """The labels are those of the detector, whatever the order of the data; results have the names."""
    root, work_dir = write_two_classes(tmp_path / 'data'), tmp_path / 'work'
    options = start_weights(tmp_path, names=('hat', 'face'))
    finetune(root, work_dir, *options, settings=('model.test_cfg.score_thr=0.0',))
    assert state_of(work_dir)['asked']['classes'] == ['hat', 'face']
    results = tmp_path / 'out' / 'results.json'
    photo = str(root / 'images' / 'sub' / '0.jpg')
    line = ['detect', photo, '--weights', f'{work_dir}/finetuned.pth', '--out-dir', str(results.parent)]
    assert main([*line, '--score-thr', '0']) == 0
    assert '"hat"' in results.read_text()


def test_the_class_of_the_data_gives_the_name(start: list[str], tmp_path: Path) -> None:
    """One class is one class; of several, ``--classes`` takes one, and without it those that the detector knows.

    What was written begins another fine-tuning, with nothing else named.
    """
    root = write_two_classes(tmp_path / 'data')
    for options, name in (([], 'face'), (['--classes', 'hat'], 'hat')):
        finetune(root, tmp_path / name, *start, *options, '--half', iterations=1)
        meta = torch.load(tmp_path / name / 'finetuned.pth', weights_only=True)['meta']
        assert list(meta['dataset_meta']['classes']) == [name]
    finetune(root, tmp_path / 'further', '--weights', f'{tmp_path}/hat/finetuned.pth', iterations=1)
    assert state_of(tmp_path / 'further')['asked']['classes'] == ['hat']


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The error line of a command, the only one."""
    capsys.readouterr()
    assert main(['finetune', *map(str, arguments)]) == ERROR
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith('error: '))
    return line


def test_errors_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    empty, one, plain = tmp_path / 'empty', write_yolo(tmp_path / 'one', 1), write_yolo(tmp_path / 'plain', 2)
    empty.mkdir()
    for file in (plain / 'labels').rglob('*.txt'):
        file.write_text('')
    lost = write_coco(tmp_path / 'lost')
    (lost / 'train' / 'train_2.jpg').unlink()
    hats = write_two_classes(tmp_path / 'hats')
    (hats / 'data.yaml').write_text('train: images\nnames: [cap, hat]\n')
    assert 'no/where does not exist' in refused(capsys, 'no/where')
    assert 'is no data set of a known format' in refused(capsys, empty)
    assert '1 image(s) with a box of face: at least two are needed' in refused(capsys, one)
    assert 'has no box in 2 images' in refused(capsys, plain)
    assert 'train_2.jpg is not there' in (line := refused(capsys, lost)) and '(1 of 4 images are missing)' in line
    assert 'the data has the classes cap, hat, the detector knows 1: face' in refused(capsys, hats)
    assert '--classes face: the data has cap, hat' in refused(capsys, hats, '--classes', 'face')
    assert 'does not exist' in refused(capsys, lost, '--images', 'no/where')
    (tmp_path / 'plain.py').write_text(f"_base_ = ['{find_config('dsfd_dark_lite_wider')}']\ntrain_dataloader = None\n")
    named = ('--model', tmp_path / 'plain.py', '--weights', shipped_weights('dsfd_dark_lite_wider'))
    assert 'plain.py describes no training of mmdark' in refused(capsys, one, *named)
    assert not (tmp_path / 'work_dirs').exists()


def test_a_folder_of_something_else_is_left_alone(
    start: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, work_dir = write_yolo(tmp_path / 'data', 3), tmp_path / 'work'
    finetune(root, work_dir, *start, iterations=1)
    given = (root, '--work-dir', work_dir, *start, '--cfg-options', *TINY)
    assert 'differs in iterations: give the same' in refused(capsys, *given[:3], '--iterations', 2, *given[3:])
    (root / 'labels' / 'sub' / '0.txt').write_text('0 .5 .5 .3 .3\n')
    assert 'differs in data: give the same' in refused(capsys, *given[:3], '--iterations', 1, *given[3:])
    (work_dir / 'finetune.json').write_text('{')
    assert 'finetune.json is damaged' in refused(capsys, *given)
    (work_dir / 'finetune.json').unlink()
    assert 'holds another training' in refused(capsys, *given)
