"""DAI-Net (arXiv:2312.01220) on DSFD with VGG-16: trained on WIDER FACE by day, tested in the dark.

The published recipe, for 8 GPUs with 4 images each:

    bash tools/dist_train.sh configs/dsfd_dark_wider.py 8

It wants WIDER FACE in ``data/wider/`` and the backbone's weights in ``weights/vgg16_reducedfc.pth``;
docs/getting_started.md says where to get them. The teacher's weights come with mmdark.
"""

_base_ = [
    '_base_/models/dai_net_vgg16.py',
    '_base_/datasets/wider_face_dark.py',
    '_base_/schedules/wider_100e.py',
    '_base_/default_runtime.py',
]

data_root = 'data/wider/'
train_dataloader = dict(batch_size=4)  # images on each GPU

optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=5e-4, momentum=0.9, weight_decay=5e-4),  # for 4 images in a step; see SqrtScaleLR
    paramwise_cfg=dict(custom_keys={'reflectance_decoder': dict(lr_mult=0.1)}),
)

default_hooks = dict(
    checkpoint=dict(save_best='dark/wider/AP'),
    draw_train_panels=dict(type='DrawTrainPanels', interval=500),
    validation_loss=dict(  # as published, beside AP: dark/pal2_loss
        type='ValidationLoss',
        input_size=_base_.input_size,
        darken=dict(type='DarkISP', preset='corrected', seed=0, keep_light=False),
    ),
)

# Key in the log        term of the paper                          weight
# pal1_loss_cls, _bbox  PAL-1 on the dark image                    1
# pal2_loss_cls, _bbox  PAL-2 on the dark image                    1
# loss_mutual           mutual feature alignment                   0.1
# loss_decomposition    reflectance learned from the teacher       1
# loss_consistency      equal reflectance, light and dark          0.1 · 0.01
# loss_reconstruction   reflectance · illumination = image         0.1
# loss_smoothness       illumination smooth but for edges          0.1 · 0.5
# loss_coherence        redecomposition coherence                  0.1 · 0.001
