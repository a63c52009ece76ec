"""Questions as prompts: few-shot examples, the language's own words for question and answer, and what was answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from latentlang.errors import InputError
from latentlang.models.chat import chat_text
from latentlang.questions.code_problems import Problem
from latentlang.questions.question_sets import Question
from latentlang.questions.worked_steps import WorkedExample, steps_prompt, steps_turns
from latentlang.seeding import generator, shuffled
from latentlang.tasks import Prompt

_Asked = TypeVar("_Asked", Question, Problem)
#: Language code to what a context, a question and an answer are called in it.
WORDS: dict[str, tuple[str, str, str]] = {
    "ar": ("السياق", "السؤال", "الجواب"),
    "bn": ("প্রসঙ্গ", "প্রশ্ন", "উত্তর"),
    "de": ("Kontext", "Frage", "Antwort"),
    "el": ("Κείμενο", "Ερώτηση", "Απάντηση"),
    "en": ("Context", "Question", "Answer"),
    "es": ("Contexto", "Pregunta", "Respuesta"),
    "fi": ("Teksti", "Kysymys", "Vastaus"),
    "fr": ("Contexte", "Question", "Réponse"),
    "hi": ("संदर्भ", "प्रश्न", "उत्तर"),
    "id": ("Konteks", "Pertanyaan", "Jawaban"),
    "it": ("Contesto", "Domanda", "Risposta"),
    "ja": ("文脈", "質問", "答え"),
    "ko": ("지문", "질문", "답"),
    "nl": ("Context", "Vraag", "Antwoord"),
    "pt": ("Contexto", "Pergunta", "Resposta"),
    "ro": ("Context", "Întrebare", "Răspuns"),
    "ru": ("Контекст", "Вопрос", "Ответ"),
    "sw": ("Muktadha", "Swali", "Jibu"),
    "te": ("సందర్భం", "ప్రశ్న", "సమాధానం"),
    "th": ("บริบท", "คำถาม", "คำตอบ"),
    "tr": ("Metin", "Soru", "Cevap"),
    "vi": ("Ngữ cảnh", "Câu hỏi", "Trả lời"),
    "zh": ("上下文", "问题", "答案"),
    "zh-Hant": ("上下文", "問題", "答案"),
}
#: Answers stand between these, which tell where one ends.
QUOTE = '"'


def chosen_questions(questions: Sequence[_Asked], items: int | None, seed: int) -> list[_Asked]:
    """Some questions, or problems, drawn by their ids, so that they are the same in every language; in their own order.

    Args:
        questions: of one language.
        items: how many; None for all.
        seed: of the draw.
    """
    if items is None or items >= len(questions):
        return list(questions)
    drawn = {*shuffled(sorted(question.item for question in questions), "questions", seed)[:items]}
    return [question for question in questions if question.item in drawn]


def prompts_of(
    questions: Sequence[Question], pool: Sequence[Question], *, shots: int, seed: int
) -> list[Prompt]:
    """A prompt per question, which ends where the answer begins.

    Args:
        questions: of one language.
        pool: what examples are drawn from, by their ids; the same for all questions, but that nobody's examples hold
            the question itself or one of its group: then the next that was drawn stands in.
        shots: examples per prompt.
        seed: of the examples.

    Raises:
        InputError: the pool has too few for a question.
    """
    shown = _examples(questions, pool, shots=shots, seed=seed)
    return [_prompt(question, examples) for question, examples in zip(questions, shown, strict=True)]


def chat_prompts_of(
    questions: Sequence[Question],
    pool: Sequence[Question],
    *,
    shots: int,
    seed: int,
    tokenizer: Any,
    model: str,
) -> list[Prompt]:
    """As `prompts_of`, in a chat: examples are turns of their own, and no quotation mark is opened.

    Args:
        questions: of one language.
        pool: as of `prompts_of`.
        shots: examples per prompt.
        seed: of the examples.
        tokenizer: whose chat template is used.
        model: name of the model, for errors.

    Raises:
        InputError: the pool has too few for a question.
        ModelError: the chat template cannot write such a chat.
    """
    prompts = []
    for question, examples in zip(questions, _examples(questions, pool, shots=shots, seed=seed), strict=True):
        turns = [(_in_chat(example), example.references[0]) for example in examples]
        prompts.append(_chat(question, turns, _in_chat(question), tokenizer, model))
    return prompts


def steps_prompts(
    questions: Sequence[Question],
    examples: Sequence[Sequence[WorkedExample]],
    protocol: str,
    *,
    tokenizer: Any = None,
    model: str = "",
) -> list[Prompt]:
    """Prompts that end where the steps to an answer begin.

    Args:
        questions: of one language.
        examples: those of each question.
        protocol: see `worked_steps`.
        tokenizer: whose chat template is used; None for no chat.
        model: name of the model, for errors.

    Raises:
        ModelError: the chat template cannot write such a chat.
    """
    prompts = []
    for question, shown in zip(questions, examples, strict=True):
        if tokenizer is None:
            prompts.append(steps_prompt(question, shown, protocol))
            continue
        turns, (asked, cue) = steps_turns(question, shown, protocol)
        prompts.append(_chat(question, turns, f"{asked}{cue}", tokenizer, model))
    return prompts


def _chat(
    question: Question, turns: Sequence[tuple[str, str]], asked: str, tokenizer: Any, model: str
) -> Prompt:
    messages = []
    for before, answer in turns:
        messages += [{"role": "user", "content": before}, {"role": "assistant", "content": answer}]
    messages.append({"role": "user", "content": asked})
    text = chat_text(messages, tokenizer, model=model, answer_next=True)
    return Prompt(question.item, question.language, question.item, "", text, "", templated=True)


def _in_chat(question: Question) -> str:
    return f"{_body(question)}{_cue(question)}".removesuffix(QUOTE).strip()


def _examples(
    questions: Sequence[Question], pool: Sequence[Question], *, shots: int, seed: int
) -> list[list[Question]]:
    by_item = {question.item: question for question in pool}
    order = [by_item[item] for item in shuffled(sorted(by_item), "examples", seed)]
    chosen = []
    for question in questions:
        examples = [
            example
            for example in order
            if example.item != question.item and (not question.group or example.group != question.group)
        ][:shots]
        if len(examples) < shots:
            raise InputError(
                f"{shots} examples are asked for, and item {question.item!r} in {question.language!r} has "
                f"{len(examples)} others to draw from; ask for fewer shots"
            )
        chosen.append(examples)
    return chosen


def _prompt(question: Question, examples: Sequence[Question]) -> Prompt:
    few_shot = "".join(
        f"{_body(example)}{_cue(example)}{example.references[0]}{QUOTE}\n\n" for example in examples
    )
    return Prompt(
        item=question.item,
        language=question.language,
        label=question.item,
        few_shot=few_shot,
        question=_body(question),
        cue=_cue(question),
    )


def _body(question: Question) -> str:
    context, asked, _answer = _words(question.language)
    head = f"{context}: {question.context.strip()}\n" if question.context else ""
    return f"{head}{asked}: {question.question.strip()}\n"


def _cue(question: Question) -> str:
    return f"{_words(question.language)[2]}: {QUOTE}"


def _words(language: str) -> tuple[str, str, str]:
    return WORDS.get(language) or WORDS.get(language.split("-")[0]) or WORDS["en"]


def written_answer(text: str) -> str:
    """The answer in what a model wrote behind the cue: the first line, up to the quotation mark that closes it.

    A mark that opens a quotation within the answer, as a title's, is no such mark, and neither is the one that closes
    that: an opening one stands before a letter and behind a space, or at the beginning.
    """
    line = text.split("\n", 1)[0]
    inner = False
    for place, character in enumerate(line):
        if character != QUOTE:
            continue
        before, after = line[:place][-1:], line[place + 1 : place + 2]
        if inner:
            inner = False
        elif (not before or before.isspace()) and after.isalnum():
            inner = True
        else:
            return line[:place].strip()
    return line.strip()


def answer_in_chat(text: str) -> str:
    """The answer in a chat's turn: its first line that says something, without quotation marks around it."""
    line = next((line.strip() for line in text.split("\n") if line.strip()), "")
    return line[1:-1].strip() if len(line) > 1 and line[0] == line[-1] == QUOTE else line


def other_references(
    questions: Sequence[Question], pool: Sequence[Question], seed: int
) -> list[Question | None]:
    """For each question another one, whose reference is the null: another answer, of another group where one is.

    Args:
        questions: of one language.
        pool: what the others are drawn from.
        seed: of the draw.

    Returns:
        One per question; None where no other question has another answer.
    """
    order = shuffled(sorted(pool, key=lambda question: question.item), "null", seed)
    others: list[Question | None] = []
    for question in questions:
        start = generator("null", seed, question.item).randrange(len(order))
        different: Question | None = None
        for other in (*order[start:], *order[:start]):
            if {*other.references} & {*question.references}:
                continue
            if not question.group or other.group != question.group:
                different = other
                break
            different = different or other
        others.append(different)
    return others
