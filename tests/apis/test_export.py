"""Exported weights: the same numbers, what is known of them, and no more; read wherever a checkpoint is."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.runner import CheckpointLoader

from mmdark.apis import export_weights
from mmdark.apis.export import metadata
from mmdark.compat import read_checkpoint
from mmdark.errors import InputError
from tests.tiny_line import line_runner


@pytest.fixture(scope='module')
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scores 0.1, 0.3, 0.2: iteration 8 is the best; 4 was the best at its time."""
    folder = tmp_path_factory.mktemp('trained')
    line_runner(folder, scores=[0.1, 0.3, 0.2], size=1000, epochs=3, save_best='score', rule='greater').train()
    return folder


def header(path: Path) -> dict[str, Any]:
    """The first part of a file of safetensors, read by its published format."""
    content = path.read_bytes()
    return json.loads(content[8 : 8 + struct.unpack('<Q', content[:8])[0]])


@pytest.mark.parametrize('end', ['.pth', '.safetensors'])
@pytest.mark.parametrize('half', [False, True])
def test_weights_come_back_wherever_a_checkpoint_is_read(trained: Path, tmp_path: Path, end: str, half: bool) -> None:
    if end == '.safetensors':
        pytest.importorskip('safetensors')
    source, target = trained / 'best_score_iter_8.pth', tmp_path / f'weights{end}'
    said = export_weights(source, target, half)
    assert said.startswith(f'{target}: 3 tensors, 0.0 MiB (') and 'iter 8' in said and 'score 0.3' in said
    wanted = torch.load(source, weights_only=True)['state_dict']
    for read in (read_checkpoint, CheckpointLoader.load_checkpoint):
        found = read(str(target), 'cpu')
        assert sorted(found) == ['meta', 'state_dict'] and found['state_dict'].keys() == wanted.keys()
        for name, value in wanted.items():
            assert torch.equal(found['state_dict'][name], value.half() if half else value)
    assert target.stat().st_size < (2000 if half else 4000) + 2500
    with pytest.raises(InputError, match='holds weights but no training to go on with'):
        line_runner(tmp_path / 'no', [{'type': 'StrictCheckpoint'}], size=1000, resume=target).train()
    runner = line_runner(tmp_path / 'on', [{'type': 'StrictCheckpoint'}], size=1000, epochs=1, load_from=str(target))
    runner.train()
    assert torch.equal(runner.model.ballast, found['state_dict']['ballast'].float())


def test_a_file_of_safetensors_says_what_it_is(trained: Path, tmp_path: Path) -> None:
    pytest.importorskip('safetensors')
    target = tmp_path / 'a.safetensors'
    export_weights(trained / 'best_score_iter_8.pth', target)
    found = header(target)
    told = found.pop('__metadata__')
    assert (told['iter'], told['epoch'], told['score']) == ('8', '2', '0.3') and len(told['config_name']) == 32
    assert found['line.weight']['dtype'] == 'F32' and found['line.weight']['shape'] == [1, 1]
    export_weights(target, tmp_path / 'b.pth')  # and once more
    assert torch.load(tmp_path / 'b.pth', weights_only=True)['meta'] == told


@pytest.mark.parametrize('detector', [False, True])
def test_mmdet_finds_the_names_of_the_classes(tmp_path: Path, detector: bool) -> None:
    classes = dict(classes=('dining table', 'cat'))
    torch.save(dict(state_dict=dict(w=torch.ones(1)), meta=dict(dataset_meta=classes)), tmp_path / 'a.pth')
    export_weights(tmp_path / 'a.pth', tmp_path / 'b.pth', detector=detector)
    assert torch.load(tmp_path / 'b.pth', weights_only=True)['meta']['dataset_meta'] == classes


@pytest.mark.parametrize(
    ('name', 'score'),
    [('iter_4', 0.1), ('iter_7', None), ('iter_8', 0.3), ('iter_9', None), ('iter_12', None)],
)
def test_a_score_is_told_only_of_the_weights_that_had_it(trained: Path, name: str, score: float | None) -> None:
    assert metadata(read_checkpoint(trained / f'{name}.pth')).get('score') == score


def test_what_cannot_be_exported_is_one_line(trained: Path, tmp_path: Path) -> None:
    source = trained / 'iter_4.pth'
    with pytest.raises(InputError, match=r'a\.onnx: name it \*\.safetensors or \*\.pth'):
        export_weights(source, tmp_path / 'a.onnx')
    torch.save({'a': torch.tensor([1e6, float('inf')])}, tmp_path / 'large.pth')
    with pytest.raises(InputError, match='a holds numbers beyond float16; leave out --half'):
        export_weights(tmp_path / 'large.pth', tmp_path / 'b.pth', half=True)
    torch.save({'state_dict': {}}, tmp_path / 'none.pth')
    with pytest.raises(InputError, match='holds no weights'):
        export_weights(tmp_path / 'none.pth', tmp_path / 'b.pth')
    (tmp_path / 'file').write_text('')
    with pytest.raises(InputError, match='cannot be written'):
        export_weights(source, tmp_path / 'file' / 'b.pth')
    assert not (tmp_path / 'b.pth').exists()


def test_without_the_package_it_says_what_to_install(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr('mmdark.compat.checkpoints.import_module', missing)
    (tmp_path / 'a.safetensors').write_bytes(b'\0' * 99)
    for action in (
        lambda: export_weights(trained / 'iter_4.pth', tmp_path / 'b.safetensors'),
        lambda: read_checkpoint(tmp_path / 'a.safetensors'),
    ):
        with pytest.raises(InputError, match=r'pip install safetensors \(or mmdark\[safetensors\]\)$'):
            action()


def test_a_damaged_file_of_safetensors_is_one_line(trained: Path, tmp_path: Path) -> None:
    pytest.importorskip('safetensors')
    path = tmp_path / 'a.safetensors'
    export_weights(trained / 'iter_4.pth', path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r'a\.safetensors cannot be read as a checkpoint') as caught:
        read_checkpoint(path)
    assert '\n' not in str(caught.value)


def test_a_checkpoint_is_not_written_over_itself(trained: Path, tmp_path: Path) -> None:
    source, link = trained / 'best_score_iter_8.pth', tmp_path / 'link.pth'
    link.symlink_to(source)
    before = source.read_bytes()
    for target in (source, link):
        with pytest.raises(InputError, match=rf'{target.name} is the checkpoint itself'):
            export_weights(source, target)
    assert source.read_bytes() == before
