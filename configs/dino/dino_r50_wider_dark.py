"""DAI-Net around DINO with ResNet-50: what light and dark share is its first convolution."""

_base_ = ['./dino_r50_wider_day.py', '../_base_/adaptation.py']

model = dict(
    _base_.dai_net,
    _delete_=True,
    detector=_base_.model,
    tap='backbone.relu',
    reflectance_decoder=dict(type='ReflectanceDecoder', in_channels=64),
)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'reflectance_decoder': dict(lr_mult=0.1)}))
