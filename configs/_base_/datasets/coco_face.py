"""Faces in the COCO format as (light, dark) pairs, through mmdet's CocoDataset; tested by day and in fixed darkness.

    data_root/
    ├── annotations/train.json, annotations/val.json
    └── train/, val/            images; file_name is relative to these

``--cfg-options train_images=images/train val_images=images/val`` names other folders, here those of YOLO. What a file
leaves out (areas, sizes of images, the one category) is filled in, and what is wrong with it ends the run with a line.

The category must be called ``face``; for another name set ``classes`` in ``metainfo``. Boxes
with ``iscrowd`` are ignored, in training and in evaluation. The evaluator takes its ground truth from the data set, so
another ``data_root`` is all it needs.
"""

_base_ = ['./wider_face.py']

dataset_type = 'CheckedCocoDataset'
data_root = 'data/coco_face/'
train_images, val_images = 'train', 'val'
metainfo = dict(classes=('face',), palette=[(0, 255, 0)])

_darkness = dict(type='DarkISP', preset='corrected', seed=0, keep_light=False)
_pack = dict(
    type='PackDetInputs',
    meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'instances'),
)
_views = _base_.tta_pipeline[-1]
_view_pack = dict(type='PackDetInputs', meta_keys=(*_views.transforms[0].meta_keys, 'instances'))
train_pipeline = [
    *_base_.load,
    *_base_.augment,
    dict(type='DarkISP', preset='corrected'),
    dict(type='PackDarkPair'),
]
test_pipeline = [*_base_.test_pipeline[:-1], _pack]
tta_pipeline = [*_base_.tta_pipeline[:-1], dict(_views, transforms=[_view_pack])]

train_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='annotations/train.json',
        data_prefix=dict(img=train_images),
        metainfo=metainfo,
        pipeline=train_pipeline,
    )
)
_day = dict(
    type=dataset_type,
    data_root=data_root,
    ann_file='annotations/val.json',
    data_prefix=dict(img=val_images),
    metainfo=metainfo,
    test_mode=True,
    pipeline=test_pipeline,
)
_dark = dict(_day, pipeline=[test_pipeline[0], _darkness, *test_pipeline[1:]])
val_dataloader = dict(
    dataset=dict(_delete_=True, type='LazyConcatDataset', pipeline=test_pipeline, datasets=[_day, _dark])
)
test_dataloader = val_dataloader

# bbox_mAP is COCO's AP with 100 detections an image at most, bbox_mAP_50 that at IoU 0.5 with 1000.
val_evaluator = dict(
    _delete_=True,
    type='HeadedDatasetsEvaluator',
    dataset_prefixes=['day', 'dark'],
    metrics=[dict(type='CocoFaceMetric', metric='bbox', proposal_nums=(100, 300, 1000), prefix='coco')] * 2,
)
test_evaluator = val_evaluator
