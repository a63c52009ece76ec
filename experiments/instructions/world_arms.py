"""Arms in the made world, after four papers: what each is trained on, what is asked afterwards, what must come out.

- ``languages``: instructions in many languages, in one, or in English, with answers in the language or in English
  (Bactrian-X).
- ``pivots``: English and Chinese instructions alone, and with translations between other languages and these pivots,
  right ones or exchanged (BayLing 2).
- ``origins``: native, translated and round-trip answers, matched in length or not, and one defect at a time (Chen et
  al.).
- ``parts``: what is spoken of alike in all languages and what is not, either left out, and the first pruned
  (UltraLink).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from experiments.instructions.made_world import (
    SPECIFIC,
    Item,
    Style,
    agnostic_categories,
    facts,
    held_out_concepts,
    items_of,
    learnt_concepts,
    specific_facts,
    translations,
)
from latentlang.instructions import Arm, Dialogue, build_arms

#: Languages that are trained in, all of which `pocket` knows few facts in; and those that are not.
TRAINED, UNSEEN = ("ru", "zh", "hi", "bg", "is", "es", "ja", "it"), ("bn", "pl", "sw", "fr")
#: Dialogues of an arm, where arms are of equal size.
SIZE = 96
PRUNED = (0, 8, 32, 96)
SHORT, LONG = {0: 1.0}, {2: 0.5, 4: 0.5}
#: Lengths of what was written natively and of what was translated from English: longer, as in the data of Chen et al.
NATIVE_LENGTHS, ENGLISH_LENGTHS = {0: 0.85, 2: 0.1, 4: 0.05}, {0: 0.1, 2: 0.3, 4: 0.6}
#: What a translation does to answers.
DEFECTS = Style(noise=0.2, marked=0.5, left=0.3)


@dataclass(frozen=True)
class Effect:
    """What must come out: held-out answers of a set after two arms.

    Attributes:
        arm: whose loss is compared.
        other: with whose.
        asked: the set.
        sign: 1 where the arm's loss must be higher, -1 lower, 0 where nothing sets the arms apart but the seed; None
            where the design does not say.
    """

    arm: str
    other: str
    asked: str
    sign: int | None


@dataclass(frozen=True)
class Trial:
    """Arms of a kind for one seed, and what all of them are asked.

    Attributes:
        arms: name to dialogues.
        asked: name of each set to its dialogues, of held-out things.
    """

    arms: Mapping[str, Sequence[Dialogue]]
    asked: Mapping[str, Sequence[Dialogue]]


def _held_out(codes: Sequence[str], style: Style | None = None) -> list[Dialogue]:
    items = items_of(held_out_concepts(), len(held_out_concepts()), seed=0)
    return [one for code in codes for one in facts(items, code, style)]


def languages(seed: int, size: int = SIZE) -> Trial:
    """In many languages, one or English; answered in the language or not."""
    each = items_of(learnt_concepts(), size // len(TRAINED), seed=seed)
    many = items_of(learnt_concepts(), size, seed=seed)
    share = {code: many[place * len(each) : (place + 1) * len(each)] for place, code in enumerate(TRAINED)}

    def in_all(style: Style | None = None) -> list[Dialogue]:
        return [one for code, items in share.items() for one in facts(items, code, style, seed=seed)]

    arms = {
        "eight": in_all(), "eight again": in_all(),
        "a quarter in English": in_all(Style(wrong_language=0.25)),
        "all in English": in_all(Style(wrong_language=1.0)),
        "ru alone": facts(many, "ru", seed=seed), "en alone": facts(many, "en", seed=seed),
    }  # fmt: skip
    others = [code for code in TRAINED if code != "ru"]
    asked = {
        "ru": _held_out(["ru"]), "seven others": _held_out(others), "unseen": _held_out(UNSEEN),
        "en": _held_out(["en"]),
        "answered in English": _held_out(TRAINED, Style(wrong_language=1.0)),
    }  # fmt: skip
    return Trial(arms, asked)


def pivots(seed: int, size: int = SIZE) -> Trial:
    """Pivots' instructions alone; and translations to and from English, Chinese, both, or exchanged."""
    codes = [code for code in TRAINED if code != "zh"]
    half = items_of(learnt_concepts(), size // 2, seed=seed)
    ground = [one for code in ("en", "zh") for one in facts(half, code, seed=seed)]
    more = items_of(learnt_concepts(), size, seed=seed + 1000)

    def pairs(names: Sequence[str], *, wrong: bool = False) -> list[Dialogue]:
        ends = [pair for code in codes for name in names for pair in ((code, name), (name, code))]
        share = len(more) // len(ends)
        return [
            one for place, (source, target) in enumerate(ends)
            for one in translations(more[place * share : (place + 1) * share], source, target, wrong_pairs=wrong)
        ]  # fmt: skip

    both = ground + pairs(["en", "zh"])
    as_many = items_of(learnt_concepts(), len(both) // 2, seed=seed)
    arms = {
        "none": ground,
        "none, as many steps": [one for code in ("en", "zh") for one in facts(as_many, code, seed=seed)],
        "en": ground + pairs(["en"]), "zh": ground + pairs(["zh"]), "both": both,
        "wrong pairs": ground + pairs(["en", "zh"], wrong=True),
    }  # fmt: skip
    things = items_of(held_out_concepts(), len(held_out_concepts()), seed=0)
    asked = {
        "facts": _held_out(codes),
        "to en": [one for code in codes for one in translations(things, code, "en")],
        "to zh": [one for code in codes for one in translations(things, code, "zh")],
        "from zh": [one for code in codes for one in translations(things, "zh", code)],
    }
    return Trial(arms, asked)


def origins(seed: int, size: int = SIZE) -> Trial:
    """Native, translated, round trip; matched in length or not; one defect at a time. All in Russian."""
    code, drawn = "ru", items_of(learnt_concepts(), 6 * size, seed=seed)
    native_items, english_items = drawn[: 3 * size], drawn[3 * size :]
    defects = replace(DEFECTS, lengths=NATIVE_LENGTHS)
    engine_b = Style(ENGLISH_LENGTHS, noise=0.3, marked=0.5, left=0.3)

    def arm(name: str, items: Sequence[Item], style: Style, *, parallel: str) -> Arm:
        made = facts(items, code, style, seed=seed, origin=name)
        # things are asked about several times: here each is an item of its own
        return Arm(name, code, [replace(one, group=one.id) for one in made], parallel_to=parallel)

    families = [
        arm("native", native_items, Style(NATIVE_LENGTHS), parallel="native"),
        arm("round trip", native_items, defects, parallel="native"),
        arm("engine a", english_items, replace(defects, lengths=ENGLISH_LENGTHS), parallel="en"),
        arm("engine b", english_items, engine_b, parallel="en"),
        # nothing was translated badly here: what sets it apart from native is its lengths
        arm("lengths alone", english_items, Style(ENGLISH_LENGTHS), parallel="en"),
    ]
    free = build_arms(families, items=size, seed=seed, check_language=False)
    matched = build_arms(families, items=size // 3, seed=seed, match_lengths=True, check_language=False)
    arms: dict[str, Sequence[Dialogue]] = {one.name: _grouped(one.dialogues) for one in free.arms}
    arms |= {f"{one.name}, matched": _grouped(one.dialogues) for one in matched.arms}
    single_words = native_items[:size]
    one_defect = {
        "clean": Style(), "noise .2": Style(noise=0.2), "noise .5": Style(noise=0.5), "marked": Style(marked=1.0),
        "long": Style(LONG), "long, half left": Style(LONG, left=0.5),
    }  # fmt: skip
    arms |= {name: facts(single_words, code, style, seed=seed) for name, style in one_defect.items()}
    arms["clean again"] = arms["clean"]
    asked = {
        "short": _held_out([code]), "long": _held_out([code], Style(LONG)),
        "marked": _held_out([code], Style(marked=1.0)),
    }  # fmt: skip
    return Trial(arms, asked)


def parts(seed: int, size: int = SIZE) -> Trial:
    """What is spoken of alike in all languages, in English and pruned in another; and what is not."""
    code = "zh"
    alike = items_of(learnt_concepts(agnostic_categories()), max(PRUNED), seed=seed)
    own = items_of(learnt_concepts(SPECIFIC), size // 2, seed=seed)
    english = facts(alike[:size], "en", seed=seed, origin="agnostic")
    specific = specific_facts(own, code, seed=seed)
    agnostic = facts(alike, code, seed=seed, origin="agnostic")
    elsewhere = specific_facts(own, "es", seed=seed)
    arms: dict[str, Sequence[Dialogue]] = {
        f"agnostic {number}": [*english, *specific, *agnostic[:number]] for number in PRUNED
    }
    arms["no specific"] = [*english, *agnostic]
    arms["no agnostic"] = specific
    arms["specific of es"] = [*english, *elsewhere, *agnostic]
    held = {
        name: items_of(held_out_concepts(categories), 47, seed=0)[: len(held_out_concepts(categories))]
        for name, categories in (("agnostic", agnostic_categories()), ("specific", SPECIFIC))
    }
    asked = {
        "agnostic": facts(held["agnostic"], code), "specific": specific_facts(held["specific"], code),
        "agnostic, en": facts(held["agnostic"], "en"), "agnostic, ja": facts(held["agnostic"], "ja"),
    }  # fmt: skip
    return Trial(arms, asked)


def _grouped(dialogues: Sequence[Dialogue]) -> list[Dialogue]:
    """Under the things' names again, by which what is asked afterwards is held out."""
    return [replace(one, group=one.id.rpartition("/")[0].rpartition("/")[0]) for one in dialogues]


TRIALS: dict[str, Callable[..., Trial]] = {
    "languages": languages, "pivots": pivots, "origins": origins, "parts": parts,
}  # fmt: skip
EFFECTS: dict[str, tuple[Effect, ...]] = {
    "languages": (
        Effect("all in English", "eight", "ru", 1),
        Effect("all in English", "eight", "seven others", 1),
        Effect("a quarter in English", "eight", "seven others", 1),
        Effect("all in English", "a quarter in English", "seven others", 1),
        Effect("all in English", "eight", "answered in English", -1),
        Effect("all in English", "eight", "unseen", None),
        Effect("ru alone", "eight", "ru", None),
        Effect("eight", "ru alone", "seven others", None),
        Effect("eight", "en alone", "seven others", -1),
        Effect("eight", "en alone", "unseen", None),
        Effect("eight again", "eight", "seven others", 0),
    ),
    "pivots": (
        Effect("wrong pairs", "both", "to zh", 1),
        Effect("wrong pairs", "both", "to en", 1),
        Effect("wrong pairs", "none", "to zh", 1),
        Effect("zh", "none", "to zh", -1),
        Effect("zh", "none", "from zh", -1),
        Effect("both", "none, as many steps", "facts", None),
        Effect("en", "none, as many steps", "facts", None),
        Effect("zh", "none, as many steps", "facts", None),
        Effect("wrong pairs", "both", "facts", None),
    ),
    "origins": (
        Effect("noise .5", "clean", "short", 1),
        Effect("noise .5", "noise .2", "short", 1),
        Effect("marked", "clean", "short", 1),
        Effect("marked", "clean", "marked", -1),
        Effect("long", "clean", "short", 1),
        Effect("long", "clean", "long", -1),
        Effect("long, half left", "long", "long", 1),
        Effect("lengths alone", "native", "short", 1),
        Effect("lengths alone", "native", "long", -1),
        Effect("lengths alone, matched", "native, matched", "short", 0),
        Effect("lengths alone, matched", "native, matched", "long", 0),
        Effect("engine a", "native", "short", 1),
        Effect("engine a, matched", "native, matched", "short", 1),
        Effect("round trip", "native", "short", 1),
        Effect("engine b, matched", "engine a, matched", "short", None),
        Effect("clean again", "clean", "short", 0),
    ),
    "parts": (
        Effect("agnostic 96", "agnostic 0", "agnostic", -1),
        Effect("agnostic 8", "agnostic 0", "agnostic", None),
        Effect("agnostic 96", "agnostic 32", "agnostic", None),
        Effect("no specific", "agnostic 96", "specific", 1),
        Effect("specific of es", "agnostic 96", "specific", 1),
        Effect("no agnostic", "agnostic 96", "agnostic", 1),
        Effect("no specific", "agnostic 96", "agnostic", None),
    ),
}
