"""What a real training of the main config leaves for those who watch: scalars.json and TensorBoard say the same."""

import json
from pathlib import Path
from typing import ClassVar
from uuid import uuid4

import pytest
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmdark.apis import enable_tensorboard, load_config
from tests.tiny_wider import LITE, ROOT, write_wider

event_accumulator = pytest.importorskip(
    'tensorboard.backend.event_processing.event_accumulator', reason='tensorboard is not installed'
)

TERMS = {
    *(f'pal{shot}_loss_{kind}' for shot in (1, 2) for kind in ('cls', 'bbox')),
    *(f'loss_{name}' for name in ('mutual', 'decomposition', 'consistency', 'reconstruction', 'smoothness')),
    'loss_coherence',
    'loss',
}
OTHERS = {'lr', 'reflectance_decoder.lr', 'grad_norm', 'data_time', 'time'}
VALIDATION = {'day/wider/AP', 'dark/wider/AP', 'dark/pal2_loss', 'validation/time', 'validation/data_time'}


class Found(Hook):
    """Keeps the validation losses as they were found."""

    priority = 'LOWEST'
    losses: ClassVar[list[float]] = []

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float]) -> None:
        self.losses.append(metrics['dark/pal2_loss'])


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``vis_data`` of three epochs of two iterations."""
    out = tmp_path_factory.mktemp('watching')
    root = write_wider(out / 'wider', train=4, val=2)
    loaders = {key: value for key, value in LITE.items() if 'loader' in key and 'test_' not in key}
    options = {
        **{key: value for key, value in LITE.items() if 'loader' not in key},
        **loaders,
        'val_dataloader.num_workers': 0,
        'val_dataloader.persistent_workers': False,
        'data_root': f'{root}/',
        'model.detector.backbone.init_cfg': None,
        'model.enhancer.channels': 4,
        'model.enhancer.init_cfg': None,
        'train_cfg.max_epochs': 3,
        'default_hooks.logger.interval': 1,
        'default_hooks.draw_train_panels.interval': 4,
        'default_hooks.checkpoint.interval': 100,
        'default_hooks.checkpoint.save_best': ['dark/wider/AP', 'dark/pal2_loss'],
        'default_hooks.checkpoint.rule': ['greater', 'less'],
        'log_level': 'WARNING',
        'visualizer.name': uuid4().hex,  # mmengine keeps one for each name in a process
    }
    cfg = load_config(str(ROOT / 'configs' / 'dsfd_dark_wider.py'), options, str(out / 'work'))
    enable_tensorboard(cfg)
    runner = Runner.from_cfg(cfg)
    Found.losses.clear()
    runner.register_hook(Found())
    runner.train()
    (found,) = out.glob('work/*/vis_data')
    return found


@pytest.fixture(scope='module')
def lines(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / 'scalars.json').read_text().splitlines()]


@pytest.fixture(scope='module')
def events(folder: Path) -> event_accumulator.EventAccumulator:
    made = event_accumulator.EventAccumulator(str(folder), size_guidance={'scalars': 0, 'images': 0})
    return made.Reload()


def test_tensorboard_has_every_number_of_the_log_at_its_step(
    lines: list[dict[str, float]], events: event_accumulator.EventAccumulator
) -> None:
    """TensorBoard keeps float32."""
    logged: dict[str, list[tuple[int, float]]] = {}
    for line in lines:
        for name, value in line.items():
            if name != 'step':
                logged.setdefault(name, []).append((line['step'], value))
    assert set(events.Tags()['scalars']) == logged.keys() >= TERMS | OTHERS | VALIDATION
    for name, points in logged.items():
        found = events.Scalars(name)
        assert [scalar.step for scalar in found] == [step for step, _ in points], name
        assert [scalar.value for scalar in found] == pytest.approx([value for _, value in points], rel=1e-6), name


def test_training_is_logged_by_iterations_and_validation_by_epochs(lines: list[dict[str, float]]) -> None:
    training = [line for line in lines if 'loss' in line]
    validations = [line for line in lines if 'loss' not in line]
    assert [line['step'] for line in training] == [1, 2, 3, 4, 5, 6]
    assert [line['step'] for line in validations] == [1, 2, 3]
    assert all(line.keys() == {*VALIDATION, 'step'} for line in validations)
    for line in training:
        assert line['reflectance_decoder.lr'] == pytest.approx(0.1 * line['lr'])
        assert line['grad_norm'] > 0 and line['time'] > line['data_time'] > 0
        assert line['loss'] == pytest.approx(sum(line[name] for name in TERMS - {'loss'}), rel=1e-5)


def test_a_validation_loss_is_that_of_its_validation(folder: Path, lines: list[dict[str, float]]) -> None:
    """mmengine would take the mean over all validations so far; the best checkpoint by it is the lowest one."""
    logged = [line['dark/pal2_loss'] for line in lines if 'dark/pal2_loss' in line]
    assert len(set(logged)) == 3 and logged == Found.losses
    best = 2 * (min(range(3), key=logged.__getitem__) + 1)
    work_dir = folder.parents[1]
    assert [path.name for path in work_dir.glob('best_dark_pal2*')] == [f'best_dark_pal2_loss_iter_{best}.pth']


def test_the_picture_is_in_both(folder: Path, events: event_accumulator.EventAccumulator) -> None:
    (png,) = folder.glob('vis_image/*.png')
    (image,) = events.Images('train_panels')
    assert png.name == 'train_panels_4.png' and image.step == 4
    assert (image.height, image.width) == (508, 4 * 480 + 3 * 4) == read_size(png)


def read_size(path: Path) -> tuple[int, int]:
    """Height and width, from the header of a PNG."""
    header = path.read_bytes()[16:24]
    return int.from_bytes(header[4:], 'big'), int.from_bytes(header[:4], 'big')
