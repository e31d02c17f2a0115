"""What the inferencer finds is what the detector finds on the same pixels, whichever way they come."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config

from mmdark.apis import FaceInferencer, config_path, export_weights, key_table
from mmdark.datasets.transforms.multi_scale_views import published_views
from mmdark.drawing import GAP
from mmdark.errors import InputError
from mmdark.inference import BrokenImage, FaceResult
from mmdark.models.box_voting import box_voting, keeps_size, not_nested, part_inside
from tests.tiny_wider import LITE, lite_runner, write_wider

ROOT = Path(__file__).resolve().parents[2]
ALL = dict(pred_score_thr=0.0)
EXACT = dict(rtol=0, atol=1e-3)


def photos(sizes: list[tuple[int, int]], seed: int = 0) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    return [generator.integers(0, 256, (*size, 3), np.uint8) for size in sizes]


@pytest.fixture(scope='module')
def work_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a training of two steps, with weights large enough for scores that differ."""
    folder = tmp_path_factory.mktemp('training')
    more = {
        'model.detector.test_cfg.score_thr': 0.0,
        'model.detector.test_cfg.max_per_img': 30,
        'experiment_name': 'a_20260101_000000',
    }
    runner = lite_runner(write_wider(folder / 'data'), folder / 'work', options=more)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for parameter in runner.model.parameters():
            if parameter.dim() > 1:
                torch.nn.init.kaiming_normal_(parameter)
    runner.train()
    return folder / 'work'


@pytest.fixture(scope='module')
def inferencer(work_dir: Path) -> FaceInferencer:
    return FaceInferencer(weights=work_dir / 'iter_2.pth', device='cpu', show_progress=False)


def rgb_of(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)[None].float() / 255


def by_hand(inferencer: FaceInferencer, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The network and its head on the pixels themselves, without pipeline and preprocessor."""
    model, (height, width) = inferencer.model, image.shape[:2]
    meta = dict(img_shape=(height, width), scale_factor=(1.0, 1.0), ori_shape=(height, width))
    with torch.no_grad():
        outputs = model.detector.bbox_head(model.extract_feat(rgb_of(image)))
        (found,) = model.detector.bbox_head.second_shot.predict_by_feat(*outputs, batch_img_metas=[meta], rescale=True)
    boxes = found.bboxes.numpy().clip(0, [width, height] * 2)
    inside = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    return boxes[inside], found.scores.numpy()[inside]


def same(result: FaceResult, boxes: np.ndarray, scores: np.ndarray) -> bool:
    np.testing.assert_allclose(result.scores, scores, rtol=0, atol=1e-5)
    np.testing.assert_allclose(result.boxes, boxes, **EXACT)
    return True


def test_a_training_is_taken_up_from_its_folder(inferencer: FaceInferencer, work_dir: Path) -> None:
    """The config lies beside the checkpoint; its test pipeline darkens, and a photograph is not darkened."""
    assert 'DarkISP' in str(inferencer.cfg.test_dataloader.dataset.datasets)
    assert Path(inferencer.cfg.filename).parent == work_dir
    assert inferencer.model.dataset_meta['classes'] == ('face',) and not inferencer.model.training
    for image in photos([(96, 80), (77, 130), (9, 5)]):
        found = inferencer(image, **ALL)['predictions']
        expected = by_hand(inferencer, image)
        assert len(expected[0]) >= 1 and same(found[0], *expected)
        assert (found[0].height, found[0].width) == image.shape[:2] and found[0].source == 'array 0'
    assert len(expected[0]) and (np.diff(found[0].scores) <= 0).all()


def test_batches_find_what_single_images_do(inferencer: FaceInferencer) -> None:
    """In the order of the inputs, and only images of one size together: a filled-up batch finds something else."""
    images = photos([(96, 80), (64, 64), (96, 80), (96, 81), (64, 64), (96, 80), (50, 200)])
    seen = []
    backbone = inferencer.model.detector.backbone
    hook = backbone.register_forward_pre_hook(lambda _, args: seen.append(tuple(args[0].shape)))
    batched = inferencer(images, batch_size=4, **ALL)['predictions']
    hook.remove()
    assert [shape[0] for shape in seen] == [2, 1, 1, 1, 1, 1] and seen[0] == (2, 3, 96, 80)
    for index, (result, image) in enumerate(zip(batched, images, strict=True)):
        assert result.source == f'array {index}' and same(result, *by_hand(inferencer, image))


def test_the_threshold(inferencer: FaceInferencer) -> None:
    (image,) = photos([(96, 80)])
    every = inferencer(image, **ALL)['predictions'][0]
    middle = float(np.sort(every.scores)[len(every) // 2])
    some = inferencer(image, pred_score_thr=middle)['predictions'][0]
    assert 0 < len(some) < len(every) and some.scores.min() >= middle
    assert len(some) == (every.scores >= middle).sum()


def test_broken_files_are_items_in_their_places(inferencer: FaceInferencer, tmp_path: Path) -> None:
    for name, image in zip('abcd', photos([(96, 80)] * 4), strict=True):
        cv2.imwrite(str(tmp_path / f'{name}.png'), image)
    (tmp_path / 'b.png').write_bytes((tmp_path / 'b.png').read_bytes()[:-40])
    (tmp_path / 'e.jpg').write_bytes(b'')
    for batch_size in (1, 3):
        stream = list(inferencer.stream(tmp_path, batch_size=batch_size, **ALL))
        assert [Path(result.source).name for result, _ in stream] == ['a.png', 'b.png', 'c.png', 'd.png', 'e.jpg']
        broken = [result for result, image in stream if image is None]
        assert all(isinstance(result, BrokenImage) for result in broken) and len(broken) == 2
        assert broken[0].reason.startswith('cut off') and broken[1].reason == 'empty (0 bytes)'
        for result, image in stream:
            if image is not None:
                assert (image == cv2.imread(result.source)).all() and same(result, *by_hand(inferencer, image))
    called = inferencer(tmp_path, **ALL)
    assert [result.source for result in called['predictions']] == [result.source for result, _ in stream]
    assert [result for result in called['predictions'] if isinstance(result, BrokenImage)] == called['broken'] == broken
    assert called['visualization'] == []
    drawn = inferencer(tmp_path, return_vis=True, **ALL)['visualization']
    assert [picture is None for picture in drawn] == [False, True, False, False, True]


def test_a_stream_holds_a_batch_and_no_more(inferencer: FaceInferencer) -> None:
    taken = []

    def arrays() -> Iterator[np.ndarray]:
        for index in range(7):
            taken.append(index)
            yield photos([(64, 64)], index)[0]

    stream = inferencer.stream(arrays(), batch_size=2)
    assert taken == []
    for index, (result, _) in enumerate(stream):
        assert result.source == f'array {index}' and len(taken) <= index + 2
    assert len(taken) == 7


def test_what_is_too_large_for_the_memory_is_an_item(
    inferencer: FaceInferencer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a batch that is too large the images are looked at one by one; with tiles the large one fits."""
    look = inferencer.model.test_step

    def test_step(batch: dict) -> list:
        if sum(one.shape[1] * one.shape[2] for one in batch['inputs']) > 384 * 384:
            raise torch.cuda.OutOfMemoryError('CUDA out of memory. Tried to allocate 20.00 GiB')
        return look(batch)

    monkeypatch.setattr(inferencer.model, 'test_step', test_step)
    images = photos([(300, 300), (300, 300), (400, 400)])
    results = [result for result, _ in inferencer.stream(images, batch_size=3, **ALL)]
    for result, image in zip(results[:2], images, strict=False):
        assert same(result, *by_hand(inferencer, image))
    assert isinstance(results[2], BrokenImage) and '400 x 400 pixels' in results[2].reason
    results = [result for result, _ in inferencer.stream(images, batch_size=1, tile=384, **ALL)]
    assert all(isinstance(result, FaceResult) for result in results)

    def other(batch: dict) -> list:
        raise RuntimeError('expected scalar type Half')

    monkeypatch.setattr(inferencer.model, 'test_step', other)
    with pytest.raises(RuntimeError, match='Half'):
        inferencer(images[0])


def test_tiles_bound_what_the_detector_sees(inferencer: FaceInferencer) -> None:
    images = photos([(64, 64), (500, 900), (300, 384), (64, 64)])
    seen = []
    backbone = inferencer.model.detector.backbone
    hook = backbone.register_forward_pre_hook(lambda _, args: seen.append(tuple(args[0].shape)))
    results = inferencer(images, batch_size=2, tile=384, **ALL)['predictions']
    hook.remove()
    assert max(max(shape[2:]) for shape in seen) <= 384 and max(shape[0] for shape in seen) == 2
    assert [result.height for result in results] == [64, 500, 300, 64]
    for index in (0, 2, 3):
        assert same(results[index], *by_hand(inferencer, images[index]))
    assert (results[1].boxes >= 0).all() and (results[1].boxes <= [900, 500, 900, 500]).all()


def test_several_views_are_those_of_the_tool(inferencer: FaceInferencer) -> None:
    """The views of the published script by hand, its voting, and what a person is not shown of it."""
    (image,) = photos([(96, 80)])
    boxes, scores, head = [], [], inferencer.model.detector.bbox_head.second_shot
    for view in published_views(96, 80):
        seen = cv2.resize(image[:, ::-1].copy() if view.flip else image, None, fx=view.scale, fy=view.scale)
        scale = (seen.shape[1] / 80, seen.shape[0] / 96)
        meta = dict(img_shape=seen.shape[:2], scale_factor=scale, ori_shape=(96, 80))
        with torch.no_grad():
            outputs = inferencer.model.detector.bbox_head(inferencer.model.extract_feat(rgb_of(seen)))
            (found,) = head.predict_by_feat(*outputs, batch_img_metas=[meta], rescale=True)
        x1, y1, x2, y2 = found.bboxes.unbind(1)
        upright = torch.stack([80 - x2, y1, 80 - x1, y2] if view.flip else [x1, y1, x2, y2], 1)
        kept = keeps_size(upright, view.keep) & (part_inside(upright, 96, 80) >= 0.5)
        boxes.append(upright[kept])
        scores.append(found.scores[kept])
    voted, best = box_voting(torch.cat(boxes), torch.cat(scores))
    voted, best = (each[not_nested(voted, 0.8)] for each in (voted, best))
    voted = voted.numpy().clip(0, [80, 96, 80, 96])
    inside = (voted[:, 2:] > voted[:, :2]).all(axis=1)
    result = inferencer([image, image], batch_size=2, tta=True, **ALL)['predictions'][1]
    assert same(result, voted[inside], best.numpy()[inside])
    assert not np.array_equal(result.boxes, inferencer(image, **ALL)['predictions'][0].boxes)


def test_reflectance_and_illumination(inferencer: FaceInferencer) -> None:
    images = photos([(96, 80), (500, 900)])
    results = inferencer(images, tile=384, with_reflectance=True, with_illumination=True)['predictions']
    for result, image in zip(results, images, strict=True):
        with torch.no_grad():
            teacher = inferencer.model.enhancer(rgb_of(image))
        assert result.illumination.dtype == np.float32
        np.testing.assert_allclose(result.illumination, teacher.illumination[0, 0], rtol=0, atol=1e-5)
        assert result.reflectance.shape == image.shape and result.reflectance.dtype == np.uint8
    with torch.no_grad():
        decoded = inferencer.model.reflectance(
            torch.from_numpy(images[0][..., ::-1].copy()).permute(2, 0, 1)[None] / 255
        )
    expected = decoded[0].permute(1, 2, 0).numpy()[..., ::-1] * 255
    assert np.abs(results[0].reflectance - expected).max() <= 0.51
    plain = inferencer(images[0])['predictions'][0]
    assert plain.reflectance is None and plain.illumination is None


def test_other_weights_and_configs(inferencer: FaceInferencer, work_dir: Path, tmp_path: Path) -> None:
    """Exported weights at half precision with the config beside the training; one of ours by name, tested twice."""
    image = photos([(96, 80)])[0]
    export_weights(work_dir / 'iter_2.pth', tmp_path / 'half.pth', half=True)
    half = FaceInferencer(str(next(work_dir.glob('*.py'))), tmp_path / 'half.pth', show_progress=False)
    found, expected = half(image, **ALL)['predictions'][0], inferencer(image, **ALL)['predictions'][0]
    np.testing.assert_allclose(found.scores[:5], expected.scores[:5], rtol=0, atol=0.02)
    assert next(half.model.parameters()).dtype == torch.float32

    cfg = Config.fromfile(config_path('dsfd_dark_lite_wider.py'))
    built = MODELS.build(cfg.model)
    torch.save(
        dict(state_dict=built.state_dict(), meta=dict(config_name='dsfd_dark_lite_wider')), tmp_path / 'lite.pth'
    )
    for model in (None, 'dsfd_dark_lite_wider', 'dsfd_dark_lite_wider.py'):
        named = FaceInferencer(model, tmp_path / 'lite.pth', show_progress=False)
        assert named.cfg.test_dataloader.dataset.type == 'LazyConcatDataset'
    assert same(named(image, **ALL)['predictions'][0], *by_hand(named, image))


def test_pictures_are_returned_and_written(inferencer: FaceInferencer, tmp_path: Path) -> None:
    for name, image in zip(('a/x.png', 'b/x.png', 'b/y.v2.png'), photos([(96, 80), (64, 99), (64, 64)]), strict=True):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), image)
    out = tmp_path / 'out'
    inputs = [tmp_path / 'a', tmp_path / 'b']
    drawn = inferencer(inputs, return_vis=True, out_dir=str(out), **ALL)['visualization']
    assert sorted(path.name for path in (out / 'pictures').iterdir()) == ['x.jpg', 'x.png.jpg', 'y.v2.jpg']
    for picture, name in zip(drawn, ('x.jpg', 'x.png.jpg', 'y.v2.jpg'), strict=True):
        written = cv2.imread(str(out / 'pictures' / name))
        assert (written == cv2.imdecode(cv2.imencode('.jpg', picture)[1], cv2.IMREAD_COLOR)).all()
    assert (drawn[0] != cv2.imread(str(tmp_path / 'a' / 'x.png'))).any()
    assert inferencer(inputs, no_save_vis=True, out_dir=str(tmp_path / 'none'))['visualization'] == []
    assert not (tmp_path / 'none').exists()
    inferencer(np.zeros((1, 65501, 3), np.uint8), out_dir=str(tmp_path / 'long'))
    assert cv2.imread(str(tmp_path / 'long' / 'pictures' / 'array_0.png')).shape == (1, 2 * 65501 + GAP, 3)
    (tmp_path / 'file').write_text('')
    with pytest.raises(InputError, match='cannot be written'):
        inferencer(inputs, out_dir=str(tmp_path / 'file'))


def test_what_cannot_be_done_is_one_line(inferencer: FaceInferencer, work_dir: Path, tmp_path: Path) -> None:
    weights = str(work_dir / 'iter_2.pth')
    (tmp_path / 'bad.py').write_text('model = dict(type=')
    (tmp_path / 'other.py').write_text("a = 1\nmodel = dict(type='NoSuchModel')")
    (tmp_path / 'none.py').write_text('a = 1')
    (tmp_path / 'text.pth').write_text('no weights')
    torch.save(dict(a=torch.zeros(2)), tmp_path / 'strange.pth')
    wrong = [
        (dict(weights=str(tmp_path / 'gone.pth')), 'gone.pth does not exist'),
        (dict(weights=str(tmp_path / 'text.pth')), 'is no weight file'),
        (dict(weights='mmdark://retinexnet_wider.pth'), "is mmdark's RetinexNet, no detector"),
        (dict(weights=str(tmp_path / 'strange.pth')), 'does not tell which config'),
        (dict(weights=str(tmp_path / 'strange.pth'), model='dsfd_dark_lite_wider'), 'strange.pth does not fit DAINet'),
        (dict(weights=weights, model='dsfd_dark_lite_wider'), 'does not fit DAINet as configured'),
        (dict(weights=weights, model='no_such_config'), 'no_such_config'),
        (dict(weights=weights, model=str(tmp_path / 'bad.py')), r'bad\.py cannot be read'),
        (
            dict(weights=weights, model=str(tmp_path / 'other.py')),
            r'other\.py: its model cannot .*NoSuchModel',
        ),
        (dict(weights=weights, model=str(tmp_path / 'none.py')), 'describes no model'),
        (dict(weights=weights, device='gpu'), "device 'gpu' is unknown"),
        (dict(weights=weights, device='cuda:99'), "device 'cuda:99' is not here"),
        (dict(weights=weights, device='meta'), "device 'meta' cannot be used"),
    ]
    for arguments, line in wrong:
        with pytest.raises(InputError, match=line) as caught:
            FaceInferencer(**arguments)
        assert '\n' not in str(caught.value)
    (image,) = photos([(64, 64)])
    for options, line in ((dict(batch_size=0), 'batch_size=0'), (dict(tile=5), 'tile=5')):
        with pytest.raises(InputError, match=line):
            inferencer.stream([image], **options)
    with pytest.raises(TypeError, match='tiles'):
        inferencer(image, tiles=5)


def test_models_without_these_parts_say_so(tmp_path: Path) -> None:
    """A day detector has no teacher; a config without views has no ``tta``; a config read already is taken."""
    cfg = Config.fromfile(config_path('dsfd/dsfd_vgg16_wider.py'))
    channels = LITE['model.detector.neck.in_channels']
    cfg.merge_from_dict(
        {
            'model.backbone.widen_factor': 0.125,
            'model.neck.in_channels': channels,
            'model.bbox_head.first_shot.in_channels': channels,
            'model.bbox_head.second_shot.in_channels': channels,
        }
    )
    cfg.tta_model = None
    torch.save(MODELS.build(cfg.model.to_dict()).state_dict(), tmp_path / 'day.pth')
    with pytest.raises(InputError, match='needs its weights'):
        FaceInferencer(model=cfg)
    with pytest.raises(InputError, match='dsfd_vgg16_wider needs its weights'):
        FaceInferencer(model='dsfd_vgg16_wider')
    inferencer = FaceInferencer(model=cfg, weights=tmp_path / 'day.pth', show_progress=False)
    (image,) = photos([(64, 64)])
    assert len(inferencer(image)['predictions']) == 1
    for what in ('reflectance', 'illumination'):
        with pytest.raises(InputError, match=f'without a Retinex teacher, so it has no {what}'):
            inferencer.stream([image], **{f'with_{what}': True})
    with pytest.raises(InputError, match='has no tta_model'):
        inferencer(image, tta=True)


def test_published_weights_are_taken_as_they_are(tmp_path: Path) -> None:
    """Under the names of the published code: the config is known by the keys, the teacher is mmdark's own."""
    table = key_table('dark')
    state = {}
    for number, (old, new) in enumerate(table.names.items()):
        state[old] = torch.full(table.shapes[new], number / len(table.names), dtype=torch.float16)
    torch.save(state, tmp_path / 'published.pth')
    inferencer = FaceInferencer(weights=tmp_path / 'published.pth', show_progress=False)
    assert Path(inferencer.cfg.filename) == config_path('dsfd_dark_wider.py')
    ours = inferencer.model.state_dict()
    for old, new in table.names.items():
        assert torch.equal(ours[new], state[old].float())
    (tmp_path / 'published.pth').unlink()  # 100 MB
    assert inferencer.model.dataset_meta['classes'] == ('face',)
    (image,) = photos([(64, 64)])
    teacher = torch.load(ROOT / 'mmdark' / 'models' / 'retinexnet_wider.pth', weights_only=True)
    weight = next(value for value in teacher.get('state_dict', teacher).values() if value.dim() == 4)
    stream = inferencer.stream([image], with_illumination=True)
    assert any(value.shape == weight.shape and torch.equal(value, weight.float()) for value in ours.values())
    (result, _), *_ = stream
    assert result.illumination.std() > 0


def test_trainings_do_not_load_it() -> None:
    code = 'import sys, mmdark.apis; assert "mmdark.inference" not in sys.modules; mmdark.apis.FaceInferencer'
    subprocess.run([sys.executable, '-c', code], check=True, cwd=ROOT)
    with pytest.raises(AttributeError, match='FaceFinder'):
        import mmdark.apis

        _ = mmdark.apis.FaceFinder
