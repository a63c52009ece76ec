"""Transformers' own words while a model is loaded, as far as they are wanted."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet(*, progress: bool) -> Iterator[None]:
    """Keep back transformers' table of missing weights, which are reported in one line, and unwanted progress bars."""
    from transformers.utils import logging as hf_logging

    modeling_log = logging.getLogger("transformers.modeling_utils")
    bars = hf_logging.is_progress_bar_enabled()

    def without_report(record: logging.LogRecord) -> bool:
        return "LOAD REPORT" not in record.getMessage()

    modeling_log.addFilter(without_report)
    if not progress:
        hf_logging.disable_progress_bar()
    try:
        yield
    finally:
        modeling_log.removeFilter(without_report)
        if bars:
            hf_logging.enable_progress_bar()
