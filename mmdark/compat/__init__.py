"""Work-arounds for the packages that mmdark builds on, one cause per file.

Importing this package, which :mod:`mmdark.register` does first, applies them, once per process.

====================  ==========================================================  ===============================
file                  cause                                                       end
====================  ==========================================================  ===============================
compiled_ops          mmcv-lite lacks ``mmcv._ext``, which ``mmdet.models`` uses  mmdet imports its ops on use
torchvision_ops       two-stage detectors need RoIAlign                           mmcv can be had compiled
focal_loss            on a GPU, mmdet asks mmcv's compiled ops for it             mmcv can be had compiled
checkpoints           mmengine's loaders run pickled code or refuse checkpoints   mmengine loads with weights only
checkpoint_records    what checkpoints hold besides tensors and plain types       mmengine pickles plain types
checkpoint_unpickler  torch limits neither names before 2.6 nor costs             torch limits both
====================  ==========================================================  ===============================

``python -m mmdark.compat TOOL ARGS...`` runs another program's tool with the bridges in place.
"""

import warnings

from mmdark.compat.compiled_ops import provide_compiled_ops

# onedl-mmdetection warns at import that its FasterCocoMetric lacks a package, even if the metric is not used
warnings.filterwarnings('ignore', 'faster_coco_eval is not installed', UserWarning)
# mmdet's YOLOX and RTMDet disable autocast by a deprecated name, and on a CPU for a CUDA device that does not exist
warnings.filterwarnings('ignore', r'.*torch\.cuda\.amp\.autocast', FutureWarning)
warnings.filterwarnings('ignore', "User provided device_type of 'cuda'", UserWarning)
# mmdet's GFLHead reads a deprecated attribute of its own AnchorHead
warnings.filterwarnings('ignore', 'DeprecationWarning: `num_anchors` is deprecated', UserWarning)
provide_compiled_ops()

from mmdark.compat.checkpoint_records import plain  # noqa: E402 mmengine may ask for mmcv
from mmdark.compat.checkpoints import load_checkpoints_safely, read_checkpoint  # noqa: E402

load_checkpoints_safely()

__all__ = ['load_checkpoints_safely', 'plain', 'provide_compiled_ops', 'read_checkpoint']
