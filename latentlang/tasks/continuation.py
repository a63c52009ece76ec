"""Continuation: parallel paragraphs to be run as they are, without a question and without an answer.

What is asked of a model is its states: of each paragraph's last token, or pooled over the paragraph. An item is a
paragraph, and has the same id in every language, so that a store of it can be put to PCA and alignment; its texts are
what a tuned lens can be trained on.
"""

from __future__ import annotations

from collections.abc import Mapping

from latentlang.arguments import check_count
from latentlang.errors import InputError
from latentlang.language_names import language as find_language
from latentlang.seeding import generator
from latentlang.tasks.base import Prompt, Task, pick
from latentlang.tasks.files import PathLike
from latentlang.tasks.hub import is_hub
from latentlang.tasks.hub_text import HubText
from latentlang.tasks.parallel_text import ParallelText


class ContinuationTask(Task):
    """Paragraphs of parallel text, each a prompt of its own.

    Attributes:
        text: the parallel text; None without any.
    """

    name = "continuation"
    closed = False
    default_shots = 0
    has_answers = False

    def __init__(self, *, data: PathLike | None = None) -> None:
        """Choose the text.

        Args:
            data: folder of parallel text (`parallel_text`), ``"udhr"``, or a set on the hub (`hub_text`),
                ``"hub:flores"``. Without it there are no items.

        Raises:
            InputError: there is no parallel text.
        """
        self.text: ParallelText | HubText | None = None
        if data is not None:
            self.text = HubText(data) if is_hub(data) else ParallelText(data)
        self.settings = {"data": "" if self.text is None else self.text.origin}

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages of the text."""
        return () if self.text is None else self.text.languages

    def prompts(
        self, language: str, *, items: int | None = None, shots: int | None = None, seed: int = 0
    ) -> list[Prompt]:
        """The paragraphs in one language, each whole as a prompt's question.

        Raises:
            InputError: no text in the language, an impossible number, or few-shot examples, which there are not.
        """
        if self.text is None:
            raise InputError(
                "the continuation task has no text of its own; give a folder of parallel text as data, at a shell "
                "--data FOLDER (or udhr, or hub:flores)"
            )
        if shots:
            raise InputError(f"the continuation task has no few-shot examples; leave out shots={shots}")
        check_count("seed", seed, least=0)
        translation = self.text.translation(find_language(language))
        # By a draw for each id: a paragraph that one language lacks moves no other.
        order = sorted(
            translation.paragraphs, key=lambda name: generator("continuation", seed, name).random()
        )
        chosen = pick(
            [Prompt(name, translation.language, "", "", translation.paragraphs[name], "") for name in order],
            items,
        )
        if not chosen:
            raise InputError(f"{translation.origin} has no paragraphs")
        return chosen

    def answers(self, language: str) -> Mapping[str, tuple[str, ...]]:
        """None, in any language."""
        return {}

    def wrong_labels(self, label: str) -> tuple[str, ...]:
        """None."""
        return ()
