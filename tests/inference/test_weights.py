"""Weights that nobody named are found, and the config that belongs to weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import CheckpointLoader

from mmdark.apis import config_path
from mmdark.apis.export import export_weights
from mmdark.compat import read_checkpoint
from mmdark.config_record import RECORD, record_config, recorded_configs
from mmdark.configs import own_configs
from mmdark.engine.hooks.strict_checkpoint import check_finite
from mmdark.errors import InputError
from mmdark.inference.detector import load_detector
from mmdark.inference.weights import SHIPPED, config_of, shipped_weights


def test_what_is_shipped_fits_its_config_and_is_small() -> None:
    """In half precision, under 6 MB, and read by anyone: nothing but tensors and plain values."""
    path = shipped_weights()
    assert path.stat().st_size <= 6e6
    checkpoint = torch.load(path, weights_only=True)
    assert {value.dtype for value in checkpoint['state_dict'].values() if value.is_floating_point()} == {torch.float16}
    assert config_of(path, checkpoint) == own_configs()[SHIPPED]


def test_without_the_shipped_weights_one_line_says_so() -> None:
    with pytest.raises(InputError, match=r'no_such_config\.pth does not come with mmdark'):
        shipped_weights('no_such_config')


def test_the_config_of_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = dict(meta=dict(experiment_name='mine_20260102_030405'), state_dict={})
    path = tmp_path / 'iter_1.pth'
    with pytest.raises(InputError, match=r'does not tell .*model=CONFIG\.py') as caught:
        config_of(path, checkpoint)
    assert str(path) in str(caught.value)
    for name in ('strange', 'mine'):
        (tmp_path / f'{name}.py').write_text('a = 1\n')
    (tmp_path / 'last_checkpoint').write_text('')
    with pytest.raises(InputError, match='does not tell'):
        config_of(path, checkpoint)  # any script may lie beside a file that was downloaded, under any name
    record_config(tmp_path / 'strange.py')
    assert config_of(path, checkpoint) == tmp_path / 'strange.py', 'the only one that a training wrote'
    record_config(tmp_path / 'mine.py')
    assert config_of(path, checkpoint) == tmp_path / 'mine.py'
    (tmp_path / 'mine.py').write_text('a = 2\n')
    (tmp_path / 'strange.py').unlink()
    with pytest.raises(InputError, match='does not tell'):
        config_of(path, checkpoint)  # no longer what training wrote

    alone = Path('nowhere') / 'a.pth'
    for meta in (
        dict(experiment_name='dsfd_vgg16_wider_20260102_030405'),
        dict(config_name='dsfd_vgg16_wider'),
        dict(converted_from='vgg'),
    ):
        assert config_of(alone, dict(meta=meta)) == config_path('dsfd/dsfd_vgg16_wider.py')
    for name in ('strange', str(tmp_path / 'strange')):  # whoever wrote the checkpoint must not choose what is run
        monkeypatch.chdir(tmp_path)
        with pytest.raises(InputError, match='does not tell'):
            config_of(alone, dict(meta=dict(config_name=name)))
    with pytest.raises(InputError, match='does not tell'):
        config_of(alone, dict(a=torch.zeros(1)))


def test_the_config_within_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    bait = f'open({str(tmp_path / "run")!r}, "w")'
    meta = dict(cfg=bait, config=bait)
    with pytest.raises(InputError, match='does not tell'):
        config_of(tmp_path / 'a.pth', dict(meta=meta, message_hub=dict(runtime_info=dict(cfg=bait))))
    assert not (tmp_path / 'run').exists()


def test_a_record_names_files_of_its_own_folder_only(tmp_path: Path) -> None:
    (tmp_path / 'dl').mkdir()
    (tmp_path / 'a.py').write_text('')
    for content in (
        '{"../a.py": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}',
        '[' * 10**5,
        '7',
    ):
        (tmp_path / 'dl' / RECORD).write_text(content)
        assert recorded_configs(tmp_path / 'dl') == {}


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    """Where nothing would have been found: detection, its export to ONNX, and the export of weights."""
    checkpoint = read_checkpoint(shipped_weights())
    next(iter(checkpoint['state_dict'].values())).view(-1)[0] = value
    torch.save(checkpoint, tmp_path / 'a.pth')
    for use in (
        lambda: load_detector(SHIPPED, tmp_path / 'a.pth', 'cpu'),
        lambda: export_weights(tmp_path / 'a.pth', tmp_path / 'b.pth'),
        lambda: check_finite(checkpoint['state_dict'], 'a.pth'),
    ):
        with pytest.raises(InputError, match=r'a\.pth holds NaN or infinity in 1 of \d+ weights'):
            use()
    check_finite({'mask': torch.tensor([-torch.inf])}, 'a mask')


def test_the_older_detector_comes_with_mmdark_too() -> None:
    lite = load_detector('dsfd_dark_lite_wider', device='cpu')
    assert lite.weights == shipped_weights('dsfd_dark_lite_wider') and type(lite.model).__name__ == 'DAINet'
    assert load_detector(weights='mmdark://dsfd_dark_lite_wider.pth', device='cpu').weights == lite.weights
    for name in ('dsfd_vgg16_wider', Config(dict(model={}))):
        with pytest.raises(InputError, match='needs its weights: name them'):
            load_detector(name, device='cpu')


def test_mmengine_takes_packaged_weights() -> None:
    """Where it takes a checkpoint: ``load_from``, ``Pretrained``, ``mmdark test CONFIG mmdark://NAME``."""
    read = CheckpointLoader.load_checkpoint('mmdark://dsfd_dark_lite_wider.pth', 'cpu')
    wanted = read_checkpoint(shipped_weights('dsfd_dark_lite_wider'))['state_dict']
    assert read['state_dict'].keys() == wanted.keys()
    assert all(torch.equal(read['state_dict'][name], value) for name, value in wanted.items())
    with pytest.raises(InputError, match=r'mmdark://x\.pth does not come with mmdark: name mmdark://'):
        CheckpointLoader.load_checkpoint('mmdark://x.pth')
