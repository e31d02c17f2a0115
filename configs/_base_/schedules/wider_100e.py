"""The published schedule, written for 8 GPUs with 4 images each.

Decays at iterations 20k, 25k and 30k are epochs 50, 62 and 75 of the 12,880 images there; in epochs they mean the same
for any number of processes and images in a step. The published limit of 150,000 iterations, which eight GPUs never
reach, would end a run on one GPU before its first decay; it is left out. The learning rate is meant for four images in
a step: ``default_hooks.sqrt_scale_lr`` multiplies it by sqrt(images in a step / 4), as published.
"""

train_cfg = dict(type='ResumableEpochLoop', max_epochs=100, max_iters=None, val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=5e-4, momentum=0.9, weight_decay=5e-4),
    clip_grad=dict(max_norm=35),
)
param_scheduler = dict(type='MultiStepLR', by_epoch=True, milestones=[50, 62, 75], gamma=0.1)
