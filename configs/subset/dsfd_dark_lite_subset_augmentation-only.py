"""DarkISP as augmentation only: every training image is darkened, and there are no losses of DAI-Net."""

_base_ = ['./dsfd_dark_lite_subset.py']

model = dict(
    _delete_=True,
    type='DSFD',
    data_preprocessor=_base_.model.data_preprocessor,
    backbone=_base_.model.backbone,
    neck=_base_.model.neck,
    bbox_head=_base_.model.bbox_head,
    train_cfg=_base_.model.train_cfg,
    test_cfg=_base_.model.test_cfg,
)
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            *_base_.load,
            *_base_.augment,
            dict(type='DarkISP', preset='corrected', keep_light=False),
            dict(type='PackDetInputs'),
        ]
    )
)
