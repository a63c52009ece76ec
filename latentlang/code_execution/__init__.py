"""Programs that a model wrote, run where they can do no harm, or not at all."""

from __future__ import annotations

from latentlang.code_execution.sandbox import (
    ENDINGS,
    Limits,
    ProgramRun,
    SandboxError,
    check_sandbox,
    run_program,
    run_tests,
)

__all__ = ["ENDINGS", "Limits", "ProgramRun", "SandboxError", "check_sandbox", "run_program", "run_tests"]
