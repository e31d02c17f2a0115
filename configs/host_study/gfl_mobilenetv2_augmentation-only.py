"""The small detector adapted by DarkISP alone: every image is darkened, and there are no losses of DAI-Net."""

_base_ = ['./gfl_mobilenetv2_day-only.py']

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
