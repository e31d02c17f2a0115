"""DAI-Net (arXiv:2312.01220) around DSFD with VGG-16; the pipeline makes the dark images."""

_base_ = ['./dsfd_vgg16.py', '../adaptation.py']

model = dict(
    _base_.dai_net,
    _delete_=True,
    detector=_base_.model,
    tap='backbone.stem',
    data_preprocessor=dict(type='DarkPairPreprocessor'),
    reflectance_decoder=dict(type='ReflectanceDecoder', in_channels=64),
)
