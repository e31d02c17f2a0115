"""Our numbers beside those that the authors' code printed, for a clone of the repository."""

import mmdark.register  # noqa: F401
