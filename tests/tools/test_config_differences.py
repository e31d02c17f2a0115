"""Differences of configs, key by key."""

from __future__ import annotations

from config_differences import ABSENT, config_differences
from mmengine.config import Config

MAIN = {
    'model': {'type': 'A', 'loss': {'weight': 1.0}, 'widths': [1, 2]},
    'pipeline': [{'type': 'Load'}, {'type': 'Darken', 'preset': 'x'}, {'type': 'Pack'}],
    '_helper': 1,
    'work_dir': 'a',
}


def changed(**other: object) -> dict[str, tuple[object, object]]:
    return config_differences(Config(MAIN), Config({**MAIN, **other}))


def test_equal_configs_do_not_differ() -> None:
    assert changed(work_dir='b', _helper=2) == {}


def test_values_parts_and_lists() -> None:
    model = {'type': 'A', 'loss': None, 'widths': [1, 3], 'new': {'a': 1}}
    assert changed(model=model) == {
        'model.loss': ({'weight': 1.0}, None),
        'model.widths': ([1, 2], [1, 3]),
        'model.new': (ABSENT, {'a': 1}),
    }
    assert changed(model={'type': 'A', 'widths': [1, 2]}) == {'model.loss': ({'weight': 1.0}, ABSENT)}


def test_steps_are_named_by_their_place() -> None:
    load, darken, pack = MAIN['pipeline']
    assert changed(pipeline=[load, {**darken, 'preset': 'y'}, pack]) == {'pipeline.1.preset': ('x', 'y')}
    assert changed(pipeline=[load, pack]) == {'pipeline.1:2': ([darken], [])}
    assert changed(pipeline=[load, darken, darken, pack]) == {'pipeline.2:2': ([], [darken])}
    assert changed(pipeline=[]) == {'pipeline': (MAIN['pipeline'], [])}


def test_ignored_keys() -> None:
    other = Config({**MAIN, 'model': {**MAIN['model'], 'widths': [5]}, 'work_dir': 'b'})
    assert config_differences(Config(MAIN), other, ('work*', 'model.widths')) == {}
