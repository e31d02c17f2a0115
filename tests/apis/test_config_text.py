"""A config is formatted once, however often and by whichever copy its text is asked for."""

from __future__ import annotations

import copy
from unittest.mock import patch

from mmengine.config import Config

from mmdark.apis import load_config
from tests.tiny_wider import QUICKSTART


def test_formatted_once() -> None:
    cfg = load_config(str(QUICKSTART), {'log_level': 'ERROR', 'work_dir': 'a'})
    plain = Config(cfg._cfg_dict, filename=cfg.filename)
    original, calls = Config.pretty_text.fget, []
    with patch.object(Config, 'pretty_text', property(lambda self: calls.append(1) or original(self))):
        texts = {cfg.pretty_text, copy.deepcopy(cfg).pretty_text, copy.copy(cfg).pretty_text, cfg.pretty_text}
        assert len(calls) == 1
        assert texts == {plain.pretty_text}
        cfg.log_level = 'DEBUG'
        assert "'DEBUG'" in cfg.pretty_text and len(calls) == 3
        cfg.merge_from_dict({'model.detector.test_cfg.score_thr': 0.125})
        assert '0.125' in cfg.pretty_text


def test_the_file_in_the_work_directory_reads_back(tmp_path) -> None:
    cfg = load_config(str(QUICKSTART), {'log_level': 'ERROR'})
    cfg.dump(tmp_path / 'a.py')
    assert Config.fromfile(tmp_path / 'a.py')._cfg_dict == cfg._cfg_dict
