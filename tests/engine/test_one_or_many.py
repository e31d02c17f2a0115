"""One process with four images in a step, and two gloo processes with two each: the same training."""

from pathlib import Path
from typing import Any

import pytest

from tests.engine.world_losses import losses, two_process_losses
from tests.tiny_wider import ROOT, write_wider

REAL = ROOT.parent / 'shared' / 'data' / 'wider'
ANN_FILE = 'wider_face_split/wider_face_train_subset_bbx_gt.txt'
GROUP_NORM = dict(type='GN', num_groups=4)
HOSTS: dict[str, dict[str, Any]] = {
    'fcos/fcos_r18_wider_dark.py': {
        'model.detector.neck.out_channels': 32,
        'model.detector.bbox_head.in_channels': 32,
        'model.detector.bbox_head.feat_channels': 32,
    },
    'yolox/yolox_tiny_wider_dark.py': {
        f'model.detector.{part}.norm_cfg': GROUP_NORM for part in ('backbone', 'neck', 'bbox_head')
    },
}
"""What makes them small, and what takes the place of batch norm."""


def difference(one: list[dict[str, float]], other: list[dict[str, float]]) -> float:
    """The largest relative difference of a term, of those that are there at all."""
    assert len(one) == len(other) and [each.keys() for each in one] == [each.keys() for each in other]
    return max(
        abs(value - theirs[name]) / max(abs(value), abs(theirs[name]), 1e-8)
        for ours, theirs in zip(one, other, strict=True)
        for name, value in ours.items()
    )


@pytest.mark.parametrize('data', ['real', 'generated'])
def test_the_first_20_losses_agree(data: str, tmp_path: Path) -> None:
    if data == 'real' and not (REAL / ANN_FILE).is_file():
        pytest.skip(f'no {REAL / ANN_FILE}')
    root = f'{REAL}/' if data == 'real' else f'{write_wider(tmp_path / "wider", train=12, val=1)}/'
    options: dict[str, Any] = {'train_cfg.max_iters': 20 if data == 'real' else 8}
    if data == 'real':
        # A network from scratch gives L2Norm pixels of hardly any length, whose gradients rounding alone turns about.
        options |= {'train_dataloader.dataset.ann_file': ANN_FILE, 'model.detector.neck.l2norm_scales': []}
    first, second = two_process_losses(root, tmp_path / 'two', {**options, 'train_dataloader.batch_size': 2})
    alone = losses(root, str(tmp_path / 'one'), {**options, 'train_dataloader.batch_size': 4})
    assert first == second and len(alone) == options['train_cfg.max_iters']
    assert len(alone[0]) == 11 and len({entry['loss'] for entry in alone}) == len(alone)
    found = difference(alone, first)
    print(f'{data}: {found:.2g}, loss {alone[0]["loss"]:.4f} ... {alone[-1]["loss"]:.4f}')
    assert found < 1e-5


@pytest.mark.parametrize('host', HOSTS)
def test_losses_of_hosts_agree(host: str, tmp_path: Path) -> None:
    """Of those whose heads count the positives of all processes, with norms that know one image at a time."""
    options = {'config': host, 'train_cfg.max_iters': 3, 'input_size': 64, **HOSTS[host]}
    root = f'{write_wider(tmp_path / "wider", train=12, val=1)}/'
    first, second = two_process_losses(root, tmp_path / 'two', {**options, 'train_dataloader.batch_size': 2})
    alone = losses(root, str(tmp_path / 'one'), {**options, 'train_dataloader.batch_size': 4})
    assert first == second and len(alone) == 3
    assert difference(alone, first) < 1e-5
