"""A resumed training does what its config says.

The oracles are a training that had this config from its beginning, formulas, and plain torch.
"""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric, Evaluator

from mmdark.compat import read_checkpoint
from mmdark.engine.trained_settings import changed_settings, read_settings
from mmdark.errors import InputError
from tests.engine.test_epoch_loop import equal
from tests.tiny_resume import Life, train
from tests.tiny_wider import ROOT

SGD = dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=0.01)
ADAM = dict(type='AdamW', lr=1e-3, betas=(0.9, 0.99), weight_decay=0.05)
BY_ITER = dict(by_epoch=False)
SCHEDULES: dict[str, list[dict[str, Any]]] = {
    'none': [],
    'steps': [dict(type='MultiStepLR', milestones=[1, 2], gamma=0.1)],
    'steps, converted': [dict(type='MultiStepLR', milestones=[1, 2], gamma=0.3, convert_to_iter_based=True)],
    'one cycle': [dict(type='OneCycleLR', eta_max=0.1, total_steps=24, **BY_ITER)],
    'cosine': [dict(type='CosineAnnealingLR', eta_min=1e-3, **BY_ITER)],
    'warm-up and steps': [
        dict(type='LinearLR', start_factor=0.1, end=7, **BY_ITER),
        dict(type='MultiStepLR', milestones=[1, 2], gamma=0.3),
    ],
    'warm-up and cosine': [
        dict(type='LinearLR', start_factor=0.1, end=5, **BY_ITER),
        dict(type='CosineAnnealingLR', begin=5, T_max=19, eta_min=0.01, **BY_ITER),
    ],
    'poly': [dict(type='PolyLR', eta_min=0.01, power=0.9, end=24, **BY_ITER)],
    'exponential': [dict(type='ExponentialLR', gamma=0.7)],
    'momentum': [
        dict(type='CosineAnnealingLR', eta_min=1e-3, **BY_ITER),
        dict(type='CosineAnnealingMomentum', eta_min=0.5, **BY_ITER),
    ],
}
PARTS = dict(optim_wrapper__paramwise_cfg=dict(custom_keys={'second': dict(lr_mult=0.1, decay_mult=0.0)}))


@pytest.mark.parametrize('schedule', SCHEDULES)
def test_an_unchanged_config_is_the_uninterrupted_training_bit_by_bit(schedule: str, tmp_path: Path) -> None:
    optimizer = ADAM if schedule in ('momentum', 'one cycle', 'warm-up and steps') else SGD
    options = dict(schedule=SCHEDULES[schedule], optimizer=optimizer, **PARTS)
    whole = train(tmp_path / 'whole', **options)
    first = train(tmp_path, 13, **options)
    second = train(tmp_path, resume=True, **options)
    assert [entry.groups for entry in first.seen + second.seen] == [entry.groups for entry in whole.seen]
    one, other = (read_checkpoint(folder / 'iter_24.pth') for folder in (tmp_path / 'whole', tmp_path))
    for part in ('state_dict', 'optimizer', 'param_schedulers'):
        assert equal(one[part], other[part])
    assert not second.said('differ')


@pytest.fixture(scope='module')
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Trainings with two schedules and a checkpoint after each iteration."""
    folders = {name: tmp_path_factory.mktemp(name) for name in ('steps', 'cosine')}
    for name, folder in folders.items():
        train(folder, schedule=SCHEDULES[name], default_hooks__checkpoint__interval=1)
    return folders


@pytest.mark.parametrize('schedule', SCHEDULES)
def test_a_changed_config_holds_as_if_it_had_from_the_beginning(
    schedule: str, trained: dict[str, Path], tmp_path: Path
) -> None:
    """Rates, decays and momenta of all groups, to the last bit; from another schedule and a single group, too.

    Iterations 1, 8, 13: in the first epoch, at its end, in the second.
    """
    new = dict(
        schedule=SCHEDULES[schedule],
        optimizer=dict(SGD, lr=0.003, momentum=0.7, weight_decay=0.2, nesterov=True),
        **PARTS,
    )
    whole = train(tmp_path / 'whole', **new)
    before = trained['cosine' if schedule == 'steps' else 'steps']
    for stop in (1, 8, 13):
        resumed = train(tmp_path / str(stop), resume=before / f'iter_{stop}.pth', **new)
        assert resumed.seen[0].iteration == stop
        assert [entry.groups for entry in resumed.seen] == [entry.groups for entry in whole.seen[stop:]]
    assert {entry.groups[-1]['weight_decay'] for entry in resumed.seen} == {0.0}
    assert {entry.groups[0]['weight_decay'] for entry in resumed.seen} == {0.2}


def test_the_lower_rate_of_the_command_line_is_used_and_said_once(tmp_path: Path) -> None:
    """1e-6, a tenth of it after epoch 2; the printed rate is the used one."""
    steps = dict(type='MultiStepLR', milestones=[50, 62, 75], gamma=0.1)
    train(tmp_path, 5, schedule=[steps], default_hooks__sqrt_scale_lr__enable=True)
    life = train(
        tmp_path,
        resume=True,
        schedule=[dict(steps, milestones=[2], gamma=0.5)],
        optimizer=dict(SGD, lr=1e-6, momentum=0.8, weight_decay=0.1),
        default_hooks__sqrt_scale_lr__enable=True,
    )
    rate = 1e-6 * 0.7071
    assert life.rates == pytest.approx([rate] * 11 + [rate / 2] * 8, rel=1e-9)
    assert {(entry.groups[0]['momentum'], entry.groups[0]['weight_decay']) for entry in life.seen} == {(0.8, 0.1)}
    (line,) = life.said('differ')
    assert line == (
        'settings that differ from the checkpoint, of which the new ones hold (old → new): '
        'optim_wrapper.optimizer.lr 0.1 → 1e-06, optim_wrapper.optimizer.momentum 0.9 → 0.8, '
        'optim_wrapper.optimizer.weight_decay 0.01 → 0.1, param_scheduler.0.gamma 0.1 → 0.5, '
        'param_scheduler.0.milestones [50, 62, 75] → [2]'
    )
    (line,) = life.said('learning rate')
    assert line.startswith('learning rate 1e-06 x 0.7071 = 7.071e-07, for 2 images')
    assert 'lr: 7.0710e-07' in life.said('Epoch(train)')[0]


def test_the_first_step_is_that_of_torch_with_the_momentum_of_the_checkpoint(tmp_path: Path) -> None:
    train(tmp_path, 5)
    saved = read_checkpoint(tmp_path / 'iter_5.pth')
    life = train(tmp_path, 6, resume=True, optimizer=dict(SGD, lr=0.02, momentum=0.5, weight_decay=0.3))
    inputs = torch.tensor(life.numbers[0], dtype=torch.float32)[:, None] / 16
    weights = {name: value.clone().requires_grad_() for name, value in saved['state_dict'].items()}
    hidden = inputs @ weights['first.weight'].T + weights['first.bias']
    loss = ((hidden @ weights['second.weight'].T + weights['second.bias'] - 0.3 * inputs) ** 2).mean()
    loss.backward()
    after = read_checkpoint(tmp_path / 'iter_6.pth')['state_dict']
    for number, (name, weight) in enumerate(weights.items()):
        momentum = saved['optimizer']['state'][number]['momentum_buffer']
        assert momentum.abs().sum() > 0
        expected = weight.detach() - 0.02 * (0.5 * momentum + weight.grad + 0.3 * weight.detach())
        assert torch.allclose(after[name], expected, rtol=1e-6, atol=1e-9)


def one_cycle(step: int, total: int, top: float = 0.1, share: float = 0.3) -> float:
    """The published curve: from top / 25 up to top, and down to top / 250,000."""
    up = share * total - 1
    start, end, part = (top / 25, top, step / up) if step <= up else (top, top / 25e4, (step - up) / (total - 1 - up))
    return end + (start - end) / 2 * (1 + math.cos(math.pi * part))


def momenta(life: Life) -> dict[str, torch.Tensor]:
    """By the name of their parameter."""
    state = life.runner.optim_wrapper.optimizer.state
    return {name: state[parameter]['momentum_buffer'] for name, parameter in life.runner.model.named_parameters()}


@pytest.mark.parametrize(('before', 'after', 'groups'), [({}, PARTS, 4), (PARTS, {}, 1)])
def test_groups_may_change_in_number(before: dict, after: dict, groups: int, tmp_path: Path) -> None:
    """mmengine makes a group of each parameter as soon as one has a rate of its own."""
    train(tmp_path, 5, **before)
    saved = read_checkpoint(tmp_path / 'iter_5.pth')['optimizer']['state']
    life = train(tmp_path, 5, resume=True, **after)  # stops before its first step
    assert len(life.runner.optim_wrapper.optimizer.param_groups) == groups
    assert equal(list(momenta(life).values()), [saved[number]['momentum_buffer'] for number in range(4)])
    assert 'base_lr' in life.runner.optim_wrapper.get_lr() if groups > 1 else True
    (line,) = life.said('differ')
    assert 'optim_wrapper.paramwise_cfg' in line and 'absent' in line


@pytest.mark.parametrize(
    ('optimizer', 'name', 'value'),
    [
        (SGD, 'momentum_buffer', torch.zeros(3, 3)),
        (SGD, 'momentum_buffer', torch.tensor(0.0)),
        (ADAM, 'exp_avg', torch.zeros(1, 2)),
        (ADAM, 'exp_avg_sq', 7),
        (ADAM, 'step', torch.zeros(2)),
        (ADAM, 'step', 'x'),
    ],
)
def test_state_of_another_shape_ends_before_the_first_step(
    optimizer: dict, name: str, value: object, tmp_path: Path
) -> None:
    """The first parameter is ``(2, 1)``."""
    train(tmp_path, 2, optimizer=optimizer)
    checkpoint = read_checkpoint(tmp_path / 'iter_2.pth')
    assert checkpoint['optimizer']['state'][0][name].shape in ((2, 1), ())
    checkpoint['optimizer']['state'][0][name] = value
    torch.save(checkpoint, tmp_path / 'odd.pth')
    with pytest.raises(InputError, match=r'odd\.pth has the state of an optimizer of other parameters'):
        train(tmp_path / 'on', optimizer=optimizer, resume=tmp_path / 'odd.pth')


@pytest.mark.parametrize(
    ('before', 'after', 'anew'),
    [
        (SGD, ADAM, True),
        (ADAM, SGD, True),
        (ADAM, dict(ADAM, amsgrad=True), True),
        (ADAM, dict(ADAM, type='Adam'), False),
    ],
    ids=['SGD to AdamW', 'AdamW to SGD', 'amsgrad', 'AdamW to Adam'],
)
def test_another_optimizer_starts_its_state_anew_where_it_must(
    before: dict, after: dict, anew: bool, tmp_path: Path
) -> None:
    train(tmp_path, 5, optimizer=before)
    life = train(tmp_path, resume=True, optimizer=after)
    assert len(life.said('the state of the optimizer starts anew')) == anew
    (state, *_) = life.runner.optim_wrapper.optimizer.state.values()
    if 'step' in state:
        assert float(state['step']) == 24 - 5 * anew


class Scores(BaseMetric):
    """Never better than the first."""

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results.append(0)

    def compute_metrics(self, results: list) -> dict[str, float]:
        return {'score': 1.0}


def test_a_schedule_that_follows_a_metric_keeps_what_it_has_counted(tmp_path: Path) -> None:
    """Validated after each epoch, halved after two that are no better; at a resume, with half of the rate besides."""
    follow = dict(type='ReduceOnPlateauLR', monitor='score', rule='greater', factor=0.5, patience=1)
    options = dict(schedule=[follow], train_cfg__max_epochs=7)

    def live(work_dir: Path, stop: int | None = None, **more: Any) -> Life:
        validated = dict(batch_size=8, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False))
        dataset = dict(dataset=dict(type='SomeNumbers'), collate_fn=dict(type='default_collate'))
        life = train(
            work_dir,
            stop,
            val_dataloader=dict(**validated, **dataset),
            val_cfg=dict(type='ValLoop'),
            val_evaluator=Evaluator([Scores()]),
            **(options | more),
        )
        return life

    whole = live(tmp_path / 'whole')
    assert whole.rates[::8] == [0.1, 0.1, 0.1, 0.05, 0.05, 0.025, 0.025]
    live(tmp_path, 36)
    assert live(tmp_path, resume=True).rates == whole.rates[36:]
    lower = live(tmp_path / 'lower', resume=tmp_path / 'iter_36.pth', optimizer=dict(SGD, lr=0.05))
    assert lower.rates == pytest.approx([rate / 2 for rate in whole.rates[36:]], rel=1e-12)


def test_the_advice_after_a_loss_that_is_no_number_works(tmp_path: Path) -> None:
    """Rates explode after four iterations; from the last checkpoint, a lower one trains to the end."""
    options = dict(
        schedule=[dict(type='MultiStepLR', milestones=[4], gamma=1e30, **BY_ITER)],
        default_hooks__checkpoint__interval=4,
    )
    with pytest.raises(InputError, match='or resume with a lower learning rate'):
        train(tmp_path, **options)
    assert [path.name for path in tmp_path.glob('*.pth')] == ['iter_4.pth']
    life = train(tmp_path, resume=True, optimizer=dict(SGD, lr=1e-32), **options)
    assert life.rates == pytest.approx([1e-2] * 20, rel=1e-9) and life.runner.iter == 24


def test_a_training_that_only_starts_from_weights_is_left_alone(tmp_path: Path) -> None:
    train(tmp_path, 5)
    life = train(tmp_path / 'other', 1, load_from=str(tmp_path / 'iter_5.pth'), optimizer=dict(SGD, lr=0.5))
    assert not life.said('differ') and life.seen[0].rate == 0.5 and life.seen[0].iteration == 0


def test_mmengines_own_loops_resume_by_the_config_too(tmp_path: Path) -> None:
    options = dict(
        schedule=[dict(type='CosineAnnealingLR', T_max=12, eta_min=1e-3, **BY_ITER)],
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=12),
        train_dataloader__sampler=dict(type='InfiniteSampler'),
    )
    train(tmp_path, 5, **options)
    life = train(tmp_path, resume=True, optimizer=dict(SGD, lr=0.2), **options)
    expected = [1e-3 + (0.2 - 1e-3) / 2 * (1 + math.cos(math.pi * step / 12)) for step in range(5, 12)]
    assert life.rates == pytest.approx(expected, rel=1e-9)


def test_settings_are_read_from_the_text_of_any_config_without_running_it(tmp_path: Path) -> None:
    cfg = Config.fromfile(ROOT / 'configs' / 'dsfd_dark_wider.py')
    settings = read_settings(cfg.pretty_text)
    assert settings['optim_wrapper']['paramwise_cfg']['custom_keys'] == {'reflectance_decoder': {'lr_mult': 0.1}}
    assert settings['param_scheduler']['milestones'] == [50, 62, 75] and settings['load_from'] is None
    assert list(changed_settings(settings, read_settings(cfg.pretty_text))) == []
    assert read_settings("a = open('/nowhere').read()\nb = -1") == {'a': "open('/nowhere').read()", 'b': -1}
    assert read_settings('no config') == {}
    assert list(changed_settings({'a': [{'b': 1}, 2], 'c': 3}, {'a': [{'b': 4}, 2], 'd': 'x' * 99})) == [
        'a.0.b 1 → 4',
        'c 3 → absent',
        f'd absent → {"x" * 60}...',
    ]


def test_every_config_has_the_hook() -> None:
    cfg = Config.fromfile(ROOT / 'configs' / '_base_' / 'default_runtime.py')
    assert cfg.default_hooks.resume_by_config == dict(type='ResumeByConfig')
