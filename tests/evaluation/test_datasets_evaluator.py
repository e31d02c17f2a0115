"""The heading of each data set stands above what its metric says, also in the log file; the scores are mmdet's."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmdet.evaluation import MultiDatasetsEvaluator
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger, print_log

from mmdark.errors import InputError
from mmdark.evaluation.datasets_evaluator import HeadedDatasetsEvaluator


class Mean(BaseMetric):
    """The mean of numbers, which it says, too."""

    def process(self, data_batch: object, data_samples: list[float]) -> None:
        self.results += data_samples

    def compute_metrics(self, results: list[float]) -> dict[str, float]:
        print_log(f'a table of {results}', logger='current')
        return dict(mean=sum(results) / len(results))


def evaluated(kind: type, prefixes: tuple[str, ...]) -> dict[str, float]:
    evaluator = kind([Mean(prefix='coco'), Mean(prefix='wider')], prefixes)
    evaluator.dataset_meta = dict(cumulative_sizes=[2, 5])
    for metric in evaluator.metrics:
        metric.process(None, [1.0, 2.0, 4.0, 5.0, 9.0])
    return evaluator.evaluate(5)


def test_headings_stand_above_and_the_scores_are_those_of_mmdet(tmp_path: Path) -> None:
    MMLogger.get_instance('headings', logger_name='headings', log_file=str(tmp_path / 'log'))
    found = evaluated(HeadedDatasetsEvaluator, ('day', 'dark'))
    assert found == evaluated(MultiDatasetsEvaluator, ('day', 'dark')) == {'day/coco/mean': 1.5, 'dark/wider/mean': 6.0}
    said = [line.split(' - ')[-1] for line in (tmp_path / 'log').read_text().splitlines()[:4]]
    heading = '=' * 16
    assert said == [
        f'{heading}day/coco{heading}',
        'a table of [1.0, 2.0]',
        f'{heading}dark/wider{heading}',
        'a table of [4.0, 5.0, 9.0]',
    ]


def test_equal_prefixes_are_refused() -> None:
    evaluator = HeadedDatasetsEvaluator([Mean(prefix='a'), Mean(prefix='a')], ('day', 'day'))
    evaluator.dataset_meta = dict(cumulative_sizes=[1, 2])
    for metric in evaluator.metrics:
        metric.process(None, [1.0, 2.0])
    with pytest.raises(InputError, match=r"dataset_prefixes=\['day', 'day'\]: give each data set its own"):
        evaluator.evaluate(2)
