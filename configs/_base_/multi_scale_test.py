"""``tools/test.py --tta``: the published views of each image, merged by box voting."""

tta_model = dict(type='MultiScaleTTA', iou_threshold=0.3, max_per_img=750, drop_singletons=False)
tta_pipeline = [
    dict(type='LoadImageFromFile', _scope_='mmdark'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='MultiScaleViews',
        preset='published',
        transforms=[
            dict(
                type='PackDetInputs',
                meta_keys=(
                    'img_id',
                    'img_path',
                    'ori_shape',
                    'img_shape',
                    'scale_factor',
                    'flip',
                    'flip_direction',
                    'keep',
                ),
            )
        ],
    ),
]
