"""The small detector adapted by DAI-Net, on the crops and the darkness of the row without its losses."""

_base_ = ['./gfl_mobilenetv2_day-only.py', '../_base_/adaptation.py']

model = dict(
    _base_.dai_net,
    _delete_=True,
    data_preprocessor=dict(type='DarkPairPreprocessor'),
    detector=_base_.model,
    tap='backbone.conv1',
    reflectance_decoder=dict(type='ReflectanceDecoder', in_channels=32),
)
train_dataloader = dict(
    dataset=dict(
        pipeline=[
            *_base_.load,
            *_base_.augment,
            dict(type='DarkISP', preset='corrected'),
            dict(type='PackDarkPair'),
        ]
    )
)
default_hooks = dict(strict_checkpoint=dict(strict=False))  # the start has no reflectance decoder
