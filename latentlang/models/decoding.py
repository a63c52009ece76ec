"""How a model writes: greedily, by draws, or by beam search, and what holds it back. Settings, no computation."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from numbers import Real
from typing import Any, Literal, get_args

from latentlang.arguments import check_count, check_unicode
from latentlang.errors import InputError, shown, unknown

How = Literal["greedy", "sample", "beam"]
WAYS: tuple[How, ...] = get_args(How)
#: New tokens at most, and beams, unless asked otherwise.
NEW_TOKENS, BEAMS = 128, 5
# Logits divided by less would not be finite, nor would scores by a length to a greater power.
_LEAST_TEMPERATURE, _MOST_LENGTH_PENALTY = 1e-20, 50
# What belongs to one way of writing, with the value that means nothing.
_OF_SAMPLES = {"temperature": 1.0, "top_k": None, "top_p": None, "samples": 1, "seed": 0}
_OF_BEAMS = {"beams": None, "length_penalty": 1.0}


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How texts are written; part of a result's provenance.

    Attributes:
        how: ``greedy`` (the likeliest token, again and again), ``sample`` or ``beam``.
        new_tokens: how many at most.
        min_new_tokens: how many before the text may end; a stop string ends it all the same.
        stop: texts at which writing ends; neither they nor what follows is kept.
        temperature: what logits are divided by before a draw.
        top_k: a draw is among so many of the likeliest tokens; None for all.
        top_p: a draw is among the likeliest tokens that together have this probability; None for all.
        samples: texts of each prompt.
        seed: of the draws.
        beams: texts that are kept side by side; None for 5.
        length_penalty: of beams: a text's log-probability is divided by its length to this power.
        repetition_penalty: what the logit of a token that is there already, in the prompt or after it, is divided by
            (multiplied with, where negative; Keskar et al. 2019); 1 for nothing.
        no_repeat_ngram: of so many tokens in a row none stands twice, the prompt's counted; 0 for no such rule.
        force_no_repeat: keep to that rule where it breaks a language (`check_no_repeat`).
    """

    how: How = "greedy"
    new_tokens: int = NEW_TOKENS
    min_new_tokens: int = 0
    stop: tuple[str, ...] = ()
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    samples: int = 1
    seed: int = 0
    beams: int | None = None
    length_penalty: float = 1.0
    repetition_penalty: float = 1.0
    no_repeat_ngram: int = 0
    force_no_repeat: bool = False

    def __post_init__(self) -> None:
        if self.how not in WAYS:
            raise unknown("way to write", self.how, WAYS)
        stop = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)
        object.__setattr__(self, "stop", stop)
        for text in stop:
            if not isinstance(text, str) or not text:
                raise InputError(f"a stop string must be a text that is not empty, not {shown(text)}")
            check_unicode(text, "a stop string")
        for name, least in (
            ("new_tokens", 1), ("min_new_tokens", 0), ("top_k", 1), ("samples", 1), ("seed", 0), ("beams", 1),
            ("no_repeat_ngram", 0),
        ):  # fmt: skip
            check_count(name, getattr(self, name), least=least)
        if self.min_new_tokens > self.new_tokens:
            raise InputError(
                f"min_new_tokens is {self.min_new_tokens} and new_tokens {self.new_tokens}; the least must not be more "
                "than the most"
            )
        _check_number("temperature", self.temperature, above=0)
        if self.temperature < _LEAST_TEMPERATURE:
            raise InputError(
                f"temperature {self.temperature!r} is too small to divide by; how='greedy' takes the likeliest token"
            )
        _check_number("repetition_penalty", self.repetition_penalty, above=0)
        _check_number("length_penalty", self.length_penalty)
        if abs(self.length_penalty) > _MOST_LENGTH_PENALTY:
            raise InputError(
                f"length_penalty is a power of the length, from -{_MOST_LENGTH_PENALTY} to {_MOST_LENGTH_PENALTY}, not "
                f"{self.length_penalty!r}"
            )
        if self.top_p is not None:
            _check_number("top_p", self.top_p, above=0)
            if self.top_p > 1:
                raise InputError(f"top_p is a probability, in (0, 1], not {self.top_p!r}")
        self._check_way()

    def _check_way(self) -> None:
        """Refuse settings of another way of writing, which would do nothing."""
        for way, names in (("sample", _OF_SAMPLES), ("beam", _OF_BEAMS)):
            for name, nothing in names.items():
                value = getattr(self, name)
                # a seed is often given to all runs alike
                if self.how != way and name != "seed" and value != nothing:
                    raise InputError(f"{name}={value!r} is for how={way!r}, and how is {self.how!r}")
        if self.force_no_repeat and not self.no_repeat_ngram:
            raise InputError("force_no_repeat=True is for no_repeat_ngram, which is not asked for")

    @property
    def width(self) -> int:
        """Texts that a prompt needs side by side."""
        return (self.beams or BEAMS) if self.how == "beam" else self.samples

    @property
    def record(self) -> dict[str, Any]:
        """The settings that mean something for this way of writing, as a provenance has them."""
        values = asdict(self)
        values["stop"] = list(self.stop)
        if self.how == "beam":
            values["beams"] = self.width
        without = {name for way, names in (("sample", _OF_SAMPLES), ("beam", _OF_BEAMS)) for name in names
                   if way != self.how}  # fmt: skip
        if not self.no_repeat_ngram:
            without |= {"force_no_repeat"}
        return {name: value for name, value in values.items() if name not in without}


def _check_number(name: str, value: object, *, above: float | None = None) -> None:
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number or not abs(float(value)) < float("inf"):  # type: ignore[arg-type]
        raise InputError(f"{name} must be a number, not {shown(value)}")
    if above is not None and float(value) <= above:  # type: ignore[arg-type]
        hint = "; how='greedy' takes the likeliest token" if name == "temperature" else ""
        raise InputError(f"{name} must be above {above}, not {value!r}{hint}")


def check_no_repeat(decoding: Decoding, tokenizer: Any) -> None:
    """Refuse that no n-gram of tokens stands twice, where a tokenizer spells characters in bytes.

    There an n-gram of tokens may be no more than one character, or a part of one, and a text of any length must repeat
    them: a character of three byte tokens could be written once.

    Raises:
        InputError: saying which bytes, and how to have it all the same.
    """
    if not decoding.no_repeat_ngram or decoding.force_no_repeat or tokenizer is None:
        return
    if not spells_bytes(tokenizer):
        return
    raise InputError(
        f"no_repeat_ngram={decoding.no_repeat_ngram} breaks languages whose characters {type(tokenizer).__name__} "
        "spells in several byte tokens: a character of as many could be written once in prompt and answer together; "
        "leave it out, use repetition_penalty, or repeat what others published with force_no_repeat=True"
    )


def spells_bytes(tokenizer: Any) -> bool:
    """Whether a tokenizer has tokens that are a part of a character: byte fallback, or byte-level BPE."""
    vocabulary = tokenizer.get_vocab()
    if all(f"<0x{value:02X}>" in vocabulary for value in range(0x80, 0x100)):
        return True
    # bytes that are no letters, as byte-level BPE writes them; other vocabularies do not have all of these
    return all(chr(letter) in vocabulary for letter in range(0x100, 0x144))
