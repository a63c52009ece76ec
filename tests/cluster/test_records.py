"""What is sent to workers is plain, and there it is what it was."""

import json
from pathlib import Path

import pytest
import torch

import latentlang as ll
from latentlang.cluster.records import received, sent
from latentlang.errors import InputError
from latentlang.tasks import Candidate, Prompt, WordTask


def _there(value):
    return received(json.loads(json.dumps(sent(value))))


def test_plain_values_prompts_and_tasks_arrive():
    for value in (None, True, 3, 0.5, "ja", ["ja", ["de"]], {"ja": ["one"], "de": []}, {"task": 1}):
        assert _there(value) == value
    assert _there(("ja", Path("folder"))) == ["ja", "folder"]
    assert _there(torch.bfloat16) == "bfloat16"
    assert _there(ll.language("Japanese")) == "ja"
    prompt = Prompt("1", "ja", "good", "few", "question", "cue", candidates=(Candidate("1", "x", "y"),))
    assert _there([prompt]) == [prompt]
    task = ll.task("translation", source=("de", "fr"))
    again = _there(task)
    assert (again.name, again.settings) == (task.name, task.settings)
    assert again.prompts("ja", items=3) == task.prompts("ja", items=3)


def test_what_cannot_be_made_again_is_refused():
    with pytest.raises(
        InputError, match="the translation task cannot be made again by the workers; make it with"
    ):
        sent(WordTask(source="fr"))
    with pytest.raises(InputError, match="prompts= is Tensor, which cannot be sent to workers"):
        sent(torch.zeros(2), what="prompts=")
    with pytest.raises(InputError, match="an option of the translation task is Concept"):
        from latentlang.tasks.words import embedded_concepts

        sent(ll.task("translation", concepts=list(embedded_concepts())[:3]))
