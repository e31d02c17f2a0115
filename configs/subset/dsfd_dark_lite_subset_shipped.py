"""DAI-Net, short and gentle, on three dark images of four: the last stage of the weights that come with mmdark."""

_base_ = ['./dsfd_dark_lite_subset.py']

max_iters = 110

load_from = 'work_dirs/dsfd_dark_lite_subset_mixed-again/iter_1700.pth'
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            *_base_.load,
            *_base_.augment,
            dict(type='DarkISP', preset='corrected', prob=0.75),
            dict(type='PackDarkPair'),
        ]
    )
)
optim_wrapper = dict(optimizer=dict(lr=2e-4))
train_cfg = dict(max_epochs=1, max_iters=max_iters, val_interval=1)
param_scheduler = dict(eta_max=2e-4, total_steps=max_iters)
default_hooks = dict(checkpoint=dict(interval=max_iters))
