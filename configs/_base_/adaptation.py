"""DAI-Net (arXiv:2312.01220) for any detector of mmdet, with the published teacher and weights of the losses.

A dark config inherits this one and a detector's, and puts the second into the first; what it must say itself is where
the shallow features are tapped, and how many channels they have:

    _base_ = ['./retinanet_r18_wider_day.py', '../_base_/adaptation.py']
    model = dict(
        _base_.dai_net,
        _delete_=True,
        detector=_base_.model,
        tap='backbone.relu',
        reflectance_decoder=dict(type='ReflectanceDecoder', in_channels=64),
    )

DarkISP darkens each batch on the device, so the pipeline stays as it is, Mosaic and MixUp included.
"""

dai_net = dict(
    type='DAINet',
    backbone=dict(),  # where mmdet's init_detector looks for an init_cfg; the detector has its own
    data_preprocessor=dict(dark_isp='corrected'),
    enhancer=dict(
        type='RetinexNet',
        init_cfg=dict(
            type='PublishedWeights',
            checkpoint='mmdark://retinexnet_wider.pth',  # comes with mmdark; weights/decomp.pth is the published one
            source='the link in the README of github.com/ZPDu/DAI-Net',
            without="mmdark's own teacher (model.enhancer.init_cfg.checkpoint=mmdark://retinexnet_wider.pth), or "
            '--cfg-options model.enhancer=None (no decomposition losses)',
        ),
    ),
    recomposition='interchanged',
    losses=dict(
        mutual=dict(type='MutualAlignmentLoss', loss_weight=0.1, temperature=4.0),
        decomposition=dict(type='DecompositionLoss', loss_weight=1.0),
        consistency=dict(type='ReflectanceConsistencyLoss', loss_weight=0.1 * 0.01),
        reconstruction=dict(type='ReconstructionLoss', loss_weight=0.1),
        smoothness=dict(type='IlluminationSmoothnessLoss', loss_weight=0.1 * 0.5),
        coherence=dict(type='RedecompositionCoherenceLoss', loss_weight=0.1 * 0.001),
    ),
)
