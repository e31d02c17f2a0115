"""Supervised fine-tuning of the main detector on the 5,500 training images of DARK FACE; the published figure is 52.9.

    python tools/train.py configs/dark_face/dsfd_dark_finetune_dark-face.py --cfg-options load_from=CHECKPOINT

The checkpoint is one of ``configs/dsfd_dark_wider.py``, or a published one that went through the converter. A dark
photograph has no light partner, so what is trained is the detector alone, without reflectance decoder and teacher.

Published is the figure, on the hidden test images, and its weights (``DarkFaceFS``, the whole dark model); neither code
nor schedule. Our choice: 30 epochs, a tenth of the learning rate of the training by day, by the same rule
(5e-5 · sqrt(images in a step / 4)), decays after epochs 20 and 26.
"""

_base_ = [
    '../_base_/models/dsfd_vgg16.py',
    '../_base_/datasets/dark_face.py',
    '../_base_/schedules/wider_100e.py',
    '../_base_/default_runtime.py',
]

load_from = 'weights/dai_net.pth'
model = dict(backbone=dict(init_cfg=None))  # all weights come from load_from
custom_hooks = [dict(type='LeaveOutWeights', prefixes=['reflectance_decoder.', 'enhancer.'])]

optim_wrapper = dict(optimizer=dict(lr=5e-5))
param_scheduler = dict(milestones=[20, 26])
train_cfg = dict(max_epochs=30)
default_hooks = dict(checkpoint=dict(interval=1000, save_best='dark_face/AP'))
