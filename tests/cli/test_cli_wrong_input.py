"""Input that cannot be used: one line that names it and says what to do at a shell; and what a command leads to."""

from __future__ import annotations

import io
import shlex
from pathlib import Path

import pytest
from rich.console import Console

from latentlang.cli import _command, main
from latentlang.cli.console import print_next
from latentlang.cli.usage import _CALLED_ELSEWHERE


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (
            "score --hypotheses none.txt --references a.txt --lang ja",
            "there is no file 'none.txt'; give the path of one",
        ),
        ("gap none.csv", "there is no file 'none.csv'; give the path of one"),
        ("gap empty", "'empty' is a folder, not a file; name a file"),
        ("judge none.jsonl --judge local:pocket", "there is no file 'none.jsonl'; give the path of one"),
        ("bits --text none", "the data folder none does not exist; name another"),
        ("tune --out o --text none", "'none': No such file or directory; name a UTF-8 file"),
        (
            "lenses --lang ja --lens logit --lens jacobian:none",
            "no Jacobian lens: there is nothing of this name;",
        ),
        ("lenses --lang ja --lens logit --lens jacobian:empty", "no Jacobian lens; `latentlang tune`"),
        ("patch --from es-ru --into fr-xq9", "'fr-xq9' is no pair of languages: unknown language 'xq9'"),
        (
            "evaluate --task xcopa --lang it",
            "it has no items of its own; items come from files: --data FOLDER",
        ),
        ("answer --prompts a.txt --lang ja,de", "one language is wanted here, not 'ja,de'"),
        ("lens pocket", "unexpected 'pocket'; did you mean `--model pocket`? See `latentlang lens --help`"),
        ("evaluate pocket sentiment", "did you mean `--model pocket --task sentiment`? See"),
        ("train zh+es-en", "did you mean `--recipe zh+es-en`? See"),
        ("lens japanese,de", "did you mean `--lang japanese,de`? See"),
        ("lens nothing", "(nothing); see `latentlang lens --help`"),
        ("tasks translation", "(translation); see `latentlang tasks --help`"),
        ("lens --items ten", "--items takes a whole number, not 'ten'; see `latentlang lens --help`"),
        ("answer --length-penalty much", "--length-penalty takes a number, not 'much'; see"),
        ("explore --port 65536", "--port"),
        ("explore --port 65536", "'65536'"),
        (
            "evaluate --limit 3",
            "No such option: --limit; here it is --items; see `latentlang evaluate --help`",
        ),
        ("lens --item 3", "No such option: --item; did you mean --items? See `latentlang lens --help`"),
        ("lens --hlep", "No such option: --hlep; did you mean --help? See"),
        ("lens --qqq", "No such option: --qqq; see `latentlang lens --help`"),
        (
            "doctor pocket",
            "unexpected 'pocket'; did you mean `--model pocket`? See `latentlang doctor --help`",
        ),
        ("compare pocket ad1", "unexpected 'pocket ad1'; did you mean `--model pocket --adapter ad1`? See"),
        ("trace 'Le chat' fr,ja", "did you mean `--prompt 'Le chat' --lang fr,ja`? See"),
        ("mass udhr --items 2", "unexpected 'udhr'; did you mean `--text udhr`? See"),
        ("mass nothing", "--text is needed: Folder of parallel text"),
        ("instructions check", "DATA is needed: Instructions: files or folders"),
        (
            "align",
            "STORE is needed: Folder of activations (`latentlang harvest`); see `latentlang align --help`",
        ),
        (
            "answer --prompts hello",
            "there is no file 'hello'; name a file or a folder with prompts, or give the text",
        ),
        ("help nothing", "No such command 'nothing'; see"),
        ("harvest --lang ja --out s --pools meen", "unknown pool 'meen'; did you mean 'mean'"),
        (
            "harvest --lang ja --out s --pools q",
            "unknown pool 'q'; known: last, mean, mean_no_bos, question\n",
        ),
        ("lens -m pocket", "No such option: -m; here it is --model; see"),
        ("langs", "Did you mean 'languages', 'plan', 'lens'? See `latentlang --help`"),
        ("lens --lang all", "'all' names no language; name them (en,ja), or a group: paper20"),
        ("steer --lang ja,de", "--lang takes one language, not 'ja,de'"),
        ("steer --lang xq9", "unknown language 'xq9'"),
        ("steer --lang ja --directions empty", "name a folder that a command or `save` wrote"),
        ("translate --data empty", "--from en --lang ja, or --directions en-ja"),
    ],
)
def test_it_is_named_with_what_to_do(
    typed: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "ad1").mkdir()
    (tmp_path / "ad1" / "adapter_config.json").write_text("{}", encoding="utf-8")
    (tmp_path / "a.txt").write_text("a\n", encoding="utf-8")
    assert main(shlex.split(typed)) == 2
    told = capsys.readouterr()
    assert said in told.err and told.err.count("\n") == 1 and not told.out


def test_names_from_elsewhere_lead_to_options_that_there_are() -> None:
    commands = _command().commands.values()
    flags = {flag for command in commands for option in command.params for flag in option.opts}
    assert {f"--{name}" for names in _CALLED_ELSEWHERE.values() for name in names} <= flags


def test_the_next_command_can_be_copied() -> None:
    screen = io.StringIO()
    print_next(Console(file=screen, width=20), "pca", Path("my store"), "--lang", "en,ja")
    assert screen.getvalue() == "next: latentlang pca 'my store' --lang en,ja\n"
