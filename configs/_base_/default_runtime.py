"""What every config runs with."""

default_scope = 'mmdet'
custom_imports = dict(imports=['mmdark.register'], allow_failed_imports=False)
randomness = dict(seed=0)

default_hooks = dict(
    runtime_info=dict(type='WorldRuntimeInfo'),
    timer=dict(type='TimeLeft'),
    logger=dict(type='LoggerHook', interval=100),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='WholeCheckpoint', by_epoch=False, interval=5000, max_minutes=10, save_best='auto', rule='greater'
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='DetVisualizationHook'),
    sqrt_scale_lr=dict(type='SqrtScaleLR', enable=True, base_batch_size=4),
    average_buffers=dict(type='AverageBuffers'),
    resume_by_config=dict(type='ResumeByConfig'),
    keep_freed_memory=dict(type='KeepFreedMemory'),
    plain_checkpoint=dict(type='PlainCheckpoint'),
    save_on_sigterm=dict(type='SaveOnSigterm'),
    survive_full_disk=dict(type='SurviveFullDisk'),
    strict_checkpoint=dict(type='StrictCheckpoint'),
    stop_on_non_finite=dict(type='StopOnNonFinite'),
    name_scalars=dict(type='NameScalars'),
    live_progress=dict(type='LiveProgress'),
    record_config=dict(type='RecordConfig'),
)
env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='DetLocalVisualizer', vis_backends=vis_backends, name='visualizer')
log_processor = dict(
    type='LogProcessor',
    window_size=50,
    by_epoch=True,
    # Means over the window, but not of what has a slash in its name: that is measured once a validation.
    mean_pattern=r'^[^/]*(loss|time|grad_norm)[^/]*$',
)
log_level = 'INFO'
load_from = None
resume = False
