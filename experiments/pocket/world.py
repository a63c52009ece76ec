"""Build the micro-world's data files from the lexicon and Unicode CLDR.

`python -m experiments.pocket.world` writes `latentlang/tasks/data/words.json` and `reviews.json`;
`--check` compares the lexicon with a second source, the names of the `emoji` package, and prints where they differ.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import yaml
from babel import Locale
from babel.dates import get_day_names, get_month_names

from latentlang.language_names import GROUPS

LEXICON = Path(__file__).parent / "lexicon"
DATA = Path(__file__).parents[2] / "latentlang" / "tasks" / "data"
LANGUAGES = GROUPS["paper20"]

_COUNTRIES = [
    "FR",
    "DE",
    "IT",
    "ES",
    "RU",
    "CN",
    "JP",
    "IN",
    "TH",
    "PL",
    "SE",
    "NO",
    "GR",
    "EG",
    "TR",
    "BR",
    "MX",
    "CA",
    "KE",
    "IR",
    "IQ",
    "CU",
    "PE",
    "HU",
]
_LANGUAGES = ["fr", "de", "it", "es", "ru", "zh", "ja", "hi", "th", "pl", "sv", "nb", "el", "ar", "tr", "ko"]
# The emoji whose name says the concept, where one has a plain name (the second source of `--check`).
_EMOJI_NAMES = """
dog:🐕 cat:🐈 horse:🐎 cow:🐄 pig:🐖 goat:🐐 sheep:🐑 duck:🦆 fish:🐟 bird:🐦 snake:🐍 elephant:🐘
tiger:🐅 mouse:🐁 rabbit:🐇 spider:🕷️ ant:🐜 frog:🐸 wolf:🐺 bear:🐻 monkey:🐒 turtle:🐢 whale:🐋 butterfly:🦋
egg:🥚 lemon:🍋 banana:🍌 tomato:🍅 carrot:🥕 onion:🧅 garlic:🧄 salt:🧂 butter:🧈 mushroom:🍄 cucumber:🥒 bread:🍞
ear:👂 nose:👃 eye:👁️ mouth:👄 tongue:👅 foot:🦶 tooth:🦷 bone:🦴 sun:☀️ cloud:☁️ mountain:⛰️ fire:🔥
stone:🪨 key:🔑 door:🚪 window:🪟 chair:🪑 bed:🛏️ mirror:🪞 hammer:🔨 candle:🕯️ pencil:✏️ spoon:🥄 ladder:🪜
bicycle:🚲 ship:🚢 train:🚆 car:🚗 ring:💍 coin:🪙 basket:🧺 soap:🧼 house:🏠 school:🏫 hospital:🏥 church:⛪
factory:🏭
"""
_EMOJI = dict(pair.split(":") for pair in _EMOJI_NAMES.split())


def read_lexicon(code: str) -> dict[str, Any]:
    """One language's YAML file."""
    loaded: dict[str, Any] = yaml.safe_load((LEXICON / f"{code}.yaml").read_text(encoding="utf-8"))
    return loaded


def cldr_words(code: str) -> dict[str, dict[str, str]]:
    """Category to concept to word, for what Unicode CLDR names in every language."""
    locale = Locale.parse(code)
    months = get_month_names("wide", context="stand-alone", locale=locale)
    days = get_day_names("wide", context="stand-alone", locale=locale)
    english_months = get_month_names("wide", locale="en")
    english_days = get_day_names("wide", locale="en")
    english = Locale.parse("en")
    return {
        "country": {english.territories[c].lower(): locale.territories[c] for c in _COUNTRIES},
        "language": {
            english.languages[c].lower().removesuffix(" bokmål"): locale.languages["no" if c == "nb" else c]
            for c in _LANGUAGES
        },
        "month": {english_months[i].lower(): months[i] for i in range(1, 13)},
        "weekday": {english_days[i].lower(): days[i] for i in range(7)},
    }


def build() -> tuple[dict[str, Any], dict[str, Any]]:
    """The two data files as objects: concepts with their words, and what reviews are made of."""
    # Babel 2.18 resolves an alias once and keeps it for the next locale: after Chinese, German months are Chinese.
    # A process of its own for each language gives each its own words.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        named = dict(zip(LANGUAGES, pool.map(cldr_words, LANGUAGES), strict=True))
    words: dict[str, dict[str, str]] = defaultdict(dict)
    categories: dict[str, dict[str, str]] = defaultdict(dict)
    reviews: dict[str, Any] = {}
    for code in LANGUAGES:
        lexicon = read_lexicon(code)
        for category, entries in (lexicon["words"] | named[code]).items():
            for concept, word in entries.items():
                words[f"{category}/{concept}"][code] = str(word)
        for category, name in lexicon["categories"].items():
            categories[category][code] = str(name)
        reviews[code] = lexicon["sentiment"]
    concepts = [
        {"id": name, "category": name.split("/")[0], "words": by_language}
        for name, by_language in words.items()
    ]
    return {"categories": categories, "concepts": concepts}, reviews


def write_compact(path: Path, value: Any) -> None:
    """JSON with one line per concept or language: small, and readable in a diff."""
    if isinstance(value, dict) and "concepts" in value:
        rows = ",\n  ".join(json.dumps(c, ensure_ascii=False, sort_keys=False) for c in value["concepts"])
        categories = json.dumps(value["categories"], ensure_ascii=False)
        text = f'{{"categories": {categories},\n "concepts": [\n  {rows}\n ]}}\n'
    else:
        rows = ",\n ".join(f"{json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in value.items())
        text = f"{{{rows}}}\n"
    path.write_text(text, encoding="utf-8")


def compare_with_emoji() -> list[tuple[str, str, str, str]]:
    """Rows (concept, language, our word, emoji's word) where the `emoji` package says another word."""
    import emoji

    rows = []
    for code in ("en", "de", "es", "fr", "it", "ja", "ru", "zh"):
        emoji.config.load_language(code)
        ours = {c: w for entries in read_lexicon(code)["words"].values() for c, w in entries.items()}
        for concept, symbol in _EMOJI.items():
            name = emoji.EMOJI_DATA[symbol][code].strip(":").replace("_", " ")
            if name.casefold() != str(ours[concept]).casefold():
                rows.append((concept, code, str(ours[concept]), name))
    return rows


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only compare the lexicon with the emoji names")
    if parser.parse_args().check:
        rows = compare_with_emoji()
        for row in rows:
            print("{:10} {:3} ours {:20} emoji {}".format(*row))
        print(f"{1 - len(rows) / (8 * len(_EMOJI)):.0%} of {8 * len(_EMOJI)} names agree")
        return
    words, reviews = build()
    DATA.mkdir(parents=True, exist_ok=True)
    write_compact(DATA / "words.json", words)
    write_compact(DATA / "reviews.json", reviews)
    print(f"{len(words['concepts'])} concepts in {len(LANGUAGES)} languages")


if __name__ == "__main__":
    main()
