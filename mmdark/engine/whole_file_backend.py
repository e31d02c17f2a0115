"""mmengine's local files, written whole or not at all."""

from __future__ import annotations

from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from mmdark.whole_file import write_verified


@register_backend('whole', force=True)
class WholeFileBackend(LocalBackend):
    """``LocalBackend`` whose ``put`` is verified before it replaces anything: ``backend_args=dict(backend='whole')``.

    mmengine's own opens the file for writing first; who is killed then is left with half a file.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes.

        Raises:
            OSError: they cannot be written; what was there is untouched.
        """
        write_verified(Path(filepath), obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Write text.

        Raises:
            OSError: it cannot be written; what was there is untouched.
        """
        write_verified(Path(filepath), obj.encode(encoding))
