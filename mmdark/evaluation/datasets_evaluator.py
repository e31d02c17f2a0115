"""Log the metrics of several data sets, each below a heading with its name."""

from __future__ import annotations

from itertools import pairwise

import mmdark.compat  # noqa: F401  builds the bridges first

# isort: split
from mmdet.evaluation import MultiDatasetsEvaluator
from mmengine.dist import broadcast_object_list, collect_results, is_main_process
from mmengine.evaluator.metric import _to_cpu
from mmengine.logging import print_log
from mmengine.registry import EVALUATOR

from mmdark.errors import InputError


@EVALUATOR.register_module()
class HeadedDatasetsEvaluator(MultiDatasetsEvaluator):
    """``MultiDatasetsEvaluator`` that logs its headings, ``====day/coco====``, above the tables.

    mmdet 3.3.0 prints each heading after the table of its data set, and not into the log file.
    """

    def evaluate(self, size: int) -> dict[str, float]:
        """The scores of all data sets, ``prefix/name of the metric/score``; ``size`` is the number of all samples.

        Raises:
            InputError: two data sets have the same prefix.
        """
        scores: dict[str, float] = {}
        parts = pairwise([0, *self._get_cumulative_sizes()])
        for prefix, metric, (start, end) in zip(self.dataset_prefixes, self.metrics, parts, strict=False):
            results = collect_results(metric.results, size, metric.collect_device)
            metric.results.clear()
            if is_main_process():
                heading = '/'.join(filter(None, (prefix, metric.prefix)))
                print_log(f'================{heading}================', logger='current')
                metric_scores = metric.compute_metrics(_to_cpu(results)[start:end])
                named = {f'{heading}/{name}': score for name, score in metric_scores.items()}
                if scores.keys() & named.keys():
                    raise InputError(f'dataset_prefixes={list(self.dataset_prefixes)}: give each data set its own')
                scores |= named
        shared = [scores]
        broadcast_object_list(shared)
        return shared[0]
