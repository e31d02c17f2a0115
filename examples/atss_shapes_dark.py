"""DAI-Net around the detector of ``atss_shapes.py``."""

_base_ = ['./atss_shapes.py', '../configs/_base_/adaptation.py']

custom_imports = dict(imports=['mmdark.register'])
detector = _base_.model
detector.backbone.frozen_stages = -1  # the layers up to the tap must learn
model = dict(
    _base_.dai_net,
    _delete_=True,
    detector=detector,
    tap='backbone.relu',  # of the first convolution
    reflectance_decoder=dict(type='ReflectanceDecoder', in_channels=64),  # the channels of the tap
)
