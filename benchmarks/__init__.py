"""How fast mmdark is, by itself and beside the published implementation; for a clone of the repository."""

import mmdark.register  # noqa: F401
