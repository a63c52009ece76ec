"""Documents of hub sets, read as a stream: which edition, how many, and what is refused in one line."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

from latentlang.errors import InputError
from latentlang.instructions import hub_dialogues, hub_documents
from latentlang.instructions.hub_documents import documents_of

pytest.importorskip("datasets")


def editions(folder: Path, *names: str, pages: int = 5) -> str:
    """A folder that the datasets library reads, with a configuration for each edition, as Wikipedia's set has them."""
    lines = ["---", "configs:"]
    for name in names:
        path = folder / name / "train.jsonl"
        path.parent.mkdir(parents=True)
        rows = [
            f'{{"id": "{n}", "url": "", "title": "{name} {n}", "text": "Text of {name}, {n}."}}'
            for n in range(pages)
        ]
        path.write_text(
            "\n".join([*rows, '{"id": "9", "url": "", "title": "empty", "text": " "}']), encoding="utf-8"
        )
        lines += [f"- config_name: {name}", f"  data_files: {name}/train.jsonl"]
    (folder / "README.md").write_text("\n".join([*lines, "---", ""]), encoding="utf-8")
    return f"hub:{folder}"


@pytest.fixture
def wiki(tmp_path: Path) -> str:
    names = (
        "20220301.fr",
        "20231101.fr",
        "20231101.zh",
        "20231101.zh-classical",
        "20231101.zh-yue",
        "20231101.ru",
    )
    return editions(tmp_path / "wiki", *names)


def test_the_newest_edition_of_each_language_is_read(wiki: str) -> None:
    read = documents_of(wiki, languages="fr,zh", documents=10)
    assert [one.language for one in read] == ["fr"] * 5 + ["zh"] * 5
    assert {one.text.partition(",")[0] for one in read} == {"Text of 20231101.fr", "Text of 20231101.zh"}
    # pages are counted by each edition for itself
    assert len({one.id for one in read}) == 10 and "fr/3" in {one.id for one in read}
    assert {one.title for one in read} >= {"20231101.fr 0"}
    assert {one.language for one in documents_of(wiki, language="ru", documents=2)} == {"ru"}
    named = documents_of(f"{wiki}:20220301.fr", documents=2)
    assert {one.text.partition(",")[0] for one in named} == {"Text of 20220301.fr"}


def test_as_many_as_are_asked_for_are_fetched_and_drawn_by_the_seed(
    wiki: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = []
    real = hub_documents.stream_set

    def watched(*args, **options):
        for row in real(*args, **options):
            fetched.append(row["id"])
            yield row

    monkeypatch.setattr(hub_documents, "stream_set", watched)
    two = documents_of(wiki, languages="fr", documents=2, seed=1)
    assert len(two) == 2 and 2 <= len(fetched) <= 3
    assert two == documents_of(wiki, languages="fr", documents=2, seed=1)
    drawn = {
        tuple(one.id for one in documents_of(wiki, languages="fr", documents=2, seed=n)) for n in range(6)
    }
    assert len(drawn) > 1


def test_sets_and_files_are_read_together(wiki: str, tmp_path: Path) -> None:
    (tmp_path / "ru.txt").write_text("Текст.", encoding="utf-8")
    read = documents_of([wiki, str(tmp_path / "ru.txt")], languages="fr,ru", documents=1)
    assert [one.language for one in read] == ["ru", "fr", "ru"]
    with pytest.raises(InputError, match=r"no document is in fr; they are in ru"):
        documents_of(str(tmp_path / "ru.txt"), languages="fr")


def refused(wiki: str, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        documents_of(wiki, **options)  # type: ignore[arg-type]
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_what_is_refused_says_what_to_do(wiki: str, tmp_path: Path) -> None:
    assert "say how many: documents=1000 (--documents 1000)" in refused(wiki, languages="fr")
    assert "say which to read: languages= (--lang fr,es)" in refused(wiki, documents=1)
    assert "has nothing in German; it has 4" in refused(wiki, languages="de,fr", documents=1)
    assert "is not understood" in refused("hub:wikipedia:a:b:c", documents=1)
    empty = editions(tmp_path / "empty", "20231101.fr", pages=0)
    assert "has no documents with a text" in refused(empty, languages="fr", documents=1)
    other = tmp_path / "other"
    (other / "fr").mkdir(parents=True)
    (other / "fr" / "train.jsonl").write_text('{"body": "x"}\n')
    (other / "README.md").write_text("---\nconfigs:\n- config_name: fr\n  data_files: fr/train.jsonl\n---\n")
    assert "(fr, train), row 1: 'text' and 'title' must be texts" in refused(
        f"hub:{other}", languages="fr", documents=1
    )


def test_a_hub_that_is_out_of_reach_is_one_line_also_in_the_middle(
    wiki: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    # where the hub's library logs each try
    logger, logs = logging.getLogger("huggingface_hub.utils._http"), []

    def fails(*_args: object, **_options: object) -> object:
        logs.append(logger.isEnabledFor(logging.WARNING))
        raise ConnectionError("no route to host")

    monkeypatch.setattr(datasets, "get_dataset_config_names", fails)
    assert "cannot be read (no route to host); it must be in the local cache" in refused(
        "hub:wikimedia/wikipedia", languages="fr", documents=1
    )
    with pytest.raises(
        InputError, match=r"no route.*within reach; or name files or folders of instructions$"
    ):
        hub_dialogues("hub:MBZUAI/Bactrian-X")
    assert logs == [False, False] and logger.isEnabledFor(logging.WARNING)
    monkeypatch.undo()

    class Broken:
        def shuffle(self, **_options: object):
            return self

        def __iter__(self):
            yield {"id": "1", "text": "Texte.", "title": ""}
            raise ConnectionError("connection reset")

    monkeypatch.setattr(datasets, "load_dataset", lambda *_args, **_options: Broken())
    assert len(documents_of(wiki, languages="fr", documents=1)) == 1
    assert "(connection reset)" in refused(wiki, languages="fr", documents=2)


def test_without_the_datasets_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert "sets on the hub need datasets; `pip install" in refused(
        "hub:wikimedia/wikipedia", languages="fr", documents=1
    )


def test_the_command_reads_a_set(wiki: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from latentlang.cli import app

    monkeypatch.chdir(tmp_path)
    (tmp_path / "replies.jsonl").write_text("")
    command = [
        "instructions",
        "build",
        "grounded",
        "--from",
        wiki,
        "--lang",
        "fr",
        "--provider",
        "table:t.jsonl",
    ]
    (tmp_path / "t.jsonl").write_text('{"asked": "a", "answer": "b"}\n')
    span = ["--document-tokens", "1-1000", "--segment-tokens", "1-1000", "--no-check-language"]
    outcome = CliRunner().invoke(app, [*command, *span, "--out", "x", "--dry-run", "--documents", "2"])
    assert outcome.exit_code == 0, outcome.output
    assert "calls of table" in outcome.output
