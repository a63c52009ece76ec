"""One sentence that asks for an answer, or for text, in a language: in English, and in the language itself."""

from __future__ import annotations

from latentlang.language_names import Language
from latentlang.language_names import language as find_language

# The languages of the embedded tasks.
_ANSWER = {
    "en": "Answer in English.", "zh": "请用中文回答。", "de": "Antworte auf Deutsch.", "fr": "Réponds en français.",
    "es": "Responde en español.", "it": "Rispondi in italiano.", "nl": "Antwoord in het Nederlands.",
    "ja": "日本語で答えてください。", "ru": "Отвечай на русском языке.", "sv": "Svara på svenska.",
    "sl": "Odgovori v slovenščini.", "pl": "Odpowiedz po polsku.", "bg": "Отговори на български.",
    "no": "Svar på norsk.", "ms": "Jawab dalam bahasa Melayu.", "is": "Svaraðu á íslensku.",
    "hi": "हिन्दी में उत्तर दो।", "th": "ตอบเป็นภาษาไทย", "sw": "Jibu kwa Kiswahili.", "bn": "বাংলায় উত্তর দাও।",
}  # fmt: skip
_WRITE = {
    "en": "Write in English.", "zh": "请用中文写。", "de": "Schreibe auf Deutsch.", "fr": "Écris en français.",
    "es": "Escribe en español.", "it": "Scrivi in italiano.", "nl": "Schrijf in het Nederlands.",
    "ja": "日本語で書いてください。", "ru": "Пиши на русском языке.", "sv": "Skriv på svenska.",
    "sl": "Piši v slovenščini.", "pl": "Pisz po polsku.", "bg": "Пиши на български.", "no": "Skriv på norsk.",
    "ms": "Tulis dalam bahasa Melayu.", "is": "Skrifaðu á íslensku.", "hi": "हिन्दी में लिखो।", "th": "เขียนเป็นภาษาไทย",
    "sw": "Andika kwa Kiswahili.", "bn": "বাংলায় লেখো।",
}  # fmt: skip


def instruction_in_english(language: str | Language, *, answer: bool = True) -> str:
    """``Answer in Japanese.``, or ``Write in Japanese.`` where nothing is asked."""
    return f"{'Answer' if answer else 'Write'} in {find_language(language).name}."


def instruction_in_itself(language: str | Language, *, answer: bool = True) -> str | None:
    """The same sentence in the language; None where there is none of it here.

    Args:
        language: the one that is to be written.
        answer: whether an answer is asked for, or text.
    """
    return (_ANSWER if answer else _WRITE).get(find_language(language).code)
