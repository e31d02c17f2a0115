"""Find faces in the dark with what comes with mmdark; then train a detector on a demo set, and test it."""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import time
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / 'tools' / 'dataset_converters'))

from make_demo_faces import DATA, make_demo_faces, read_photograph  # noqa: E402
from mmengine.config import Config  # noqa: E402
from mmengine.runner import Runner  # noqa: E402

from mmdark.apis import FaceInferencer, load_config, make_work_dir, run_or_explain  # noqa: E402
from mmdark.datasets.transforms import DarkISP  # noqa: E402
from mmdark.drawing import counted  # noqa: E402
from mmdark.errors import InputError  # noqa: E402

CONFIG = ROOT / 'configs' / 'quickstart' / 'dsfd_dark_lite_demo.py'
TEST_IMAGES = 32
PORTRAIT_HEIGHT = 256
SCORE = 0.5


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--data-root', help='a WIDER FACE folder to use in place of the demo set')
    parser.add_argument('--work-dir', type=Path, default=ROOT / 'work_dirs' / 'quickstart', help='where all results go')
    parser.add_argument('--max-iters', type=int, default=260, help='training iterations (default: %(default)s)')
    return parser.parse_args()


def find_faces_in_the_dark(folder: Path) -> None:
    """Darken the portraits of the demo set, and look for their faces with the weights that come with mmdark."""
    folder.mkdir(parents=True, exist_ok=True)
    darkness = DarkISP(seed=1, keep_light=False)  # that of 0 leaves nothing but noise of one of them
    for name in DATA['portraits']:
        image = read_photograph(name)
        scale = PORTRAIT_HEIGHT / len(image)
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        results = darkness.transform(dict(img=image, img_path=name))
        cv2.imwrite(str(folder / f'{name}.png'), np.rint(results['img']).astype(np.uint8))
    start = time.monotonic()
    out_dir = folder.parent / 'portraits'
    detect = FaceInferencer(device='cpu', show_progress=False)
    found = detect(str(folder), out_dir=str(out_dir), pred_score_thr=SCORE)['predictions']
    print(
        f'{counted(sum(len(result.boxes) for result in found), "face")} found on {len(found)} dark portraits in '
        f'{time.monotonic() - start:.0f} s, score {SCORE} and above, by the weights that come with mmdark: '
        f'{out_dir / "pictures"}',
        flush=True,
    )


def annotation(data_root: str, split: str) -> str:
    """The annotation of a split: that of a subset, where there is one, or the official one.

    Raises:
        InputError: there is neither.
    """
    folder = Path(data_root) / 'wider_face_split'
    for name in (f'wider_face_{split}_subset_bbx_gt.txt', f'wider_face_{split}_bbx_gt.txt'):
        if (folder / name).is_file():
            return f'wider_face_split/{name}'
    raise InputError(
        f'--data-root {data_root}: there is no {folder}/wider_face_{split}_bbx_gt.txt; name a WIDER folder'
    )


def configure(args: argparse.Namespace) -> Config:
    """The quickstart's config with the options of the command line."""
    data_root = args.data_root or str(make_demo_faces(args.work_dir / 'data', size=((160, 160), (192, 160))))
    cfg = load_config(
        str(CONFIG),
        {
            'data_root': f'{data_root}/',
            'max_iters': args.max_iters,
            'train_dataloader.dataset.ann_file': annotation(data_root, 'train'),
        },
        str(args.work_dir),
    )
    cfg.test_dataloader.dataset.datasets[0].update(ann_file=annotation(data_root, 'val'), indices=TEST_IMAGES)
    cfg.log_level = 'WARNING'  # spares the terminal the environment and the config; see log_to_file_only
    cfg.default_hooks.draw_dark_panels = dict(type='DrawDarkPanels', out_dir=str(args.work_dir / 'pictures'))
    return cfg


def log_to_file_only(runner: Runner) -> None:
    """Let the log file have what the terminal is spared."""
    runner.logger.setLevel(logging.INFO)
    for handler in runner.logger.handlers:
        handler.setLevel(logging.INFO if isinstance(handler, logging.FileHandler) else logging.WARNING)


def main() -> None:
    """Detect, then train, test, draw."""
    args = parse_args()
    make_work_dir(str(args.work_dir))
    find_faces_in_the_dark(args.work_dir / 'dark')
    print('mmdark quickstart: training starts; about three minutes on two free CPU cores', flush=True)
    runner = Runner.from_cfg(configure(args))
    log_to_file_only(runner)
    runner.train()
    metrics = runner.test()
    dataset = runner.test_dataloader.dataset
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    faces = {Path(info['img_path']).stem: len(info['instances']) for info in infos}
    picture = args.work_dir / 'quickstart.png'
    shutil.copyfile(args.work_dir / 'pictures' / f'{max(faces, key=faces.get)}.png', picture)
    print(f'AP in the dark: {metrics["dark/wider/AP"]:.3f} on {len(faces)} images it never saw')
    print(f'checkpoint: {args.work_dir / f"iter_{runner.iter}.pth"}')
    print(f'picture (light | dark | reflectance | detections): {picture}')


if __name__ == '__main__':
    run_or_explain(main)
