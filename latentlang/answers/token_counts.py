"""Fertility: how many tokens a tokenizer takes for a text, by language, and for the same text in English.

The number of tokens relative to English on the same paragraphs is the "premium" of Petrov et al. 2023 (Language model
tokenizers introduce unfairness between languages); tokens per character say how finely a script is cut. A byte token
is one that writes no whole character: a model sees a script of byte tokens as bytes.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

import pandas as pd

from latentlang.answers.tokenbytes import TokenBytes
from latentlang.answers.vocabulary import token_bytes, tokenizer_name
from latentlang.arguments import check_count, checked_call
from latentlang.errors import InputError, unknown
from latentlang.language_names import Language
from latentlang.language_names import language as find_language
from latentlang.language_names import languages as find_languages
from latentlang.progress import ProgressOption, reporting
from latentlang.provenance import Provenance
from latentlang.results import Result, ResultSettings, repeated
from latentlang.stats.intervals import bootstrap_ratios, unless_few
from latentlang.storage.tables import Columns
from latentlang.tasks import ContinuationTask, Prompt
from latentlang.tasks.parallel_text import UDHR
from latentlang.text import counted, listed, percent

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from latentlang.figures.shaping import Look

_COLUMNS = ("language", "item", "characters", "bytes", "tokens", "byte_tokens")
# A script is named in words as one of bytes from this share of byte tokens on.
_MANY_BYTES = 0.1
# Paragraphs that are cut into tokens at once.
_AT_ONCE = 256
_MOST_NAMED = 8


class FertilitySettings(ResultSettings):
    """Settings of `fertility`."""

    #: Code of the language that the others are relative to.
    reference: str | None = None


@dataclass(frozen=True)
class FertilityRatio:
    """Tokens that a group of languages takes, over those that another group takes for the same paragraphs.

    Attributes:
        ratio: mean tokens of the one group over those of the other.
        low, high: bootstrap interval over paragraphs, the languages being given; nan of fewer than three paragraphs.
        paragraphs: that all these languages have.
        languages: how many there are in each group.
    """

    ratio: float
    low: float
    high: float
    paragraphs: int
    languages: tuple[int, int]


@dataclass(frozen=True)
class FertilityResult(Result[FertilitySettings]):
    """How many tokens each paragraph takes.

    Attributes:
        table: columns ``language, item, characters, bytes, tokens, byte_tokens``: Unicode code points, UTF-8 bytes,
            tokens without special ones, and those among them that write no whole character.
    """

    kind: ClassVar[str] = "fertility"
    columns: ClassVar[Columns] = {
        "language": "text", "item": "text", "characters": "whole", "bytes": "whole", "tokens": "whole",
        "byte_tokens": "whole",
    }  # fmt: skip
    settings_type: ClassVar[type[ResultSettings]] = FertilitySettings

    def fault(self) -> str | None:
        """A paragraph that is there twice, or is empty."""
        if len(self.table) and int(self.table[["characters", "tokens"]].min().min()) < 1:
            return "it has a paragraph without a character or a token"
        return repeated(self.table, ["language", "item"])

    @property
    def reference(self) -> str | None:
        """Code of the language that the others are relative to; None where there is none."""
        return self.settings.reference

    def summary(self, level: float = 0.95) -> pd.DataFrame:
        """Fertility of each language over all its paragraphs.

        Columns ``language, script, paragraphs, characters, tokens, tokens_per_character, relative, low, high,
        relative_median, shared, byte_share``. `relative` is the sum of tokens over that of the reference on the
        paragraphs that both have, `shared` of them, with a bootstrap interval over paragraphs; `relative_median` the
        median of the paragraphs' own ratios; `byte_share` the share of byte tokens.

        Args:
            level: coverage of the interval.
        """
        by_language = {
            str(code): part.set_index("item") for code, part in self.table.groupby("language", sort=False)
        }
        reference = by_language.get(self.reference or "")
        rows = [
            {"language": code, "script": find_language(code).script, **self._row(part, reference, level)}
            for code, part in by_language.items()
        ]
        return pd.DataFrame(rows)

    def _row(self, part: pd.DataFrame, reference: pd.DataFrame | None, level: float) -> dict[str, float]:
        """The numbers of one language."""
        tokens, characters = int(part["tokens"].sum()), int(part["characters"].sum())
        numbers = {
            "paragraphs": len(part), "characters": characters, "tokens": tokens,
            "tokens_per_character": tokens / characters, "relative": float("nan"), "low": float("nan"),
            "high": float("nan"), "relative_median": float("nan"), "shared": 0,
            "byte_share": int(part["byte_tokens"].sum()) / tokens,
        }  # fmt: skip
        if reference is None or not len(both := part.index.intersection(reference.index)):
            return numbers
        mine, theirs = part["tokens"].loc[both], reference["tokens"].loc[both]
        ends = bootstrap_ratios(
            mine.to_numpy(float)[:, None],
            theirs.to_numpy(float)[:, None],
            least=0.0,
            level=level,
            seed=self.provenance.seed,
        )
        low, high = unless_few(len(both), ends)
        return numbers | {
            "relative": mine.sum() / theirs.sum(), "low": float(low[0]), "high": float(high[0]),
            "relative_median": float((mine / theirs).median()), "shared": len(both),
        }  # fmt: skip

    def ratio(
        self, languages: Iterable[str], others: Iterable[str], *, level: float = 0.95
    ) -> FertilityRatio:
        """Tokens that some languages take for the paragraphs that all of them have, over those that others take.

        Each language counts alike: the mean over `languages` of their tokens, over that over `others`.

        Args:
            languages: codes.
            others: codes.
            level: coverage of the interval.

        Raises:
            InputError: no language, one that the result does not have, or no paragraph that all have.
        """
        groups = [list(dict.fromkeys(languages)), list(dict.fromkeys(others))]
        wide = self.table.pivot(index="item", columns="language", values="tokens")
        for code in [code for group in groups for code in group]:
            if code not in wide:
                raise unknown("language of this result", code, list(wide.columns))
        if not all(groups):
            raise InputError("a ratio needs languages above and below the line; one of the two is empty")
        shared = wide[[code for group in groups for code in group]].dropna()
        if shared.empty:
            raise InputError(
                "these languages have no paragraph in common, so their tokens cannot be compared"
            )
        means = [shared[group].to_numpy(float).mean(axis=1, keepdims=True) for group in groups]
        ends = bootstrap_ratios(*means, least=0.0, level=level, seed=self.provenance.seed)
        low, high = unless_few(len(shared), ends)
        return FertilityRatio(
            float(means[0].sum() / means[1].sum()), float(low[0]), float(high[0]), len(shared),
            (len(groups[0]), len(groups[1])),
        )  # fmt: skip

    def describe(self) -> str:
        """Which languages take the fewest and the most tokens, and which are cut into bytes."""
        summary = self.summary()
        lines = []
        others = summary[(summary["language"] != self.reference) & summary["relative"].notna()]
        if self.reference is not None and len(others):
            ordered = others.sort_values("relative").to_dict("records")
            few, many = ordered[0], ordered[-1]
            name = find_language(self.reference).name
            line = f"For the same paragraphs {_name(few)} takes {_times(few)} as many tokens as {name}"
            if len(ordered) > 1:
                middle = float(others["relative"].median())
                line += f", {_name(many)} {_times(many)}; the median of {len(ordered)} languages is {middle:.2f} times"
            lines.append(f"{line}.")
        ordered = summary.sort_values("tokens_per_character").to_dict("records")
        few, many = ordered[0], ordered[-1]
        line = f"A character takes {few['tokens_per_character']:.3f} tokens in {_name(few)}"
        lines.append(
            line + (f" and {many['tokens_per_character']:.3f} in {_name(many)}." if len(ordered) > 1 else ".")
        )
        cut = [row for row in summary.to_dict("records") if row["byte_share"] >= _MANY_BYTES]
        if cut:
            cut.sort(key=lambda row: -row["byte_share"])
            named = listed(
                [f"{_name(row)} ({percent(round(row['byte_share'], 2))})" for row in cut[:_MOST_NAMED]]
            )
            more = (
                f" and {counted(len(cut) - _MOST_NAMED, 'language')} more" if len(cut) > _MOST_NAMED else ""
            )
            lines.append(
                f"At least {percent(_MANY_BYTES)} of the tokens are bytes of a character in {named}{more}."
            )
        else:
            lines.append(f"In no language are {percent(_MANY_BYTES)} of the tokens bytes of a character.")
        return "\n".join(lines)

    def glance(self) -> pd.DataFrame:
        """The languages from the fewest tokens to the most, relative to the reference or per character."""
        return self.summary().sort_values(
            "relative" if self.reference else "tokens_per_character", ignore_index=True
        )

    def figure(
        self, *, languages: str | Language | Iterable[str | Language] | None = None, **look: Unpack[Look]
    ) -> go.Figure:
        """A row a language, grouped by script: tokens relative to the reference, or per character.

        Args:
            languages: those to draw; by default all.
            **look: ``theme``, ``title`` and ``width``, as in `latentlang.figures.shaping.Look`.

        Raises:
            InputError: a language that the result does not have, or nothing to draw.
        """
        from latentlang.figures.fertility import fertility_figure

        return fertility_figure(self, languages=languages, **look)


def _name(row: Mapping[Any, Any]) -> str:
    return find_language(str(row["language"])).name


def _times(row: Mapping[Any, Any]) -> str:
    interval = "" if math.isnan(row["low"]) else f" [{row['low']:.2f}, {row['high']:.2f}]"
    return f"{row['relative']:.2f} times{interval}"


@checked_call
def fertility(
    tokenizer: Any,
    texts: str | os.PathLike[str] | ContinuationTask | Mapping[str, Sequence[str]] = UDHR,
    *,
    languages: str | Language | Iterable[str | Language] | None = None,
    reference: str | Language | None = "en",
    items: int | None = None,
    name: str | None = None,
    seed: int = 0,
    progress: ProgressOption = True,
) -> FertilityResult:
    """Count the tokens that a tokenizer takes for text in many languages; no model is needed.

    Args:
        tokenizer: the name of a model, whose tokenizer alone is loaded; a Hugging Face tokenizer, or a loaded model.
        texts: a folder of parallel text, or ``"udhr"``, the default; the continuation task on one; or language code to
            a list of texts, the n-th of which says the same in each.
        languages: which languages; by default all that the texts have. The reference is read with them.
        reference: language that the others are relative to; None for none.
        items: paragraphs per language; None for all.
        name: of the tokenizer, for the provenance; its own by default.
        seed: draws paragraphs and bootstrap samples.
        progress: True shows a bar on stderr, or lines where that is no terminal, once the call takes longer than a
            second; False nothing; a function is called with (paragraphs done, paragraphs in all).

    Raises:
        InputError: no tokenizer, no text, a language that is not there, or a number that makes no sense.
        ModelError: the tokenizer does not keep the text's bytes.
    """
    check_count("items", items, least=1)
    check_count("seed", seed, least=0)
    if isinstance(tokenizer, str | os.PathLike):
        # Here, not above: models read tokenizers through this package.
        from latentlang.models.loading import load_tokenizer

        name = name or os.fspath(tokenizer)
        tokenizer = load_tokenizer(tokenizer)
    model_name = getattr(tokenizer, "name", None)
    tokenizer = getattr(tokenizer, "tokenizer", tokenizer)
    prompts, settings = _prompts(texts, languages, reference, items=items, seed=seed)
    encoded: list[list[int]] = []
    with reporting(progress, "counting", things="paragraphs", total=len(prompts)) as report:
        table = token_bytes(tokenizer)
        for start in range(0, len(prompts), _AT_ONCE):
            part = [prompt.text for prompt in prompts[start : start + _AT_ONCE]]
            encoded += tokenizer(
                part, add_special_tokens=False, padding=False, truncation=False, verbose=False
            )["input_ids"]
            report(len(encoded), len(prompts))
    part_of_character = partial_tokens(table, {token for ids in encoded for token in ids})
    rows = [
        (
            prompt.language, prompt.item, len(prompt.text), len(prompt.text.encode()), len(ids),
            sum(token in part_of_character for token in ids),
        )
        for prompt, ids in zip(prompts, encoded, strict=True)
    ]  # fmt: skip
    provenance = Provenance(
        model=name or model_name or tokenizer_name(tokenizer),
        task="fertility", languages=tuple(dict.fromkeys(prompt.language for prompt in prompts)), policy="", seed=seed,
        settings={**settings, "items": items, "tokenizer": table.family},
    )  # fmt: skip
    return FertilityResult(table=pd.DataFrame(rows, columns=list(_COLUMNS)), provenance=provenance)


def _prompts(
    texts: str | os.PathLike[str] | ContinuationTask | Mapping[str, Sequence[str]],
    languages: str | Language | Iterable[str | Language] | None,
    reference: str | Language | None,
    *,
    items: int | None,
    seed: int,
) -> tuple[list[Prompt], dict[str, Any]]:
    """The paragraphs of the languages and of the reference, and what is noted of them.

    Raises:
        InputError: there is none, or no such language.
    """
    base = None if reference is None else find_language(reference).code
    if isinstance(texts, Mapping):
        given = {find_language(code).code: list_of_texts for code, list_of_texts in texts.items()}
        there: Sequence[str] = tuple(given)
        noted: dict[str, Any] = {}
    else:
        task = texts if isinstance(texts, ContinuationTask) else ContinuationTask(data=os.fspath(texts))
        there, noted = task.languages, {"task": task.name, **task.settings}
    if base is not None and base not in there:
        raise InputError(
            f"the text has no {find_language(base).name}, which its languages would be relative to; name another "
            f"reference language, such as {there[0]!r}, or none"
        )
    codes = list(there) if languages is None else [entry.code for entry in find_languages(languages)]
    codes = list(dict.fromkeys([*codes, *([] if base is None else [base])]))
    prompts: list[Prompt] = []
    for code in codes:
        if not isinstance(texts, Mapping):
            prompts += task.prompts(code, items=items, seed=seed)
            continue
        if code not in given:
            raise unknown("language of these texts", code, given)
        if isinstance(given[code], str) or not all(isinstance(text, str) and text for text in given[code]):
            raise InputError(f"the texts of {code!r} must be a list of texts that hold something")
        prompts += [
            Prompt(f"{number:05}", code, "", "", text, "")
            for number, text in enumerate(given[code][:items], 1)
        ]
    if not prompts:
        raise InputError("no text was given; tokens are counted on at least one")
    return prompts, noted | {"reference": base}


def partial_tokens(table: TokenBytes, tokens: Iterable[int]) -> frozenset[int]:
    """The tokens that write no whole characters."""
    partial = set()
    for token in tokens:
        written = table.bytes[token] if token < len(table) else None
        try:
            (written or b"").decode()
        except UnicodeDecodeError:
            partial.add(token)
    return frozenset(partial)
