"""A sweep as a SLURM script: an array for each stage, which begins when the stage before it is over."""

from __future__ import annotations

import re
import shlex
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

from latentlang.errors import InputError, shown
from latentlang.storage.files import write_text
from latentlang.sweeps.executors import LOGS, Executor, SweepRun, register_executor
from latentlang.sweeps.kinds import SweepJob

#: The script, in the sweep's folder.
SCRIPT = "sweep.sbatch"
# What a job's name leaves out.
_UNSAID = re.compile(r"[^\w.+-]+")
# What the script says itself.
_TAKEN = ("array", "dependency", "parsable", "wrap", "output", "job-name")


def sbatch_script(run: SweepRun) -> str:
    """The script of a sweep's jobs that wait.

    Run by ``bash`` it submits itself, a stage at a time; as a task of an array it runs the job of its number.

    Args:
        run: of a sweep that has a file.

    Raises:
        InputError: it has none, an option of ``sbatch`` is one that the script says itself, or no line of such a script
            can say the folder's name.
    """
    if run.file is None:
        raise InputError("a SLURM script names the sweep's file; give a file, not a mapping")
    slurm = run.table.sweep.fields.slurm
    for name in slurm:
        if name in _TAKEN:
            raise InputError(
                f"{run.table.sweep.where}: slurm: {name} is said by the script itself; leave it out"
            )
    file, out = run.file.resolve(), run.out.resolve()
    if not str(out).isprintable() or set(str(out)) & set('"\\'):
        raise InputError(
            f"sbatch would misread the name of the folder {shown(str(out))}; choose one without quotes, backslashes "
            "and control characters"
        )
    logs = str(out / LOGS).replace("%", "%%")
    given = [f"#SBATCH --{name}={value}" for name, value in slurm.items()]
    command = [sys.executable, "-m", "latentlang", "sweep", str(file), "--out", str(out)]
    waiting = [
        [job for job in stage if run.outcomes[job.number].state == "waiting"] for stage in run.table.stages
    ]
    stages = [stage for stage in waiting if stage]
    lines = [
        "#!/bin/bash",
        f"#SBATCH --job-name={_UNSAID.sub('-', run.table.sweep.name)}",
        f'#SBATCH --output="{logs}/slurm-%A-%a.txt"',
        *given,
        f"# {run.table.describe()} {sum(map(len, stages))} of them are to be run.",
        f"# Submit all stages: bash {shlex.quote(str(out / SCRIPT))}",
        "# A stage begins when the one before it is over, whatever became of its jobs: one whose own needs are not",
        "# finished says so and ends. The last job gathers the table and the page. The command given again makes a",
        "# script of what is left.",
        "set -euo pipefail",
        'if [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then',
        f'  exec {shlex.join(command)} --job "$SLURM_ARRAY_TASK_ID"',
        "fi",
        'if [ "${1:-}" = gather ]; then',
        f"  exec {shlex.join(command)} --gather",
        "fi",
        f"mkdir -p {shlex.quote(str(out / LOGS))}",
        'script=$(readlink -f "$0")',
    ]
    after = ""
    for number, stage in enumerate(stages, 1):
        array = _array(stage, run.at_once)
        lines.append(f'stage{number}=$(sbatch --parsable --array={array}{after} "$script")')
        lines.append(f'echo "stage {number}: job ${{stage{number}}}, {len(stage)} of the sweep"')
        after = f' --dependency=afterany:"${{stage{number}%%;*}}"'
    lines.append(f'sbatch --parsable{after} "$script" gather')
    return "\n".join(lines) + "\n"


def _array(stage: Sequence[SweepJob], at_once: int) -> str:
    """``1-4,7%2``: numbers of jobs, and how many run at once where that was said."""
    runs: list[list[int]] = []
    for job in stage:
        if runs and job.number == runs[-1][-1] + 1:
            runs[-1].append(job.number)
        else:
            runs.append([job.number])
    numbers = ",".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
    return f"{numbers}%{at_once}" if at_once > 1 else numbers


def _write(run: SweepRun) -> None:
    path: Path = run.out / SCRIPT
    write_text(path, sbatch_script(run))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    (run.out / LOGS).mkdir(exist_ok=True)
    run.written.append(path)


register_executor(Executor("slurm", "nothing is run: an array script for SLURM is written", _write))
