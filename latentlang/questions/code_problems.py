"""Programming problems in HumanEval's layout, and the programs that are run to try a solution."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from latentlang.errors import InputError, shown
from latentlang.instructions.files import named_language
from latentlang.language_names import Language
from latentlang.language_names import language as find_language
from latentlang.language_names import languages as find_languages
from latentlang.paths import paths_in_words
from latentlang.questions.question_sets import benchmark_files
from latentlang.tasks.files import Paths, json_lines

_SUFFIXES = (".jsonl", ".json", ".ndjson")
_FIELDS = ("task_id", "prompt", "entry_point", "canonical_solution", "test")
#: What ends a completion: the function is over (Chen et al. 2021, section 2.1), or prose begins.
STOPS = ("\nclass ", "\ndef ", "\n#", "\nif ", "\nprint(", "\nassert ", "\n```", "\n@")


_FENCED = re.compile(r"```[^\n`]*\n(.*?)(?:\n```|\Z)", re.DOTALL)
# What may stand behind a whole function and is not part of it.
_BEHIND_FUNCTIONS = ("\nif ", "\nprint(", "\nassert ", "\n```")


@dataclass(frozen=True)
class Problem:
    """A function to be written.

    Attributes:
        item: its ``task_id``, the same in every language.
        language: code of the language that its docstring is in.
        prompt: the head of the function with its docstring.
        entry_point: the function that the tests call.
        canonical_solution: the benchmark's own body.
        test: defines ``check``, which takes the function.
    """

    item: str
    language: str
    prompt: str
    entry_point: str
    canonical_solution: str
    test: str

    @property
    def tests(self) -> str:
        """The tests and their call."""
        return f"{self.test}\ncheck({self.entry_point})\n"

    def solution(self, completion: str) -> str:
        """The function with a completion as its body.

        Args:
            completion: what goes behind the prompt; on a line of its own where the prompt does not end one.
        """
        join = "" if self.prompt.endswith("\n") or completion.startswith("\n") else "\n"
        return f"{self.prompt}{join}{completion}\n"

    def program(self, completion: str) -> str:
        """The program that tries a completion in one process: head, body, tests, and their call.

        Args:
            completion: what goes behind the prompt; on a line of its own where the prompt does not end one.
        """
        return f"{self.solution(completion)}{self.tests}"


def read_problems(
    data: Paths,
    *,
    languages: str | Language | Iterable[str | Language] | None = None,
    language: str | Language | None = None,
) -> dict[str, tuple[Problem, ...]]:
    """Read problems: JSON lines with HumanEval's fields, a file per language, named after it (``humaneval_es.json``).

    Args:
        data: files, or folders of them; each may be packed by gzip.
        languages: those wanted; None for all that are there.
        language: of files whose names do not say it.

    Raises:
        InputError: no such file, an empty one, a field that is missing, an id that is there twice, a name that is no
            function's, or a wanted language that is not there.
    """
    told = None if language is None else find_language(language).code
    wanted = None if languages is None else [entry.code for entry in find_languages(languages)]
    problems: dict[str, dict[str, Problem]] = {}
    for path in benchmark_files(data, _SUFFIXES):
        code = told or named_language(path)
        if not code:
            raise InputError(
                f"{path}: nothing says which language it is in; name it humaneval_es.json, or say language= "
                "(--file-lang)"
            )
        if wanted is not None and code not in wanted:
            continue
        for number, record in json_lines(path):
            problem = _problem(record, code, f"{path}, line {number}")
            if problem.item in problems.setdefault(code, {}):
                raise InputError(
                    f"{path}, line {number}: problem {shown(problem.item, most=60)} is there twice in {code!r}; leave "
                    "one out"
                )
            problems[code][problem.item] = problem
    for code in wanted or ():
        if code not in problems:
            raise InputError(f"there is no problem in {code!r} in {paths_in_words(data)}; name a file of it")
    return {code: tuple(problems[code].values()) for code in wanted or problems}


def _problem(record: Mapping[str, object], language: str, where: str) -> Problem:
    values = {}
    for name in _FIELDS:
        value = record.get(name)
        if not isinstance(value, str) or not value.strip():
            what = (
                "is missing"
                if value is None
                else "is empty"
                if value == ""
                else "is no text, or an empty one"
            )
            raise InputError(f"{where}: {name!r} {what}; problems are in HumanEval's layout")
        values[name] = value
    if not values["entry_point"].isidentifier():
        raise InputError(
            f"{where}: the entry point {shown(values['entry_point'], most=60)} is no function's name"
        )
    return Problem(language=language, item=values.pop("task_id"), **values)


def written_body(text: str) -> str:
    """The function's body in what a model wrote behind its head: up to the first of `STOPS`."""
    ends = [place for place in (text.find(stop) for stop in STOPS) if place >= 0]
    return text[: min(ends, default=len(text))].rstrip() + "\n"


def program_in_chat(text: str, entry_point: str) -> str:
    """What goes behind a problem's head of an answer in a chat: the function said anew, or else its body.

    Where there are fenced blocks, the first with the function counts, or else the first.

    Args:
        text: the answer.
        entry_point: the function's name.
    """
    defines = re.compile(rf"^(?:async )?def {re.escape(entry_point)}\b", re.MULTILINE)
    blocks = _FENCED.findall(text)
    code = next(filter(defines.search, blocks), blocks[0] if blocks else text)
    function = defines.search(code)
    if function is None:
        return written_body(code)
    ends = [place for place in (code.find(stop, function.end()) for stop in _BEHIND_FUNCTIONS) if place >= 0]
    return f"\n{code[: min(ends, default=len(code))].rstrip()}\n"
