"""DAI-Net around YOLOv3, the paper's second experiment; light and dark share the stages up to stride 2."""

_base_ = ['./yolov3_d53_wider_day.py', '../_base_/adaptation.py']

model = dict(
    _base_.dai_net,
    _delete_=True,
    detector=_base_.model,
    tap='backbone.conv_res_block1',
    reflectance_decoder=dict(type='ReflectanceDecoder', in_channels=64),
)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'reflectance_decoder': dict(lr_mult=0.1)}))
