"""Steps: what is done stays done, what was asked otherwise is done again, and nothing foreign is touched."""

import json

import pytest

from latentlang.errors import InputError
from latentlang.steps import STEP_FILE, Steps, finished_steps, step_key


class Work:
    """A step that counts how often it is computed."""

    def __init__(self, *, fails=False):
        self.computed = 0
        self.fails = fails

    def compute(self, folder):
        self.computed += 1
        (folder / "begun").write_text("x")
        if self.fails:
            raise KeyboardInterrupt
        (folder / "value").write_text(str(self.computed))
        return str(self.computed)

    def load(self, folder):
        try:
            return (folder / "value").read_text()
        except OSError as error:
            raise InputError("no value") from error

    def run(self, steps, options, **how):
        return steps.run("part/base", options, self.compute, self.load, **how)


def test_a_step_is_computed_once(tmp_path):
    work = Work()
    assert work.run(Steps(tmp_path), {"a": 1, "b": 2}) == "1"
    steps = Steps(tmp_path)
    assert work.run(steps, {"b": 2, "a": 1}) == "1"
    assert work.computed == 1 and steps.kept == ["part/base"]
    note = json.loads((tmp_path / "part/base" / STEP_FILE).read_text())
    assert note["options"] == {"a": 1, "b": 2} and note["whole"] is True


def test_a_changed_option_computes_it_again_in_an_empty_folder(tmp_path):
    work = Work()
    work.run(Steps(tmp_path), {"a": 1})
    (tmp_path / "part/base" / "old").write_text("x")
    assert work.run(Steps(tmp_path), {"a": 2}) == "2"
    assert not (tmp_path / "part/base" / "old").exists()


def test_a_stopped_step_begins_anew_unless_it_can_go_on(tmp_path):
    stopped = Work(fails=True)
    with pytest.raises(KeyboardInterrupt):
        stopped.run(Steps(tmp_path), {"a": 1})
    assert finished_steps(tmp_path) == []
    work = Work()
    (tmp_path / "part/base" / "half").write_text("x")
    work.run(Steps(tmp_path), {"a": 1}, resumes=True)
    assert (tmp_path / "part/base" / "half").exists() and finished_steps(tmp_path) == ["part/base"]
    with pytest.raises(KeyboardInterrupt):
        stopped.run(Steps(tmp_path), {"a": 2})
    Work().run(Steps(tmp_path), {"a": 2})
    assert not (tmp_path / "part/base" / "half").exists()


def test_a_damaged_outcome_is_computed_again(tmp_path):
    work = Work()
    work.run(Steps(tmp_path), {"a": 1})
    (tmp_path / "part/base" / "value").unlink()
    assert work.run(Steps(tmp_path), {"a": 1}) == "2"
    (tmp_path / "part/base" / STEP_FILE).write_text("not json")
    assert work.run(Steps(tmp_path), {"a": 1}) == "3"


def test_what_others_made_is_not_touched(tmp_path):
    (tmp_path / "part/base").mkdir(parents=True)
    (tmp_path / "part/base" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="was not made by this command"):
        Work().run(Steps(tmp_path), {"a": 1})
    assert (tmp_path / "part/base" / "thesis.txt").read_text() == "years of work"


def test_keys_tell_options_apart():
    assert step_key({"a": [1, 2]}) == step_key({"a": [1, 2]})
    assert len({step_key(options) for options in ({"a": 1}, {"a": 2}, {"b": 1}, {}, {"a": "1"})}) == 5
