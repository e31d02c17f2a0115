"""Where the processes of a test meet: a store that this process keeps, on a port that nobody can take before them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch.distributed import TCPStore


@contextmanager
def meeting() -> Iterator[dict[str, str]]:
    """The environment in which ``init_process_group`` finds the others; each still needs RANK and WORLD_SIZE."""
    store = TCPStore('127.0.0.1', 0, is_master=True, wait_for_workers=False)
    agent = {'TORCHELASTIC_USE_AGENT_STORE': 'True', 'TORCHELASTIC_RESTART_COUNT': '0'}  # as torchrun sets them
    yield {'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': str(store.port), **agent}
    del store
