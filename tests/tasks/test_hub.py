"""Sets on the hub as task items: small sets of the real schemas, saved by datasets, read without a network."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import pytest

import latentlang as ll
from latentlang.errors import InputError
from latentlang.installing import install_command
from latentlang.language_names import language
from latentlang.tasks import task
from latentlang.tasks.hub import choice_datasets, is_hub
from latentlang.tasks.labels import KINDS, languages_of
from latentlang.training import recipe
from latentlang.training.data.hub_pairs import hub_pairs

XNLI = datasets.Features(
    {
        "premise": datasets.Value("string"),
        "hypothesis": datasets.Value("string"),
        "label": datasets.ClassLabel(names=["entailment", "neutral", "contradiction"]),
    }
)
PAWSX = datasets.Features(
    {
        "id": datasets.Value("int32"),
        "sentence1": datasets.Value("string"),
        "sentence2": datasets.Value("string"),
        "label": datasets.ClassLabel(names=["0", "1"]),
    }
)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
    datasets.disable_progress_bars()


def _save(
    folder: Path, code: str, part: str, columns: Mapping[str, Sequence[Any]], features: Any = None
) -> None:
    (folder / code).mkdir(parents=True, exist_ok=True)
    made = datasets.Dataset.from_dict(dict(columns), features=features)
    made.to_parquet(folder / code / f"{part}-00000-of-00001.parquet")


def _xnli(folder: Path, codes: Sequence[str], *, test: int = 24, validation: int = 18) -> Path:
    for code in codes:
        for part, count in (("test", test), ("validation", validation), ("train", 3)):
            rows = {
                "premise": [f"{code} {part} premise {n}" for n in range(count)],
                "hypothesis": [f"{code} {part} hypothesis {n}" for n in range(count)],
                "label": [n % 3 for n in range(count)],
            }
            _save(folder, code, part, rows, XNLI)
    (folder / "README.md").write_text(_card(codes), encoding="utf-8")
    return folder


def _card(codes: Sequence[str]) -> str:
    """A data set's card as on the hub: a configuration per language, none of them the default, sizes of all parts."""
    lines = ["---", "dataset_info:"]
    for code in codes:
        lines += [f"- config_name: {code}", "  features:"]
        lines += [
            line for name in ("premise", "hypothesis") for line in (f"  - name: {name}", "    dtype: string")
        ]
        lines += ["  - name: label", "    dtype:", "      class_label:", "        names:"]
        lines += [f"          '{n}': {name}" for n, name in enumerate(XNLI["label"].names)]
        lines += ["  splits:"]
        for part in ("train", "test", "validation"):
            lines += [f"  - name: {part}", "    num_bytes: 1", "    num_examples: 392702"]
    lines += ["configs:"]
    for code in codes:
        lines += [f"- config_name: {code}", "  data_files:"]
        for part in ("train", "test", "validation"):
            lines += [f"  - split: {part}", f"    path: {code}/{part}-*"]
    return "\n".join([*lines, "---", ""])


def _pawsx(folder: Path, codes: Sequence[str], **changes: Any) -> Path:
    for code in codes:
        for part in ("test", "validation"):
            rows: dict[str, list[Any]] = {
                "id": list(range(1, 21)),
                "sentence1": [f"{code} {part} one {n}" for n in range(1, 21)],
                "sentence2": [f"{code} {part} two {n}" for n in range(1, 21)],
                "label": [n % 2 for n in range(1, 21)],
            }
            for (where, which, column, n), value in changes.get("cells", {}).items():
                if (where, which) == (code, part):
                    rows[column][n - 1] = value
            order = range(20) if code != changes.get("reversed") else range(19, -1, -1)
            _save(folder, code, part, {name: [own[n] for n in order] for name, own in rows.items()}, PAWSX)
    return folder


def test_xnli_is_the_nli_task(tmp_path):
    built = ll.task("nli", data=f"hub:{_xnli(tmp_path, ['de', 'en', 'zh'])}")
    assert built.languages == ("en", "de", "zh") and built.default_shots == 6
    prompts = built.prompts("zh", shots=1)
    assert len(prompts) == 24 and Counter(p.label for p in prompts) == dict.fromkeys(KINDS["nli"].labels, 8)
    prompt = next(p for p in prompts if p.item == "0007")
    assert prompt.label == "neutral"
    assert (
        prompt.question == "前提: zh test premise 7\n假设: zh test hypothesis 7" and prompt.cue == '\n答案: "'
    )
    assert prompt.few_shot.startswith("前提: zh validation premise ") and prompt.few_shot.endswith(
        '\n答案: "蕴含"\n'
    )
    assert built.settings["data"] == f"hub:{tmp_path}" and not built.notes


def test_examples_come_from_validation_with_labels_in_turn_and_the_same_in_every_language(tmp_path):
    built = ll.task("nli", data=f"hub:{_xnli(tmp_path, ['en', 'fr'])}", answers="en")
    for seed in range(3):
        blocks = {code: built.prompts(code, seed=seed)[0].few_shot for code in ("en", "fr")}
        assert " test " not in blocks["en"] + blocks["fr"]
        numbers = {
            code: [line.rsplit(" ", 1)[1] for line in text.splitlines() if " premise " in line]
            for code, text in blocks.items()
        }
        assert numbers["en"] == numbers["fr"] and len(set(numbers["en"])) == 6
        assert [int(n) % 3 for n in numbers["en"]] == [0, 1, 2, 0, 1, 2]
        order = [[(p.item, p.label) for p in built.prompts(code, seed=seed)] for code in ("en", "fr")]
        assert order[0] == order[1]
    assert built.prompts("en", seed=0)[0].few_shot != built.prompts("en", seed=1)[0].few_shot
    assert [p.label for p in built.prompts("en", items=6)] == [*KINDS["nli"].labels] * 2
    assert built.prompts("en", shots=0)[0].few_shot == ""
    with pytest.raises(InputError, match="has 18 few-shot examples with labels in turn, not 19"):
        built.prompts("en", shots=19)


def test_pawsx_is_the_paraphrase_task(tmp_path):
    built = task("paraphrase", data=f"hub:{_pawsx(tmp_path, ['en', 'ja'], reversed='ja')}")
    labels = {p.item: p.label for p in built.prompts("ja")}
    assert labels == {f"{n:04}": "same" if n % 2 else "different" for n in range(1, 21)}
    # Told by the set's own ids, whatever the order of the files.
    assert [(p.item, p.label) for p in built.prompts("en")] == [
        (p.item, p.label) for p in built.prompts("ja")
    ]
    prompt = next(p for p in built.prompts("ja") if p.item == "0004")
    assert "ja test one 4" in prompt.question and "ja test two 4" in prompt.question
    assert built.prompts("ja")[0].few_shot.count("ja validation one") == 4


def test_untranslated_and_disagreeing_items_are_left_out_in_all_languages(tmp_path):
    cells = {
        ("ja", "test", "sentence2", 3): "NS",
        ("ja", "test", "sentence1", 4): " ",
        ("de", "test", "sentence1", 5): None,
        ("de", "test", "label", 6): 1,
        ("de", "validation", "sentence1", 1): "",
    }
    built = task("paraphrase", data=f"hub:{_pawsx(tmp_path, ['en', 'de', 'ja'], cells=cells)}")
    assert not built.notes
    kept = {f"{n:04}" for n in range(1, 21)} - {"0003", "0004", "0005", "0006"}
    orders = [[p.item for p in built.prompts(code)] for code in built.languages]
    assert set(orders[0]) == kept and orders[0] == orders[1] == orders[2]
    assert "4 items are untranslated or labelled otherwise" in built.notes["ja"]
    assert all(
        "one 1\n" not in built.prompts(code, seed=s)[0].few_shot for code in ("en", "de") for s in range(9)
    )


def test_answer_modes_and_protocols_are_those_of_the_task(tmp_path):
    data = f"hub:{_xnli(tmp_path, ['en', 'ru'])}"
    assert task("nli", data=data, answers="agnostic").answers("ru")["neutral"] == ("goat",)
    published = task("nli", data=data, answers="en", protocol="as-published")
    assert published.prompts("ru")[0].cue == '\nОтвечать: "'
    assert published.scored_labels("ru")["0001"] == "neutral"
    assert published.gold_strings("ru")["0001"]
    for option in ({"accept": {"neutral": ["1"]}}, {"blocks": "b.json"}):
        with pytest.raises(InputError, match="is for items from files: give their folder as data"):
            task("nli", data=data, **option)


def test_only_the_parts_that_are_needed_are_read(tmp_path, monkeypatch):
    asked = []
    real = datasets.load_dataset

    def load(place, **options):
        asked.append(options["data_files"]["part"])
        return real(place, **options)

    monkeypatch.setattr(datasets, "load_dataset", load)
    built = task("nli", data=f"hub:{_xnli(tmp_path, ['en', 'sw'])}")
    assert not asked
    built.prompts("sw", shots=0)
    built.prompts("sw")
    built.prompts("en")
    assert sorted(asked) == [
        "en/test-*.parquet",
        "en/validation-*.parquet",
        "sw/test-*.parquet",
        "sw/validation-*.parquet",
    ]


def test_the_hub_is_asked_for_the_set_and_its_revision(monkeypatch):
    asked = []

    def load(place, **options):
        asked.append((place, options))
        raise ConnectionError("no network\nhere")

    monkeypatch.setattr(datasets, "load_dataset", load)
    places = {"xnli": "facebook/xnli", "xnli@abc": "facebook/xnli", "mine/xnli@v1": "mine/xnli"}
    for name, place in places.items():
        with pytest.raises(
            InputError, match=rf"of the set '{place}' cannot be read \(no network here\)"
        ) as caught:
            task("nli", data=Path(f"hub:{name}")).prompts("en")
        assert "give a folder with data=" in str(caught.value)
    assert [(place, how["revision"]) for place, how in asked] == [
        ("facebook/xnli", None), ("facebook/xnli", "abc"), ("mine/xnli", "v1"),
    ]  # fmt: skip


def test_a_short_name_means_the_set_whatever_folders_lie_here(tmp_path, monkeypatch):
    _xnli(tmp_path / "xnli", ["en"])
    monkeypatch.chdir(tmp_path)
    assert task("nli", data="hub:xnli").settings["data"] == "hub:facebook/xnli"
    assert task("nli", data="hub:xnli@abc").settings["data"] == "hub:facebook/xnli@abc"
    for data in ("hub:./xnli", Path("hub:./xnli")):
        built = task("nli", data=data)
        assert (
            built.settings["data"] == f"hub:{(tmp_path / 'xnli').resolve()}"
            and len(built.prompts("en")) == 24
        )


def test_what_is_no_set_of_the_task_is_named(tmp_path):
    assert is_hub("hub:xnli") and not is_hub("xnli") and not is_hub(None) and is_hub(Path("hub:a/b"))
    for name, data, message in [
        ("sentiment", "hub:xnli", "no hub set for the sentiment task; xnli, paws-x are for nli, paraphrase"),
        ("paraphrase", "hub:xnli", "hub:xnli is for the nli task; paraphrase has hub:paws-x"),
        ("nli", "hub:xnil", "unknown hub set 'xnil'; did you mean 'xnli'.*or give a hub id"),
        ("nli", "hub:", "unknown hub set ''"),
        ("nli", f"hub:{tmp_path}", "has no folders named by language"),
    ]:
        with pytest.raises(InputError, match=message):
            task(name, data=data)


def test_a_set_of_another_shape_is_named(tmp_path):
    columns = {"premise": ["a"], "hypothesis": ["b"]}
    for part in ("test", "validation"):
        _save(tmp_path / "one", "en", part, columns)
        _save(tmp_path / "two", "en", part, columns | {"label": [3]})
        _save(tmp_path / "three", "en", part, columns | {"label": [0]})
    _save(tmp_path / "three", "de", "test", {"premise": ["c"], "hypothesis": ["d"], "label": [1]})
    for name, message in [
        ("one", "no column 'label', only premise, hypothesis"),
        ("two", r"row 0: the label must be 0 to 2, not 3"),
        ("three", "no item of its test part is there in en, de"),
    ]:
        with pytest.raises(InputError, match=message):
            task("nli", data=f"hub:{tmp_path / name}").prompts("en")
    (tmp_path / "four" / "en").mkdir(parents=True)
    with pytest.raises(InputError, match=r"en/test-\*\.parquet of the set .* cannot be read"):
        task("nli", data=f"hub:{tmp_path / 'four'}").prompts("en")


def test_without_datasets_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=re.escape(f"need datasets; `{install_command('data')}`")):
        task("nli", data="hub:xnli").prompts("en")


def test_the_sets_name_labels_and_languages_that_the_tasks_have():
    read = dict(choice_datasets())
    assert {name: dataset.name for name, dataset in read.items()} == {"nli": "xnli", "paraphrase": "paws-x"}
    for name, dataset in read.items():
        kind = KINDS[name]
        assert sorted(dataset.labels) == sorted(kind.labels)
        assert set(dataset.languages) <= set(languages_of(kind))


def test_flores_in_its_wide_layout_is_read_as_translations_to_train_on(tmp_path):
    """One column per language, ``sentence_zho_Hans``: what `HubSet.columns` is for."""
    columns = {code: f"sentence_{language(code).flores}" for code in ("zh", "ja", "en")}
    made = {"id": [1, 2], **{column: [f"{code} 1", f"{code} 2"] for code, column in columns.items()}}
    datasets.Dataset.from_dict(made).to_parquet(tmp_path / "dev-00000-of-00001.parquet")
    hub = recipe("zh+ja-en", hub={"id": str(tmp_path), "split": "validation", "columns": columns}).data.hub[0]
    pairs = hub_pairs(hub, sources=["zh", "ja"], target="en")
    assert {(p.source, p.question, p.translation) for p in pairs} == {
        (code, f"{code} {n}", f"en {n}") for code in ("zh", "ja") for n in (1, 2)
    }
