"""A training begins with a validation of the weights that it starts from, once."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from mmdark.engine.hooks import SaveOnSigterm, ValidateFirst
from mmdark.engine.hooks.whole_checkpoint import VALIDATED


@pytest.mark.parametrize(
    ('iteration', 'info', 'expected'), [(0, {}, 1), (0, {VALIDATED: 0}, 0), (3, {VALIDATED: 0}, 0), (3, {}, 0)]
)
def test_before_the_first_iteration_alone(iteration: int, info: dict, expected: int) -> None:
    """A resumed training has done it, or SaveOnSigterm has repeated it."""
    runs: list[int] = []
    loop = SimpleNamespace(run=lambda: runs.append(iteration))
    hub = SimpleNamespace(runtime_info=info)
    ValidateFirst().before_train(SimpleNamespace(iter=iteration, val_loop=loop, message_hub=hub))
    assert len(runs) == expected


def test_without_a_validation_there_is_none() -> None:
    ValidateFirst().before_train(SimpleNamespace(iter=0, val_loop=None))


def test_a_signal_is_heard_in_it() -> None:
    assert ValidateFirst.priority == SaveOnSigterm.priority, 'default hooks come first among equals'
