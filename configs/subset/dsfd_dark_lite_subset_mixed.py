"""Three images of four are darkened, with no losses of DAI-Net: the second stage of the weights that come with mmdark.

A step costs a third of one of DAI-Net, so most of the darkness is learned here; the light ones keep the day in mind.
"""

_base_ = ['./dsfd_dark_lite_subset_augmentation-only.py']

max_iters = 1300

train_dataloader = dict(
    dataset=dict(
        pipeline=[
            *_base_.load,
            *_base_.augment,
            dict(type='DarkISP', preset='corrected', keep_light=False, prob=0.75),
            dict(type='PackDetInputs'),
        ]
    )
)
optim_wrapper = dict(optimizer=dict(lr=1e-3))
train_cfg = dict(max_epochs=100, max_iters=max_iters, val_interval=100)
param_scheduler = dict(eta_max=1e-3, total_steps=max_iters)
default_hooks = dict(checkpoint=dict(interval=max_iters))
