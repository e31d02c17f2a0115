"""mmdark: face detectors for dark images, for MMDetection.

Importing this package only defines the version; importing :mod:`mmdark.register` registers all components in
MMDetection's registries.
"""

import sys

__version__ = '0.1.0'

if 'mmengine.config' in sys.modules:
    # Configs and checkpoints older than mmdark.register have custom_imports=dict(imports=['mmdark']), so importing
    # mmdark must register everything. mmengine is loaded in this case, so other imports of mmdark stay fast.
    import mmdark.register  # noqa: F401
