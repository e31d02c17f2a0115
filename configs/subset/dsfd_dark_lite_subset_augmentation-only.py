"""DarkISP as augmentation only: every training image is darkened, and there are no losses of DAI-Net."""

_base_ = ['./dsfd_dark_lite_subset.py']

model = dict(_delete_=True, **_base_.model.detector)
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
