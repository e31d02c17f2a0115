"""The first loss or weight that is no number ends the training in one line, and the last checkpoint stays good."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.optim import AmpOptimWrapper
from mmengine.runner import Runner

from mmdark.compat import read_checkpoint
from mmdark.engine.hooks import StopOnNonFinite
from mmdark.errors import InputError
from tests.tiny_wider import lite_runner, write_wider

RUNNER = SimpleNamespace(iter=6, work_dir='out')
BATCH = {'data_samples': [SimpleNamespace(get={'img_path': name}.get) for name in ('a.jpg', 'b.jpg')]}


def check(**outputs: float | list[float]) -> None:
    StopOnNonFinite().after_train_iter(RUNNER, 0, BATCH, {k: torch.tensor(v) for k, v in outputs.items()})


def test_finite_losses_pass_whatever_else_is_logged() -> None:
    check(loss=1.0, loss_mutual=0.0, pal1_loss_cls=1e30, acc=float('nan'))


@pytest.mark.parametrize('bad', [float('nan'), float('inf'), float('-inf'), [0.5, float('nan')]])
def test_the_term_the_iteration_and_the_images_are_named(bad: float | list[float]) -> None:
    with pytest.raises(InputError) as caught:
        check(loss=float('nan'), loss_mutual=bad, pal1_loss_cls=2.0)
    line = str(caught.value)
    assert line.startswith('iteration 7: loss_mutual = ') and 'on a.jpg, b.jpg;' in line
    assert 'pal1' not in line and ' loss = ' not in line and 'out is untouched' in line and '\n' not in line


def test_good_losses_cost_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look waits for the device."""
    looks, look = [], torch.isfinite
    monkeypatch.setattr(torch, 'isfinite', lambda value: looks.append(value) or look(value))
    check(loss_a=1.0, loss_b=2.0, loss=3.0)
    assert looks == [3.0]


def test_two_terms_and_a_total_alone() -> None:
    with pytest.raises(InputError, match=r'7: loss_a = inf, loss_b = nan, on'):
        check(loss_a=float('inf'), loss_b=float('nan'), loss=float('nan'))
    with pytest.raises(InputError, match='7: loss = inf, on'):
        check(loss_a=1e38, loss=float('inf'))


def test_a_loss_scaler_may_skip_twenty_in_a_row() -> None:
    """What skips a step with infinite gradients, and halves its scale, needs some time to find the right one."""
    wrapper = object.__new__(AmpOptimWrapper)  # its scaler wants a GPU
    runner, hook = SimpleNamespace(iter=6, work_dir='out', optim_wrapper=wrapper), StopOnNonFinite()

    def see(*values: float) -> None:
        for value in values:
            hook.after_train_iter(runner, 0, BATCH, {'loss': torch.tensor(value), 'loss_a': torch.tensor(value)})

    see(*[float('inf')] * 20, 1.0, *[float('nan')] * 20)
    with pytest.raises(InputError, match=r'iteration 7: loss_a = nan, on a\.jpg'):
        see(float('nan'))


class Poison(Hook):
    """Spoils the third iteration: its loss, or a weight after its step."""

    priority = 'VERY_HIGH'

    def __init__(self, where: str) -> None:
        self.where = where
        self.names: list[str] = []

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict) -> None:
        self.names = [sample.img_path for sample in data_batch['data_samples']]
        if runner.iter == 2 and self.where == 'loss':
            runner.model.losses.mutual.loss_weight = float('nan')

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict, outputs: dict) -> None:
        if runner.iter == 2 and self.where == 'weight':
            with torch.no_grad():
                runner.model.detector.backbone.fc[0].conv.weight[0, 0, 0, 0] = float('inf')


@pytest.mark.parametrize('where', ['loss', 'weight'])
def test_training_stops_and_the_last_checkpoint_is_intact(tmp_path: Path, where: str) -> None:
    runner = lite_runner(
        write_wider(tmp_path / 'wider', train=6, val=1), tmp_path, 5, {'default_hooks.checkpoint.interval': 1}
    )
    poison = Poison(where)
    runner.register_hook(poison)
    with pytest.raises(InputError) as caught:
        runner.train()
    line = str(caught.value)
    assert line.startswith('iteration 3: ') and f'{tmp_path} is untouched' in line and '\n' not in line
    if where == 'loss':
        assert line.startswith('iteration 3: loss_mutual = nan, on ')
        assert len(poison.names) == 2 and f'on {", ".join(poison.names)};' in line
    else:
        assert 'backbone.fc.0.conv.weight holds non-finite values; no checkpoint is written' in line
    assert sorted(path.name for path in tmp_path.glob('*.pth')) == ['iter_1.pth', 'iter_2.pth']
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'iter_2.pth')
    checkpoint = read_checkpoint(tmp_path / 'iter_2.pth')
    assert checkpoint['meta']['iter'] == 2
    assert all(value.isfinite().all() for value in checkpoint['state_dict'].values())


def test_integers_in_a_checkpoint_are_no_matter() -> None:
    state = {'running': torch.tensor(3), 'weight': torch.ones(2)}
    StopOnNonFinite().before_save_checkpoint(RUNNER, {'state_dict': state})
    with pytest.raises(InputError, match='weight holds'):
        StopOnNonFinite().before_save_checkpoint(
            RUNNER, {'state_dict': {**state, 'weight': torch.tensor([-torch.inf])}}
        )
