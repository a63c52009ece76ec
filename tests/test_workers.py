"""Nobody begins to write while a worker of a run that ended still does."""

import subprocess
import sys

import pytest

from latentlang import workers
from latentlang.errors import InputError

_WORKER = """
import sys
from pathlib import Path
from latentlang.workers import begin_worker
begin_worker(Path(sys.argv[1]))
print("holds", flush=True)
sys.stdin.read()
"""


def test_a_worker_that_is_still_there_is_waited_for_and_told(tmp_path, monkeypatch):
    worker = subprocess.Popen(
        [sys.executable, "-c", _WORKER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdin is not None and worker.stdout is not None
    assert worker.stdout.readline() == "holds\n"
    monkeypatch.setattr(workers, "_LEAVING_SECONDS", 0.2)
    with pytest.raises(InputError, match="a worker process of an earlier run is still writing"):
        workers.wait_for_workers(tmp_path)
    worker.kill()
    worker.wait()
    workers.wait_for_workers(tmp_path)
    assert list(tmp_path.iterdir()) == []
