"""The published behaviour, to the digit, wherever the other configs mend a defect of it.

DarkISP as published; SSIM's data range from the batch; L2Norm scales that are never trained; learning-rate decays and
a limit in iterations, whatever the number of GPUs; ignored boxes, where a data set has any, trained as background; box
voting (``tools/test.py --tta``) that drops single boxes.
The teacher is the published one, in ``weights/decomp.pth``. Validation and test images stay those of the main config,
so that AP can be compared.
"""

_base_ = ['../dsfd_dark_wider.py']

model = dict(
    enhancer=dict(init_cfg=dict(checkpoint='weights/decomp.pth')),
    losses=dict(decomposition=dict(data_range=None), reconstruction=dict(data_range=None)),
    detector=dict(train_cfg=dict(ignored_as_background=True)),
)
train_dataloader = dict(
    dataset=dict(
        pipeline=[*_base_.load, *_base_.augment, dict(type='DarkISP', preset='dainet'), dict(type='PackDarkPair')]
    ),
)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'l2norm': dict(lr_mult=0.0)}))
param_scheduler = dict(by_epoch=False, milestones=[20000, 25000, 30000])
train_cfg = dict(max_iters=150000)
tta_model = dict(drop_singletons=True)
