"""The Retinex teacher itself: RetinexNet (BMVC 2018) on WIDER FACE, each image paired with its DarkISP version.

The published losses and patches (48 px, 16 pairs in a step); RetinexNet's own training wants photographs taken with two
exposures. ``--amp`` halves the time on a CPU that has bfloat16. The weights that come with mmdark were trained by this,
on a part of WIDER FACE (see docs/teacher.md):

    python tools/train.py configs/retinex/retinexnet_wider.py --amp
"""

_base_ = ['../_base_/datasets/wider_face.py', '../_base_/default_runtime.py']

max_iters = 12000
patch_size = 48

model = dict(
    type='RetinexTraining',
    data_preprocessor=dict(
        type='DarkPairPreprocessor',
        dark_isp='corrected',
        preprocessor=dict(type='DetDataPreprocessor', mean=[0, 0, 0], std=[255, 255, 255], bgr_to_rgb=True),
    ),
    net=dict(type='RetinexNet', frozen=False),
    loss_reconstruction=dict(type='L1Loss', loss_weight=1.0),
    loss_mutual_reconstruction=dict(type='L1Loss', loss_weight=0.001),
    loss_consistency=dict(type='L1Loss', loss_weight=0.01),
    smoothness_weight=0.1,
)

train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    dataset=dict(
        filter_cfg=None,
        pipeline=[
            dict(type='LoadPhoto'),
            dict(type='RandomCrop', crop_size=(patch_size, patch_size)),
            dict(type='RandomFlip', prob=0.5),
            dict(type='ColorDistortion'),
            dict(type='PackDetInputs', meta_keys=('img_path',)),
        ],
    ),
)
train_cfg = dict(type='ResumableEpochLoop', max_epochs=100000, max_iters=max_iters)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3), clip_grad=dict(max_norm=1))
param_scheduler = dict(type='CosineAnnealingLR', T_max=max_iters, eta_min=1e-6, by_epoch=False)

val_dataloader = None
val_evaluator = None
test_dataloader = None
test_evaluator = None
default_hooks = dict(
    checkpoint=dict(interval=2000, save_best=None, rule=None, max_keep_ckpts=1), sqrt_scale_lr=dict(base_batch_size=16)
)
custom_hooks = [dict(type='ChannelsLast')]
