"""What can be downloaded: sets of files, pinned by a commit where there is one and by a SHA-256 where bytes are known.

The files of a repository stand in ``NAME.csv`` beside this module: group, path in the repository, SHA-256, bytes. The
last two are empty for a file that nobody here has seen: it is pinned by the commit in its address alone, its hash is
recorded when it is first downloaded (``SHA256SUMS`` in the folder), and checked ever after.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from urllib.parse import urlsplit

from latentlang.arguments import split_names
from latentlang.errors import InputError, shown, unknown

# Where GitHub serves a file of a commit.
GITHUB = "https://raw.githubusercontent.com"
UNICODE = "https://www.unicode.org"
# The group of translated questions, and the folder of its files.
QUESTIONS, _QUESTION_FOLDER = "questions", "question_translation"
SCRIPTS = "scripts"
_LONGEST_ADDRESS = 2000
_SHA256 = re.compile(r"[0-9a-f]{64}")

# Of a host's name (RFC 1035).
_LONGEST_HOST = 253


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """One file.

    Attributes:
        group: what it is for: a task, or ``questions`` (translated questions to train on).
        path: its path in the repository.
        sha256: hash of its bytes; empty where not known.
        size: bytes; None where not known.
    """

    group: str
    path: str
    sha256: str
    size: int | None

    @property
    def is_script(self) -> bool:
        """Whether it is a program, of which only the text is ever read."""
        return self.path.endswith(".py")

    @property
    def is_archive(self) -> bool:
        """Whether it is a zip archive, which stays packed."""
        return self.path.endswith(".zip")

    @property
    def name(self) -> str:
        """Its name, without folders."""
        return self.path.rpartition("/")[2]

    @property
    def place(self) -> str:
        """Where it goes in the folder that it is downloaded into, e.g. ``nli/snli_ja600_test.json``."""
        folder = SCRIPTS if self.is_script else _QUESTION_FOLDER if self.group == QUESTIONS else self.group
        return f"{folder}/{self.name}"


@dataclass(frozen=True)
class BlockScript:
    """A script that holds few-shot prefixes.

    Attributes:
        script: its path in the repository.
        task: whose blocks these are.
        answers: their answer mode.
    """

    script: str
    task: str
    answers: str


@dataclass(frozen=True)
class PublishedSet:
    """Files that somebody published.

    Attributes:
        name: short name, as at the command line.
        about: what it is, in a line.
        repository: ``owner/name`` on GitHub, or a folder of another server.
        commit: which state of it; empty where files change in their place.
        licence: what may be done with it, in a line.
        files: its files.
        scripts: those that few-shot prefixes are read from.
        server: where it is served.
    """

    name: str
    about: str
    repository: str
    commit: str
    licence: str
    files: tuple[PublishedFile, ...]
    scripts: tuple[BlockScript, ...] = ()
    server: str = GITHUB

    @property
    def origin(self) -> str:
        """Where it comes from, in words: ``github.com/owner/name at 1234567``."""
        if self.server == GITHUB:
            return f"github.com/{self.repository} at {self.commit}"
        return f"{urlsplit(self.server).netloc.removeprefix('www.')}/{self.repository}"

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups of files, in order."""
        return tuple(dict.fromkeys(file.group for file in self.files))

    def address(self, file: PublishedFile, *, mirror: str | None = None) -> str:
        """Where a file is downloaded from; with a mirror, from there instead of the set's server.

        Raises:
            InputError: the mirror is no web address.
        """
        if mirror is not None and not _is_address(mirror):
            raise InputError(f"the mirror must be a web address (https://...), not {shown(mirror)}")
        parts = ((mirror or self.server).rstrip("/"), self.repository, self.commit, file.path)
        return "/".join(filter(None, parts))

    def chosen(self, only: str | Iterable[str] | None = None) -> tuple[PublishedFile, ...]:
        """The files of some groups; all by default.

        Args:
            only: groups (``"nli"``, ``"sentiment,questions"``, a sequence).

        Raises:
            InputError: there is no such group, or none is named.
        """
        if only is None:
            return self.files
        groups = set(split_names(only))
        if not groups:
            raise InputError(f"no group of files named; {self.name} has {', '.join(self.groups)}")
        for name in sorted(groups - set(self.groups)):
            raise unknown("group of files", name, self.groups)
        return tuple(file for file in self.files if file.group in groups)


@cache
def published_sets() -> tuple[PublishedSet, ...]:
    """All sets there are."""
    spontaneous = PublishedSet(
        "spontaneous",
        "test and training data of the reference paper (Zhang et al. 2024), 20 languages",
        "Shimao-Zhang/LLM-Multilingual-Learner",
        # As abbreviated as we know it; GitHub takes it so.
        "5605459",
        "none is stated: use it, do not pass it on",
        _files("spontaneous"),
        (
            BlockScript("emotion_eval_2shot_enout.py", "sentiment", "en"),
            BlockScript("emotion_eval_2shot.py", "sentiment", "same"),
            BlockScript("emotion_eval_2shot_irrelative.py", "sentiment", "agnostic"),
            BlockScript("snli_eval_6shot_enout.py", "nli", "en"),
            BlockScript("paws_eval_4shot_enout.py", "paraphrase", "en"),
        ),
    )
    udhr = PublishedSet(
        "udhr",
        "the Universal Declaration of Human Rights in more than 500 languages, from the project UDHR in Unicode",
        "udhr",
        "",
        "none is stated; © the Office of the UN High Commissioner for Human Rights: use it, do not pass it on",
        (PublishedFile("translations", "assemblies/udhr_xml.zip", "", None),),
        server=UNICODE,
    )
    return (spontaneous, udhr)


def published_set(name: str) -> PublishedSet:
    """Find a set by name.

    Raises:
        InputError: there is none of this name.
    """
    sets = {entry.name: entry for entry in published_sets()}
    if name not in sets:
        raise unknown("data set", name, sets, hint="`latentlang data list` lists them")
    return sets[name]


def _files(name: str) -> tuple[PublishedFile, ...]:
    text = files("latentlang.downloads").joinpath(f"{name}.csv").read_text(encoding="utf-8")
    return tuple(
        PublishedFile(row["group"], row["path"], row["sha256"], int(row["bytes"]) if row["bytes"] else None)
        for row in csv.DictReader(text.splitlines())
    )


def _is_address(text: str) -> bool:
    """Whether a text is a web address that files can be looked for below."""
    if not text.isprintable() or " " in text or len(text) > _LONGEST_ADDRESS:
        return False
    try:
        parts = urlsplit(text)
        named = 0 < len(parts.hostname or "") <= _LONGEST_HOST and (parts.port is None or parts.port > 0)
        text.encode("utf-8")
    except ValueError:  # a port that is no number, half an IPv6 address
        return False
    return named and parts.scheme in ("http", "https") and not parts.query and not parts.fragment


def is_sha256(text: str) -> bool:
    """Whether a text is a SHA-256 in hexadecimal digits."""
    return _SHA256.fullmatch(text) is not None
