"""The child that runs cases with untrusted files tells apart everything that a case can do."""

import os
import signal
import sys
import time

import numpy as np
import pytest

from mmdark.errors import InputError
from tests.limited_child import LimitedChild, faults


def case(kind: str) -> object:
    if kind == 'returns':
        return 7
    if kind == 'exits':
        sys.exit()
    if kind == 'refuses':
        raise InputError('a.pth is empty: copy it again')
    if kind == 'exits with a line':
        sys.exit('error: a.pth is empty')
    if kind == 'exits with a number':
        print('usage: \na: error: no such option', file=sys.stderr)
        sys.exit(2)
    if kind == 'two lines':
        raise InputError('a.pth is empty:\ncopy it again')
    if kind == 'long line':
        raise InputError('a' * 301)
    if kind == 'fails':
        raise KeyError('iter')
    if kind == 'prints a traceback':
        print('Traceback (most recent call last):')
        return None
    if kind == 'takes 5 GB':
        return np.ones(5 << 30, np.uint8).sum()
    if kind == 'takes 5 GB and makes a line of it':
        try:
            return np.ones(5 << 30, np.uint8).sum()
        except MemoryError:
            raise InputError('a.pth cannot be read') from None
    if kind == 'waits':
        time.sleep(60)
    os.kill(os.getpid(), signal.SIGKILL)
    return None


CASES = {
    'returns': ('read', '7'),
    'exits': ('read', ''),
    'refuses': ('refused', 'a.pth is empty: copy it again'),
    'exits with a line': ('refused', 'error: a.pth is empty'),
    'exits with a number': ('refused', 'a: error: no such option'),
    'two lines': ('bad line', 'copy it again'),
    'long line': ('bad line', 'aaa'),
    'fails': ('traceback', "KeyError: 'iter'"),
    'prints a traceback': ('traceback', 'Traceback'),
    'takes 5 GB': ('out of memory', 'MemoryError'),
    'takes 5 GB and makes a line of it': ('out of memory', 'cannot be read'),
    'waits': ('hang', 'not done after 1 s'),
    'is killed': ('killed', 'signal 9'),
}


@pytest.mark.skipif(sys.platform != 'linux', reason='limits and forks as Linux has them')
def test_each_end_of_a_case_is_told_apart() -> None:
    with LimitedChild(seconds=1) as child:
        outcomes = {kind: child.run(case, kind) for kind in CASES}
    assert {kind: outcome.kind for kind, outcome in outcomes.items()} == {kind: CASES[kind][0] for kind in CASES}
    assert all(CASES[kind][1] in outcome.said for kind, outcome in outcomes.items())
    assert list(faults(outcomes)) == list(CASES)[5:]
