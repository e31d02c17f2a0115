"""mmdark: face detectors that see in the dark, for MMDetection.

Importing it gives the version and nothing heavier; importing :mod:`mmdark.register` puts everything into MMDetection's
registries.
"""

import sys

__version__ = '0.1.0'

if 'mmengine.config' in sys.modules:
    # Configs and checkpoints written before mmdark.register say custom_imports=dict(imports=['mmdark']), and mmengine
    # imports what they name. It is loaded then, so the weight of registering everything has been paid.
    import mmdark.register  # noqa: F401
