"""The scripts of examples/, each run as it stands in an empty folder."""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmdet.registry import MODELS

from mmdark.compat import read_checkpoint

FOLDER = Path(__file__).resolve().parents[1] / 'examples'
OUT = Path('work_dirs/examples')
pytestmark = pytest.mark.one_family


@pytest.fixture(autouse=True)
def _as_a_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In an empty folder, and with the modules of the scripts importable as Python makes them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(FOLDER))
    yield
    MODELS._module_dict.pop('EdgeConsistencyLoss', None)
    for module in ('shapes', 'edge_consistency'):
        sys.modules.pop(module, None)


def test_own_detector_ends_with_a_plain_checkpoint() -> None:
    names = runpy.run_path(str(FOLDER / 'own_detector.py'))
    trained = read_checkpoint(OUT / 'own_detector' / 'iter_5.pth')['state_dict']
    plain = names['detector'].state_dict()
    assert type(names['detector']).__name__ == 'ATSS'
    assert all(torch.equal(value, trained[name]) for name, value in plain.items())
    assert {name.split('.')[0] for name in trained.keys() - plain.keys()} == {'enhancer', 'reflectance_decoder'}


def test_own_data_is_learned_and_looked_at() -> None:
    runpy.run_path(str(FOLDER / 'own_data.py'))
    scores = json.loads((OUT / 'own_data' / 'finetune.json').read_text())
    assert {'before', 'after'} <= scores.keys()
    results = json.loads((OUT / 'own_data' / 'detected' / 'results.json').read_text())
    assert len(results['images']) == 2 and results['classes'] == ['disc']


def test_own_loss_is_logged_and_trains_the_reflectance_of_the_dark_image() -> None:
    runpy.run_path(str(FOLDER / 'own_loss.py'))
    (log,) = (OUT / 'own_loss').glob('*/vis_data/scalars.json')
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(lines) == 5
    assert all(line['loss_edges'] > 0 and 'loss_consistency' not in line for line in lines)


def test_the_loss_counts_edges() -> None:
    loss = runpy.run_path(str(FOLDER / 'edge_consistency.py'))['EdgeConsistencyLoss']()
    dark, light = torch.zeros(1, 3, 4, 4, requires_grad=True), torch.zeros(1, 3, 4, 4, requires_grad=True)
    stepped = light + torch.tensor([0.0, 0.0, 1.0, 1.0])  # one edge among three steps along x
    value = loss(SimpleNamespace(light=SimpleNamespace(reflectance=stepped), dark=SimpleNamespace(reflectance=dark)))
    assert value.item() == pytest.approx(0.01 / 3)
    value.backward()
    assert dark.grad.abs().sum() > 0 and light.grad is None
