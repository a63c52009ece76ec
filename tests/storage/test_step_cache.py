"""Steps: what is done stays done, what was asked otherwise is done again, and nothing foreign is touched."""

import errno
import json
import os
from pathlib import Path

import pytest

from latentlang.errors import InputError
from latentlang.storage.step_cache import STEP_FILE, Steps, finished_steps, is_whole, step_key


class Work:
    """A step that counts how often it is computed."""

    def __init__(self, *, fails=False, extra=None):
        self.computed = 0
        self.fails = fails
        self.extra = extra

    def compute(self, folder):
        self.computed += 1
        (folder / "begun").write_text("x")
        if self.extra:
            (folder / self.extra).write_text("x")
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


def test_a_changed_option_computes_it_again_and_what_others_put_there_stays(tmp_path):
    Work(extra="old").run(Steps(tmp_path), {"a": 1})
    folder = tmp_path / "part/base"
    (folder / "mine").write_text("x")
    (folder / "sub").mkdir()
    (folder / "sub" / "mine").write_text("x")
    assert Work().run(Steps(tmp_path), {"a": 2}) == "1"
    assert not (folder / "old").exists()
    assert (folder / "mine").exists() and (folder / "sub" / "mine").exists()


@pytest.mark.parametrize("resumes", [(), ("begun", "value", "old")])
def test_a_step_leaves_no_other_steps_files(tmp_path, resumes):
    Work(extra="old").run(Steps(tmp_path), {"a": 1}, resumes=resumes)
    Work().run(Steps(tmp_path), {"a": 2}, resumes=resumes)
    assert {path.name for path in (tmp_path / "part/base").iterdir()} == {"begun", "value", STEP_FILE}


def test_a_changed_option_that_fails_keeps_the_older_outcome(tmp_path):
    work = Work()
    work.run(Steps(tmp_path), {"a": 1})
    with pytest.raises(KeyboardInterrupt):
        Work(fails=True).run(Steps(tmp_path), {"a": 2})
    assert work.run(Steps(tmp_path), {"a": 1}) == "1" and work.computed == 1


def test_a_stopped_step_begins_anew_unless_it_can_go_on(tmp_path):
    folder = tmp_path / "part/base"
    for resumes, there in (((), []), (("begun", "value", "half"), ["half"])):
        with pytest.raises(KeyboardInterrupt):
            Work(fails=True, extra="half").run(Steps(tmp_path), {"a": 1}, resumes=resumes)
        assert finished_steps(tmp_path) == []
        assert [path.name for path in folder.glob("half")] == there
        work = Work()
        work.run(Steps(tmp_path), {"a": 1}, resumes=resumes)
        # Only what goes on by itself sees what was left; in between another question was asked and stopped.
        assert [path.name for path in folder.glob("half")] == there and finished_steps(tmp_path) == [
            "part/base"
        ]
        with pytest.raises(KeyboardInterrupt):
            Work(fails=True, extra="half").run(Steps(tmp_path), {"a": 2}, resumes=resumes)
        Work().run(Steps(tmp_path), {"a": 3}, resumes=resumes)
        assert not list(folder.glob("half"))
        Steps(tmp_path).drop("part/base")
        assert not folder.exists()


def test_what_a_killed_step_left_is_no_part_of_the_same_step_done_again(tmp_path):
    folder = tmp_path / "part/base"
    with pytest.raises(KeyboardInterrupt):
        Work(fails=True).run(Steps(tmp_path), {"a": 1})
    (folder / ".unfinished").mkdir()  # a process that is killed removes nothing
    (folder / ".unfinished" / "half").write_text("x")
    Work().run(Steps(tmp_path), {"a": 1})
    assert {path.name for path in folder.iterdir()} == {"begun", "value", STEP_FILE}


def test_a_step_that_goes_on_removes_what_it_made_and_not_what_is_named_alike(tmp_path):
    resumes = ("begun", "value", "part-*")
    Work(extra="part-1").run(Steps(tmp_path), {"a": 1}, resumes=resumes)
    folder = tmp_path / "part/base"
    (folder / "part-mine").write_text("x")
    Work(extra="part-2").run(Steps(tmp_path), {"a": 2}, resumes=resumes)
    assert {path.name for path in folder.glob("part-*")} == {"part-2", "part-mine"}


def test_a_step_killed_while_its_files_get_their_places_begins_anew(tmp_path, monkeypatch):
    replace = Path.replace

    def killed(self, target):
        if Path(target).name == "value":
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        Work(extra="half").run(Steps(tmp_path), {"a": 1})
    monkeypatch.undo()
    assert finished_steps(tmp_path) == []
    Work().run(Steps(tmp_path), {"a": 2})
    assert {path.name for path in (tmp_path / "part/base").iterdir()} == {"begun", "value", STEP_FILE}


def test_a_step_counts_as_done_only_with_all_its_files_as_they_were(tmp_path):
    work = Work()
    work.run(Steps(tmp_path), {"a": 1})
    value = tmp_path / "part/base/value"
    assert is_whole(tmp_path / "part/base", {"a": 1}) and not is_whole(tmp_path / "part/base", {"a": 2})
    for content in (b"", b"9", None):
        value.unlink() if content is None else value.write_bytes(content)
        assert not is_whole(tmp_path / "part/base", {"a": 1})
        work.run(Steps(tmp_path), {"a": 1})
        assert is_whole(tmp_path / "part/base", {"a": 1})
    assert work.computed == 4


def test_what_killed_writes_left_is_removed_and_keeps_nothing_from_being_run(tmp_path):
    folder = tmp_path / "part/base"
    folder.mkdir(parents=True)
    for options in ({"a": 1}, {"a": 2}):
        (folder / ".latentlang-0123456789abcdef.partial").touch()
        Work().run(Steps(tmp_path), options)
        assert {path.name for path in folder.iterdir()} == {"begun", "value", STEP_FILE}


def test_what_cannot_be_read_back_is_not_done(tmp_path):
    work = Work()

    def unreadable(folder):
        raise InputError("the table is empty")

    with pytest.raises(InputError, match="the table is empty"):
        Steps(tmp_path).run("part/base", {"a": 1}, work.compute, unreadable)
    assert finished_steps(tmp_path) == [] and not list(tmp_path.rglob("value"))


def test_a_full_disk_is_told_and_leaves_no_half_of_a_step(tmp_path):
    def full(folder):
        (folder / "value").write_bytes(b"")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(InputError, match=r"no space left for .*part/base"):
        Steps(tmp_path).run("part/base", {"a": 1}, full, Work().load)
    assert [path.name for path in (tmp_path / "part/base").iterdir()] == [STEP_FILE]


def test_dropping_a_step_removes_its_files_alone(tmp_path):
    Work().run(Steps(tmp_path), {"a": 1})
    (tmp_path / "part" / "mine").write_text("x")
    Steps(tmp_path).drop("part/base")
    assert [path.name for path in (tmp_path / "part").iterdir()] == ["mine"]
    Steps(tmp_path).drop("part")  # no step
    assert (tmp_path / "part" / "mine").exists()


def test_a_record_that_names_files_elsewhere_removes_none(tmp_path):
    Work().run(Steps(tmp_path / "run"), {"a": 1})
    (tmp_path / "mine").write_text("x")
    note = tmp_path / "run/part/base" / STEP_FILE
    record = json.loads(note.read_text())
    record["files"] |= {"../../../mine": [1, None], str(tmp_path / "mine"): [1, None]}
    note.write_text(json.dumps(record))
    Steps(tmp_path / "run").drop("part/base")
    assert (tmp_path / "mine").exists()


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
    (tmp_path / "part/base" / STEP_FILE).write_text("{}")  # not of this kind
    with pytest.raises(InputError, match="was not made by this command"):
        Work().run(Steps(tmp_path), {"a": 1})
    assert (tmp_path / "part/base" / "thesis.txt").read_text() == "years of work"


def test_keys_tell_options_apart():
    assert step_key({"a": [1, 2]}) == step_key({"a": [1, 2]})
    assert len({step_key(options) for options in ({"a": 1}, {"a": 2}, {"b": 1}, {}, {"a": "1"})}) == 5
