"""Importing this module registers all components of mmdark in MMDetection's registries.

Configs import it with ``custom_imports = dict(imports=['mmdark.register'], allow_failed_imports=False)``.
"""

import mmdark.compat

# isort: split
import mmdark.adaptation
import mmdark.datasets
import mmdark.engine
import mmdark.evaluation.coco_face_metric
import mmdark.evaluation.dark_face_metric
import mmdark.evaluation.datasets_evaluator
import mmdark.evaluation.exdark_metric
import mmdark.evaluation.wider_face_metric
import mmdark.models  # noqa: F401
