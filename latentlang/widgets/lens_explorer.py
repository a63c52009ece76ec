"""The lens explorer: controls on top, a heat map of the prompt, the next tokens and the languages' words below it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import ipywidgets
import pandas as pd

from latentlang import defaults
from latentlang.errors import InputError, LatentlangError
from latentlang.figures.style import plain_name, shortened
from latentlang.language_names import Language
from latentlang.language_names import languages as find_languages
from latentlang.lens.base import Lens
from latentlang.lens.single_prompt import ExplorerResult
from latentlang.models import HookedLM
from latentlang.progress import ProgressOption
from latentlang.tasks import Prompt, Task, as_task
from latentlang.tasks.base import sources_of
from latentlang.widgets.html import STYLE, fault, framed, heat_map, language_table, top_tokens
from latentlang.widgets.prompt_session import PromptSession, guess, labels_of, named_languages

# Languages that are looked for at first, where the task has them; no two that share most of their words.
FIRST = ("en", "fr", "ja", "de", "hi", "ru", "sw")
MOST_FIRST = 8
NO_ANSWER = ""
# Prompts whose readings are kept, to go back and forth between them; one takes layers x tokens x d_model numbers.
_KEPT = 4
_LONGEST_FAULT = 300
_LABEL_WIDTH = "90px"
_HELP = (
    "Type a prompt and press “Read it” (or leave the box). With the keyboard: Tab goes on, the arrow keys move the "
    "sliders, Ctrl or Shift with the arrows picks several languages."
)


class LensExplorer(ipywidgets.VBox):  # type: ignore[misc]
    """The explorer as a box; made by `latentlang.widgets.explorer`.

    Attributes:
        prompt: the text box; setting its ``value`` reads the prompt.
        answer: which label's words are looked for; ``""`` for none.
        languages: whose words are looked for.
        layer: slider over layers 1 to L.
        position: slider over the prompt's tokens.
        heat: the heat map's HTML.
        tokens: the HTML of the likeliest next tokens.
        shares: the HTML of the languages' words.
        message: the HTML of what is wrong; empty when nothing is.
    """

    def __init__(
        self,
        model: HookedLM,
        prompt: str | Prompt | None = None,
        *,
        task: str | Task | None = None,
        languages: str | Language | Iterable[str | Language] | None = None,
        top: int = 5,
        lens: Lens | None = None,
        progress: ProgressOption = False,
    ) -> None:
        self._model, self._top, self._lens = model, top, lens
        self._task = as_task("translation" if task is None else task)
        labels = labels_of(self._task)
        self._speaking = speaking = _speaking(self._task)
        first = _first_prompt(self._task, speaking) if prompt is None else prompt
        chosen = _chosen(self._task, speaking, languages, first)
        self._looks: OrderedDict[str, PromptSession] = OrderedDict()
        self._look: PromptSession | None = None
        self._words: dict[tuple[str, str, tuple[str, ...], int], pd.DataFrame] = {}
        self._quiet = False
        # What the user chose is not chosen for them when another prompt is read.
        self._languages_given, self._layer_moved = languages is not None, False
        self._guessed = NO_ANSWER
        self._target = first.language if isinstance(first, Prompt) else ""

        wide = ipywidgets.Layout(width="calc(100% - 8px)")
        narrow = ipywidgets.Layout(width="440px", max_width="calc(100% - 4px)")
        self.prompt = ipywidgets.Textarea(
            description="Prompt", continuous_update=False, rows=4, layout=wide, style=_style()
        )
        self.read = ipywidgets.Button(
            description="Read it",
            icon="search",
            tooltip="Run the model on this prompt",
            button_style="primary",
        )
        self.answer = ipywidgets.Dropdown(
            description="Answer", options=[("(none)", NO_ANSWER), *_named(labels)], layout=narrow, style=_style(),
        )  # fmt: skip
        self.languages = ipywidgets.SelectMultiple(
            description="Languages", value=chosen, rows=6, layout=narrow, style=_style(),
            # those that are chosen stand where they can be seen
            options=[(f"{plain_name(code)} ({code})", code) for code in dict.fromkeys((*chosen, *speaking))],
        )  # fmt: skip
        depth = model.n_layers
        self.layer = ipywidgets.IntSlider(
            description="Layer", min=1, max=depth, value=depth, layout=narrow, style=_style()
        )
        self.position = ipywidgets.IntSlider(
            description="Token", min=0, max=0, value=0, layout=narrow, style=_style()
        )
        self.heat, self.tokens, self.shares, self.message = (ipywidgets.HTML() for _ in range(4))
        side = ipywidgets.Layout(margin="0 24px 0 0")
        super().__init__([
            ipywidgets.HTML(STYLE + framed(f'<p class="quiet">{_HELP}</p>')),
            self.prompt,
            self.read,
            self.message,
            ipywidgets.HBox(
                [
                    ipywidgets.VBox([self.answer, self.layer, self.position], layout=side),
                    self.languages,
                ],
                layout=ipywidgets.Layout(flex_flow="row wrap"),
            ),
            self.heat,
            ipywidgets.HBox(
                [ipywidgets.VBox([self.tokens], layout=side), self.shares],
                layout=ipywidgets.Layout(flex_flow="row wrap"),
            ),
        ])  # fmt: skip
        self.add_class("latentlang-explorer-box")
        self._first_text = self.prompt.value = str(first)
        self._read_prompt(progress)
        if isinstance(first, Prompt) and first.label in labels:
            self.answer.value = first.label
            self._choose_layer()
            self._draw()
        self.prompt.observe(self._on(self._read_prompt), names="value")
        self.read.on_click(self._on(self._read_prompt))
        self.layer.observe(self._on(self._move_layer), names="value")
        self.position.observe(self._on(self._draw), names="value")
        self.answer.observe(self._on(self._draw_words), names="value")
        self.languages.observe(self._on(self._draw_words), names="value")

    def __repr__(self) -> str:
        read = "nothing read" if self._look is None else f"a prompt of {len(self._look.ids)} tokens"
        return f"<LensExplorer: model {self._model.name}, {read}>"

    @property
    def result(self) -> ExplorerResult:
        """The prompt's readings, as of `lens.explore`.

        Raises:
            InputError: the prompt could not be read.
        """
        if self._look is None:
            raise InputError("no prompt was read yet; the widget says why")
        return self._look.result

    @property
    def words(self) -> pd.DataFrame:
        """The languages' words at the chosen position, every layer; columns of `prompt_session.WORD_COLUMNS`.

        Raises:
            InputError: the prompt could not be read, or no answer or language is chosen.
        """
        look, label, codes = self._look, self.answer.value, tuple(self.languages.value)
        if look is None:
            raise InputError("no prompt was read yet; the widget says why")
        if label == NO_ANSWER or not codes:
            raise InputError("choose an answer and at least one language to see whose word it is")
        key = (look.text, label, codes, self.position.value)
        if key not in self._words:
            self._words[key] = look.words(self._task, label, codes, self.position.value)
        return self._words[key]

    def _on(self, act: Callable[[], None]) -> Callable[[Any], None]:
        """An observer that does it once, however many controls it moves itself."""

        def react(_change: Any) -> None:
            if not self._quiet:
                act()

        return react

    def _read_prompt(self, progress: ProgressOption = False) -> None:
        """Run the model on a new prompt, go to its last token, and look for the word it names."""
        text = self.prompt.value
        if self._look is not None and self._look.text == text:
            return
        self.read.disabled = True
        self.message.value = framed('<p class="quiet" role="status">reading …</p>')
        try:
            look = self._looks.pop(text, None) or PromptSession.at(
                self._model, text, top=self._top, lens=self._lens, progress=progress
            )
        except (LatentlangError, RuntimeError) as error:  # torch's, when memory ends, is a RuntimeError
            self._look = None
            self.message.value = fault(" ".join(str(error).split())[:_LONGEST_FAULT])
            self.heat.value = self.tokens.value = self.shares.value = ""
            return
        finally:
            self.read.disabled = False
        self._looks[text] = look
        while len(self._looks) > _KEPT:
            gone, _ = self._looks.popitem(last=False)
            self._words = {key: words for key, words in self._words.items() if key[0] != gone}
        self._look = look
        self._quiet = True
        try:
            self.position.max = len(look.ids) - 1
            self.position.value = len(look.ids) - 1
            label = guess(self._task, text)
            # What another prompt named is no answer to this one; what the user chose stays.
            if label is not None or self.answer.value == self._guessed:
                self.answer.value = label or NO_ANSWER
                self._guessed = self.answer.value
            self._add_target(text)
            self._choose_layer()
        finally:
            self._quiet = False
        self._draw()

    def _named(self, text: str) -> tuple[str, ...]:
        """The languages that the prompt names; the one it asks for is the last."""
        named = named_languages(text, self._speaking)
        first = (self._target,) if self._target and text == self._first_text else ()
        return tuple(dict.fromkeys((*(code for code in named if code not in first), *first)))

    def _add_target(self, text: str) -> None:
        """Have the language that the prompt asks for among the rows, unless the user said whose words to look for.

        Rows, but English, that have the very same word go: no token would be left that is one language's own.
        """
        named = self._named(text)
        if not named or self._languages_given:
            return
        target, label = named[-1], self.answer.value
        strings = {word.casefold() for word in self._task.answers(target).get(label, ())}
        kept = [
            code
            for code in self.languages.value
            if code in (target, defaults.PIVOT)
            or strings.isdisjoint(word.casefold() for word in self._task.answers(code).get(label, ()))
        ]
        self.languages.value = tuple(dict.fromkeys((*(() if target in kept else (target,)), *kept)))

    def _choose_layer(self) -> None:
        """Open on the most informative layer (see `PromptSession.informative_layer`), until the user has moved it."""
        if self._look is None or self._layer_moved:
            return
        try:
            words: pd.DataFrame | None = self.words
        except LatentlangError:
            words = None
        quiet, self._quiet = self._quiet, True
        try:
            self.layer.value = self._look.informative_layer(
                words, named=self._named(self._look.text), position=self.position.value
            )
        finally:
            self._quiet = quiet

    def _move_layer(self) -> None:
        self._layer_moved = True
        self._draw()

    def _draw(self) -> None:
        """Everything at the chosen layer and position."""
        if self._look is None:
            return
        layer, position = self.layer.value, self.position.value
        self.heat.value = heat_map(self._look.result.table, layer=layer, position=position)
        self.tokens.value = top_tokens(self._look.cell(layer, position))
        self._draw_words()

    def _draw_words(self) -> None:
        if self._look is None:
            return
        self.message.value = self.shares.value = ""
        try:
            words = self.words
        except LatentlangError as error:
            self.message.value = fault(error)
            return
        if words.empty:
            self.message.value = fault("none of the chosen languages has a word for this answer")
            return
        self.shares.value = language_table(words, layer=self.layer.value)


def _style() -> dict[str, str]:
    return {"description_width": _LABEL_WIDTH}


def _speaking(task: Task) -> tuple[str, ...]:
    """Languages the task has words in, the one it translates from included."""
    codes = []
    for code in dict.fromkeys((*task.languages, *sources_of(task, task.languages))):
        with suppress(InputError):
            if task.answers(code):
                codes.append(code)
    return tuple(codes)


def _chosen(
    task: Task,
    speaking: tuple[str, ...],
    asked: str | Language | Iterable[str | Language] | None,
    prompt: str | Prompt,
) -> tuple[str, ...]:
    """The languages to begin with.

    Raises:
        InputError: a language without words.
    """
    if asked is None:
        if len(speaking) <= MOST_FIRST:
            return speaking
        asked_for = (
            prompt.language if isinstance(prompt, Prompt) else "".join(named_languages(prompt, speaking)[-1:])
        )
        kept = {asked_for} | set(FIRST)
        return tuple(code for code in speaking if code in kept) or speaking[:MOST_FIRST]
    codes = tuple(entry.code for entry in find_languages(asked))
    for code in codes:
        if code not in speaking:
            raise InputError(f"the {task.name} task has no words in {code!r}; it has {', '.join(speaking)}")
    return codes


def _first_prompt(task: Task, codes: tuple[str, ...]) -> Prompt:
    """A prompt of the task's own, in a language in which an answer in English would be nobody's wish."""
    able = [code for code in codes if code in task.languages]
    if not able:
        raise InputError(f"the {task.name} task has no words in any language; give a prompt and another task")
    code = next((code for code in ("ja", *able) if code in able and code != "en"), able[0])
    shots = min(task.default_shots, 1)
    return task.prompts(code, items=1, shots=shots)[0]


def _named(labels: Iterable[str]) -> list[tuple[str, str]]:
    """Labels by the word a reader looks for: ``dog (animal)`` for ``animal/dog``."""
    named = []
    for label in labels:
        category, _, word = label.rpartition("/")
        named.append((shortened(f"{word} ({category})" if category else word, 60), label))
    return sorted(named)
