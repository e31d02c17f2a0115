"""DAI-Net on DSFD, the published recipe, on your own faces in the VOC format, laid out as voc_face.py says.

python tools/train.py configs/own_data/dsfd_dark_voc.py --cfg-options data_root=data/mine/
"""

_base_ = [
    '../_base_/models/dai_net_vgg16.py',
    '../_base_/datasets/voc_face.py',
    '../_base_/schedules/wider_100e.py',
    '../_base_/default_runtime.py',
]

data_root = 'data/voc_face/'
train_dataloader = dict(batch_size=4)  # images on each GPU
model = dict(detector=dict(train_cfg=dict(negatives_without_faces=12)))  # for filter_empty_gt=False

optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'reflectance_decoder': dict(lr_mult=0.1)}))
default_hooks = dict(checkpoint=dict(save_best='dark/voc/mAP'))
