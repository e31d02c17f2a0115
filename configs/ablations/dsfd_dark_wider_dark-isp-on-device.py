"""DarkISP on the device, a batch at once, instead of in the data pipeline."""

_base_ = ['../dsfd_dark_wider.py']

model = dict(data_preprocessor=dict(dark_isp='corrected'))
train_dataloader = dict(
    dataset=dict(pipeline=[*_base_.load, *_base_.augment, dict(type='PackDetInputs')]),
)
