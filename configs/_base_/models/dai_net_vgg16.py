"""DAI-Net (arXiv:2312.01220): DSFD with the dark branches. The weights of the losses are the published ones."""

_base_ = ['./dsfd_vgg16.py']

model = dict(
    type='DAINet',
    data_preprocessor=dict(type='DarkPairPreprocessor'),
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
    reflectance_decoder=dict(type='ReflectanceDecoder', in_channels=64),
    loss_decomposition=dict(type='DecompositionLoss', loss_weight=1.0),
    loss_consistency=dict(type='ReflectanceConsistencyLoss', loss_weight=0.1 * 0.01),
    loss_reconstruction=dict(type='ReconstructionLoss', loss_weight=0.1),
    loss_smoothness=dict(type='IlluminationSmoothnessLoss', loss_weight=0.1 * 0.5),
    loss_coherence=dict(type='RedecompositionCoherenceLoss', loss_weight=0.1 * 0.001),
    loss_mutual=dict(type='MutualAlignmentLoss', loss_weight=0.1, temperature=4.0),
)
