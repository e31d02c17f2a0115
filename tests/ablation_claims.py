"""What each ablation claims: the keys that it changes in the main config, and the losses that it leaves out."""

from __future__ import annotations

from typing import Any, NamedTuple

from config_differences import ABSENT
from mmengine.config import Config

from tests.tiny_wider import ROOT

PIPELINE = 'train_dataloader.dataset.pipeline'
L2NORM = 'optim_wrapper.paramwise_cfg.custom_keys.l2norm'
RETINEX = tuple(
    f'loss_{name}' for name in ('decomposition', 'consistency', 'reconstruction', 'smoothness', 'coherence')
)
PAL = tuple(f'pal{shot}_loss_{kind}' for shot in (1, 2) for kind in ('cls', 'bbox'))
EVERY_LOSS = {*PAL, *RETINEX, 'loss_mutual'}
DAY = Config.fromfile(ROOT / 'configs' / 'dsfd' / 'dsfd_vgg16_wider.py').model.to_dict()
DARK_PARTS = ('detector', 'tap', 'recomposition', 'losses', 'enhancer', 'reflectance_decoder')
IN_BOTH = ('backbone', 'data_preprocessor')
"""Keys that DAI-Net and the detector within it have."""
NO_DAI_NET = {
    **{f'model.{part}': ABSENT for part in DARK_PARTS},
    **{f'model.{part}': value for part, value in DAY.items() if part not in IN_BOTH},
    **{f'model.{part}.{key}': value for part in IN_BOTH for key, value in DAY[part].items()},
}
"""The detector by itself."""
LITE_CHANNELS = [64, 120, 120, 248, 120, 64]


class Claim(NamedTuple):
    """What an ablation changes, and the losses that it leaves out."""

    changes: dict[str, Any]
    without: frozenset[str] | set[str] = frozenset()


CLAIMS = {
    'as-published': Claim(
        {
            'model.enhancer.init_cfg.checkpoint': 'weights/decomp.pth',
            'model.losses.decomposition.data_range': None,
            'model.losses.reconstruction.data_range': None,
            'model.detector.train_cfg.ignored_as_background': True,
            f'{PIPELINE}.6.preset': 'dainet',
            L2NORM: {'lr_mult': 0.0},
            'param_scheduler.by_epoch': False,
            'param_scheduler.milestones': [20000, 25000, 30000],
            'train_cfg.max_iters': 150000,
            'tta_model.drop_singletons': True,
        }
    ),
    'augmentation-only': Claim(
        {**NO_DAI_NET, f'{PIPELINE}.6.keep_light': False, f'{PIPELINE}.7.type': 'PackDetInputs'},
        without=EVERY_LOSS - {*PAL},
    ),
    'dark-isp-on-device': Claim(
        {'model.data_preprocessor.dark_isp': 'corrected', f'{PIPELINE}.6:8': [{'type': 'PackDetInputs'}]}
    ),
    'day-only': Claim({**NO_DAI_NET, f'{PIPELINE}.6:8': [{'type': 'PackDetInputs'}]}, without=EVERY_LOSS - {*PAL}),
    'frozen-l2norm': Claim({L2NORM: {'lr_mult': 0.0}}),
    'isp-dainet': Claim({f'{PIPELINE}.6.preset': 'dainet'}),
    'isp-maet': Claim({f'{PIPELINE}.6.preset': 'maet'}),
    'lite': Claim(
        {
            'model.detector.backbone.widen_factor': 0.24,
            'model.detector.backbone.norm_cfg': {'type': 'GN', 'num_groups': 8},
            'model.detector.backbone.init_cfg': None,
            'model.detector.neck.in_channels': LITE_CHANNELS,
            'model.detector.neck.norm_cfg': {'type': 'BN'},
            **{
                f'model.detector.bbox_head.{shot}_shot.{key}': value
                for shot in ('first', 'second')
                for key, value in (
                    ('in_channels', LITE_CHANNELS),
                    ('init_cfg', {'type': 'Normal', 'layer': 'Conv2d', 'std': 0.01}),
                )
            },
            'model.reflectance_decoder.in_channels': 16,
            'model.enhancer.type': 'MaxRGBRetinex',
            'model.enhancer.init_cfg': ABSENT,
            'max_iters': 20000,
            'train_cfg.max_epochs': 100000,
            'train_cfg.max_iters': 20000,
            'train_cfg.val_interval': 10,
            'optim_wrapper.optimizer.type': 'AdamW',
            'optim_wrapper.optimizer.lr': 1e-3,
            'optim_wrapper.optimizer.momentum': ABSENT,
            'optim_wrapper.optimizer.betas': (0.9, 0.99),
            'optim_wrapper.optimizer.weight_decay': 0.05,
            'optim_wrapper.clip_grad.max_norm': 1,
            'optim_wrapper.paramwise_cfg.custom_keys.reflectance_decoder.lr_mult': 1.0,
            'param_scheduler.type': 'OneCycleLR',
            'param_scheduler.by_epoch': False,
            'param_scheduler.milestones': ABSENT,
            'param_scheduler.gamma': ABSENT,
            'param_scheduler.eta_max': 1e-3,
            'param_scheduler.total_steps': 20000,
            'param_scheduler.pct_start': 0.1,
        }
    ),
    'max-rgb-teacher': Claim({'model.enhancer.type': 'MaxRGBRetinex', 'model.enhancer.init_cfg': ABSENT}),
    'no-coherence': Claim({'model.losses.coherence': None}, without={'loss_coherence'}),
    'no-decomposition': Claim({'model.losses.decomposition': None}, without={'loss_decomposition'}),
    'no-interchange': Claim({'model.recomposition': 'own'}),
    'no-mutual': Claim({'model.losses.mutual': None}, without={'loss_mutual'}),
    'no-recomposition': Claim({'model.recomposition': None}, without={'loss_coherence'}),
    'no-teacher': Claim({'model.enhancer': None}, without={*RETINEX}),
}
