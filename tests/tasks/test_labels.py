import subprocess
import sys
from itertools import combinations
from pathlib import Path

import pytest

import latentlang
from latentlang.language_names import GROUPS
from latentlang.tasks.labels import (
    KINDS,
    NLI,
    PARAPHRASE,
    SENTIMENT,
    gold_words,
    languages_of,
    published_words,
    scorer_words,
    wording,
    words,
)

PAPER20 = GROUPS["paper20"]


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_every_language_of_the_paper_has_a_wording_and_a_word_for_every_label(kind):
    assert set(languages_of(kind)) == set(PAPER20)
    for code in PAPER20:
        own = words(kind, code)
        assert list(own) == list(kind.labels)
        assert all(word and word == word.strip() for word in own.values())
        for protocol in ("corrected", "as-published"):
            form = wording(kind, code, protocol=protocol)
            assert len(form.before) == len(kind.keys)
            assert form.cue.startswith("\n")
            assert form.cue.endswith(': "')


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_the_words_of_two_labels_part_early(kind):
    # Answers are told apart by their first tokens; only the published Thai sentiment words begin alike (เชิง).
    for code in PAPER20:
        for one, other in combinations(words(kind, code).values(), 2):
            shared = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)
            assert shared is not None, (code, one, other)
            assert shared == 0 or (kind is SENTIMENT and (code, shared) in {("th", 4)}), (code, one, other)


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_no_string_names_two_labels(kind):
    for code in PAPER20:
        known = gold_words(kind, code)
        for source in (words(kind, code), scorer_words(kind, code), words(kind, "en")):
            assert all(known[word.casefold()] == label for label, word in source.items()), code


def test_the_known_faults_of_the_published_labels_are_known():
    assert gold_words(NLI, "ja")["中性"] == gold_words(NLI, "ja")["中立"] == "neutral"
    assert scorer_words(NLI, "ja")["neutral"] == "中立"
    assert gold_words(NLI, "bn")["ধারণ করে"] == gold_words(NLI, "bn")["এনটেইলমেন্ট"] == "entailment"
    assert scorer_words(NLI, "bn")["entailment"] == "এনটেইলমেন্ট"


def test_faulty_cues_are_published_ones_only():
    faults = {"ru": "Приговор", "es": "Sentencia"}
    for code, fault in faults.items():
        assert wording(PARAPHRASE, code, protocol="as-published").before[0] == f"{fault} 1: "
        assert fault not in "".join(wording(PARAPHRASE, code).before)
    assert wording(PARAPHRASE, "ru").before == ("Предложение 1: ", "\nПредложение 2: ")
    assert "Répondre" in wording(NLI, "fr", protocol="as-published").cue
    assert wording(NLI, "fr").cue == '\nRéponse: "'


def test_paraphrase_answers_were_published_in_english_only():
    assert published_words(PARAPHRASE, "de") is None
    assert scorer_words(PARAPHRASE, "de") == {"same": "same", "different": "different"}


def test_agnostic_answers_are_told_apart_by_their_first_letter():
    for kind in KINDS.values():
        assert set(kind.agnostic) == set(kind.labels)
        assert len({word[0] for word in kind.agnostic.values()}) == len(kind.labels)


def test_tasks_import_neither_torch_nor_numpy_nor_pandas():
    code = (
        "import sys; from latentlang.tasks import task; task('nli').prompts('ja'); task('paraphrase').prompts('bn');"
        "sys.exit(', '.join({'torch', 'numpy', 'pandas', 'transformers'} & set(sys.modules)) or None)"
    )
    root = Path(latentlang.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=root)
    assert done.returncode == 0, done.stderr
