"""DAI-Net around YOLOX-s: what light and dark share is its stem, whose batch norm averages both."""

_base_ = ['./yolox_s_wider_day.py', '../_base_/adaptation.py']

model = dict(
    _base_.dai_net,
    _delete_=True,
    detector=_base_.model,
    tap='backbone.stem',
    reflectance_decoder=dict(type='ReflectanceDecoder', in_channels=32),
)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'reflectance_decoder': dict(lr_mult=0.1)}))
