"""Published weights to ours and back: bit for bit, class channels swapped, strict, and wrong files named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mmdark.apis import PARTS, PUBLISHED_MODELS, convert_file, key_table, to_mmdark, to_published
from mmdark.errors import InputError
from mmdark.models.published_files import identify, read_weight_file

GOLDEN = Path(__file__).resolve().parents[1] / 'golden'
KINDS = [*PUBLISHED_MODELS, *PARTS]


def published(kind: str, seed: int = 0) -> dict[str, Tensor]:
    """A published state dict with different numbers everywhere."""
    table = key_table(kind)
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for old, new in table.names.items():
        if old.endswith('num_batches_tracked'):
            weights[old] = torch.tensor(len(weights))
        else:
            weights[old] = torch.empty(table.shapes[new]).uniform_(generator=generator)
    return weights


@pytest.mark.parametrize('kind', KINDS)
def test_there_and_back_is_bit_identical(kind: str) -> None:
    weights = published(kind)
    ours = to_mmdark(identify(dict(weights)))
    assert ours.keys() == key_table(kind).shapes.keys()
    back, again = to_published(identify(ours))
    again = {name.removeprefix('DecomNet.'): value for name, value in again.items()}
    assert back == kind and list(again) == list(weights)
    assert all(torch.equal(again[name], weights[name]) for name in weights)
    assert all(again[name].dtype == weights[name].dtype for name in weights)


@pytest.mark.parametrize('case', ['dainet_320x256', 'dsfd_vgg_192x256', 'dsfd_resnet50_192x256'])
def test_published_keys_and_shapes(case: str) -> None:
    """The tables, made from our modules, name what the authors' code names."""
    record = json.loads((GOLDEN / f'{case}.json').read_text())
    table = key_table('dark' if case.startswith('dainet') else case.split('_')[1])
    assert {old: list(table.shapes[new]) for old, new in table.names.items()} == record['keys']
    if 'retinex_keys' in record:
        table = key_table('retinexnet')
        assert {f'DecomNet.{old}': list(table.shapes[new]) for old, new in table.names.items()} == record[
            'retinex_keys'
        ]


def test_the_background_comes_last() -> None:
    weights = published('vgg')
    ours = to_mmdark(identify(weights))
    for number, shot in ((1, 'first_shot'), (2, 'second_shot')):
        for kind in ('weight', 'bias'):
            background, face = weights[f'conf_pal{number}.3.{kind}']
            assert torch.equal(ours[f'bbox_head.{shot}.cls_convs.3.0.{kind}'], torch.stack([face, background]))
            moved = weights[f'loc_pal{number}.3.{kind}']
            assert torch.equal(ours[f'bbox_head.{shot}.reg_convs.3.0.{kind}'], moved)


@pytest.mark.parametrize('wrapper', [None, 'weight', 'state_dict'])
@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_files_in_every_published_form(tmp_path: Path, wrapper: str | None, prefix: str) -> None:
    weights = {f'{prefix}{name}': value for name, value in published('retinexnet').items()}
    torch.save({'epoch': 7, wrapper: weights} if wrapper else weights, tmp_path / 'in.pth')
    line = convert_file(tmp_path / 'in.pth', tmp_path / 'new' / 'out.pth')
    assert "RetinexNet's decomposition net" in line and '14 tensors' in line
    saved = torch.load(tmp_path / 'new' / 'out.pth', weights_only=True)
    assert saved['state_dict'].keys() == key_table('retinexnet').shapes.keys()
    assert [path.name for path in (tmp_path / 'new').iterdir()] == ['out.pth']


def test_back_to_the_teachers_file(tmp_path: Path) -> None:
    weights = {f'DecomNet.{name}': value for name, value in published('retinexnet').items()}
    torch.save(weights, tmp_path / 'decomp.pth')
    convert_file(tmp_path / 'decomp.pth', tmp_path / 'ours.pth')
    convert_file(tmp_path / 'ours.pth', tmp_path / 'again.pth', reverse=True)
    again = torch.load(tmp_path / 'again.pth', weights_only=True)
    assert again.keys() == weights.keys() and all(torch.equal(again[name], weights[name]) for name in weights)
    convert_file(tmp_path / 'ours.pth', tmp_path / 'again.pth', reverse=True, epoch=12)
    again = torch.load(tmp_path / 'again.pth', weights_only=True)
    assert again['epoch'] == 12 and again['weight'].keys() == weights.keys()


def test_a_trained_checkpoint_leaves_its_teacher_and_optimizer_behind(tmp_path: Path) -> None:
    ours = to_mmdark(identify(published('dark')))
    teacher = {f'enhancer.{name}': value for name, value in to_mmdark(identify(published('retinexnet'))).items()}
    checkpoint = dict(state_dict={**ours, **teacher}, optimizer=dict(state={}), meta=dict(iter=3))
    torch.save(checkpoint, tmp_path / 'iter_3.pth')
    convert_file(tmp_path / 'iter_3.pth', tmp_path / 'dsfd.pth', reverse=True, model='dark')
    assert torch.load(tmp_path / 'dsfd.pth', weights_only=True).keys() == key_table('dark').names.keys()


def without_counters(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in weights.items() if not name.endswith('num_batches_tracked')}


def test_torchvision_files_old_and_new(tmp_path: Path) -> None:
    classifier = {'fc.weight': torch.zeros(1000, 2048), 'fc.bias': torch.zeros(1000)}
    weights = published('torchvision_resnet50')
    for given in (weights, without_counters(weights)):
        assert to_mmdark(identify({**given, **classifier})).keys() == given.keys()
    torch.save(without_counters(published('resnet50')), tmp_path / 'in.pth')
    with pytest.raises(InputError, match='lacks 53 keys'):  # of a whole detector nothing may be missing
        convert_file(tmp_path / 'in.pth', tmp_path / 'out.pth')


def changed(weights: dict, change: dict) -> dict:
    return {name: value for name, value in {**weights, **change}.items() if value is not None}


@pytest.mark.parametrize(
    ('content', 'reverse', 'said'),
    [
        (lambda: changed(published('retinexnet'), {'net1_recon.bias': None}), False, 'lacks 1 keys (net1_recon.bias'),
        (lambda: changed(published('retinexnet'), {'net2.weight': torch.ones(1)}), False, 'has besides 1 keys (net2'),
        (
            lambda: changed(published('retinexnet'), {'net1_recon.bias': torch.ones(3)}),
            False,
            'net1_recon.bias, (3,) instead of (4,)',
        ),
        (
            lambda: {'features.0.weight': torch.ones(1), 'classifier.0.weight': torch.ones(1)},
            False,
            "torchvision's VGG",
        ),
        (lambda: {'backbone.conv1.conv.weight': torch.ones(1)}, False, 'MMDetection with another detector'),
        (
            lambda: {'w': torch.ones(1), 'b': torch.ones(1)},
            False,
            "nothing known here (its keys begin with ['w', 'b'])",
        ),
        (lambda: to_mmdark(identify(published('retinexnet'))), False, "mmdark's RetinexNet; to go back"),
        (lambda: published('retinexnet'), True, 'cannot be given published names'),
        (
            lambda: {**published('torchvision_resnet50'), 'layer4.3.conv1.weight': torch.ones(1)},
            False,
            'ResNet of (3, 4, 6, 4) blocks',
        ),
    ],
    ids=['lacks', 'besides', 'shape', 'torchvision vgg', 'mmdet', 'unknown', 'ours', 'not ours', 'odd resnet'],
)
def test_wrong_files_are_named(tmp_path: Path, content: object, reverse: bool, said: str) -> None:
    torch.save(content(), tmp_path / 'in.pth')
    with pytest.raises(InputError) as raised:
        convert_file(tmp_path / 'in.pth', tmp_path / 'out.pth', reverse=reverse)
    line = str(raised.value)
    assert said in line and '\n' not in line and str(tmp_path / 'in.pth') in line
    assert not (tmp_path / 'out.pth').exists()


def test_a_dark_resnet_was_never_published(tmp_path: Path) -> None:
    names = ('bbox_head.first_shot.reg_convs.0.0.weight', 'backbone.conv1.weight', 'reflectance_decoder.hidden.weight')
    blocks = [
        f'backbone.layer{stage}.{block}.conv3.weight'
        for stage, count in enumerate((3, 4, 6, 3), 1)
        for block in range(count)
    ]
    torch.save(dict.fromkeys([*names, *blocks], torch.ones(1)), tmp_path / 'in.pth')
    with pytest.raises(
        InputError, match='DAI-Net detector of mmdark with ResNet-50, which the published code does not'
    ):
        convert_file(tmp_path / 'in.pth', tmp_path / 'out.pth', reverse=True)


def test_only_the_model_that_was_asked_for(tmp_path: Path) -> None:
    torch.save(published('retinexnet'), tmp_path / 'in.pth')
    with pytest.raises(InputError, match="it is not dark, it seems to be RetinexNet's decomposition net"):
        convert_file(tmp_path / 'in.pth', tmp_path / 'out.pth', model='dark')
    with pytest.raises(InputError, match='is the source itself'):
        convert_file(tmp_path / 'in.pth', tmp_path / '.' / 'in.pth')


@pytest.mark.parametrize('kind', KINDS)
def test_each_kind_is_told_by_its_keys(kind: str) -> None:
    names = dict.fromkeys(key_table(kind).names, torch.ones(1))
    assert identify(names).kind == kind
    ours = identify(dict.fromkeys(key_table(kind).shapes, torch.ones(1))).kind
    assert ours == (kind if kind.startswith('torchvision') else f'mmdark_{kind}')


def test_reading_runs_no_code(tmp_path: Path) -> None:
    torch.save({'vgg.0.weight': print}, tmp_path / 'in.pth')
    with pytest.raises(InputError, match='loading runs no code'):
        read_weight_file(tmp_path / 'in.pth')


@pytest.mark.parametrize('place', ['folder', 'a text/out.pth', 'full'])
def test_a_target_that_cannot_be_written_is_one_line(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(published('retinexnet'), tmp_path / 'in.pth')
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'a text').write_text('a')
    (tmp_path / 'full').write_text('what was there')
    if place == 'full':

        def full(content: dict, file: object) -> None:
            file.write(b'half')
            raise RuntimeError('No space left on device\nmore lines')

        monkeypatch.setattr(torch, 'save', full)
    before = {path.name for path in tmp_path.iterdir()}
    with pytest.raises(InputError, match=r'cannot be written|no file that can be written') as raised:
        convert_file(tmp_path / 'in.pth', tmp_path / place)
    assert '\n' not in str(raised.value)
    assert {path.name for path in tmp_path.iterdir()} == before
    assert (tmp_path / 'full').read_text() == 'what was there'


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    torch.save(published('retinexnet'), tmp_path / 'in.pth')
    (tmp_path / 'real.pth').write_text('old')
    (tmp_path / 'link.pth').symlink_to(tmp_path / 'real.pth')
    convert_file(tmp_path / 'in.pth', tmp_path / 'link.pth')
    assert (tmp_path / 'link.pth').is_symlink() and 'state_dict' in torch.load(tmp_path / 'real.pth')


def test_an_epoch_belongs_to_published_names(tmp_path: Path) -> None:
    torch.save(published('retinexnet'), tmp_path / 'in.pth')
    with pytest.raises(InputError, match='add --reverse'):
        convert_file(tmp_path / 'in.pth', tmp_path / 'out.pth', epoch=3)
