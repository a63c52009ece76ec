"""Languages: one record each, found by ISO code, FLORES code or English name, and named groups of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from latentlang.arguments import checked_call, split_given
from latentlang.errors import InputError, shown, unknown

# ISO 639-1 (or -3 where there is no two-letter code) and FLORES-200 code, whose suffix is the ISO 15924 script.
_FLORES101 = """
af afr_Latn|am amh_Ethi|ar arb_Arab|hy hye_Armn|as asm_Beng|ast ast_Latn|az azj_Latn|be bel_Cyrl|bn ben_Beng
bs bos_Latn|bg bul_Cyrl|my mya_Mymr|ca cat_Latn|ceb ceb_Latn|zh zho_Hans|zh-Hant zho_Hant|hr hrv_Latn|cs ces_Latn
da dan_Latn|nl nld_Latn|en eng_Latn|et est_Latn|fil tgl_Latn|fi fin_Latn|fr fra_Latn|ff fuv_Latn|gl glg_Latn
lg lug_Latn|ka kat_Geor|de deu_Latn|el ell_Grek|gu guj_Gujr|ha hau_Latn|he heb_Hebr|hi hin_Deva|hu hun_Latn
is isl_Latn|ig ibo_Latn|id ind_Latn|ga gle_Latn|it ita_Latn|ja jpn_Jpan|jv jav_Latn|kea kea_Latn|kam kam_Latn
kn kan_Knda|kk kaz_Cyrl|km khm_Khmr|ko kor_Hang|ky kir_Cyrl|lo lao_Laoo|lv lvs_Latn|ln lin_Latn|lt lit_Latn
luo luo_Latn|lb ltz_Latn|mk mkd_Cyrl|ms zsm_Latn|ml mal_Mlym|mt mlt_Latn|mi mri_Latn|mr mar_Deva|mn khk_Cyrl
ne npi_Deva|nso nso_Latn|no nob_Latn|ny nya_Latn|oc oci_Latn|or ory_Orya|om gaz_Latn|ps pbt_Arab|fa pes_Arab
pl pol_Latn|pt por_Latn|pa pan_Guru|ro ron_Latn|ru rus_Cyrl|sr srp_Cyrl|sn sna_Latn|sd snd_Arab|sk slk_Latn
sl slv_Latn|so som_Latn|ckb ckb_Arab|es spa_Latn|sw swh_Latn|sv swe_Latn|tg tgk_Cyrl|ta tam_Taml|te tel_Telu
th tha_Thai|tr tur_Latn|uk ukr_Cyrl|umb umb_Latn|ur urd_Arab|uz uzn_Latn|vi vie_Latn|cy cym_Latn|wo wol_Latn
xh xho_Latn|yo yor_Latn|zu zul_Latn
"""
# Country codes that are taken for languages' codes and are none (a code that is both, as "se", is the language's).
_COUNTRIES = {
    "jp": "ja", "cn": "zh", "gr": "el", "cz": "cs", "dk": "da", "ua": "uk", "vn": "vi", "ir": "fa", "il": "he",
    "rs": "sr", "kz": "kk", "ge": "ka", "bd": "bn", "np": "ne", "kh": "km", "pk": "ur",
    "by": "be", "tj": "tg", "ph": "fil",
}  # fmt: skip
# Codes that are a language's and a country's both: what is likely meant where nothing is there in the language.
_ALSO_COUNTRIES = {
    "se": "sv", "ee": "et", "si": "sl", "tw": "zh-Hant", "br": "pt", "ba": "bs", "ch": "de", "la": "lo",
    "ar": "es", "am": "hy", "my": "ms",
}  # fmt: skip
# Kanuri's code, but South Korea's country code too: refused, not guessed.
_KANURI = "kr"
# A language of one's own, which no list has: private use in BCP 47 (RFC 5646, section 2.2.7).
_OWN = re.compile(r"x(-[a-z0-9]{1,8})+")
_UNKNOWN_SCRIPT = "Zyyy"
#: Scripts that put no spaces between words, of languages (ISO 15924); Korean and Vietnamese put some.
UNSPACED_SCRIPTS = frozenset({
    "Bali", "Hani", "Hans", "Hant", "Java", "Jpan", "Khmr", "Lana", "Laoo", "Mymr", "Thai", "Tibt",
})  # fmt: skip
_RIGHT_TO_LEFT = frozenset({"Arab", "Hebr", "Thaa", "Syrc", "Nkoo", "Adlm"})

_HINT = "`latentlang languages` lists them, and your own is written x- and its name (x-mine)"

# What is typed in the hope of all languages, where a few are to be named.
_EVERY = frozenset({"all", "*", "any", "every"})

# The order of the reference paper's tables (Zhang et al. 2024, Table 1).
_PAPER20 = "en zh de fr es it nl ja ru sv sl pl bg no ms is hi th sw bn"


@dataclass(frozen=True)
class Language:
    """One language.

    Attributes:
        code: ISO 639 code used everywhere in this package (``"ja"``).
        flores: FLORES-200 code (``"jpn_Jpan"``), empty where FLORES has none.
        script: ISO 15924 code of the usual script (``"Jpan"``).
    """

    code: str
    flores: str
    script: str

    @cached_property
    def name(self) -> str:
        """The English name (``"Japanese"``), from Unicode CLDR; of a language of one's own what its code says."""
        if _OWN.fullmatch(self.code):
            return self.code.removeprefix("x-").replace("-", " ").capitalize()
        return _cldr_name(self.code, "en") or self.code

    @cached_property
    def own_name(self) -> str:
        """The language's name in itself with a capital first letter (``"Français"``), from Unicode CLDR."""
        native = _cldr_name(self.code, self.code) or self.name
        # In title case, which is no capital where the script has none: Georgian's capitals are for whole words alone.
        return native[:1].title() + native[1:]

    def name_in(self, other: str) -> str:
        """The name in another language, as in a sentence (``"japonais"``); the English one where there is none.

        Args:
            other: code of the language that the sentence is in.
        """
        return _cldr_name(self.code, other) or self.name

    @property
    def rtl(self) -> bool:
        """Whether the script runs from right to left."""
        return self.script in _RIGHT_TO_LEFT

    def __str__(self) -> str:
        return self.code


def _cldr_name(code: str, display: str) -> str | None:
    from babel import Locale, UnknownLocaleError

    try:
        names = Locale.parse(display, sep="-").languages
    except (UnknownLocaleError, ValueError):
        return None
    return names.get(code.replace("-", "_")) or names.get(code.split("-")[0])


def script_name(code: str) -> str:
    """A script's English name by its ISO 15924 code (``"Devanagari"``), from Unicode CLDR; else the code itself."""
    from babel import Locale

    # Alone they are called otherwise than behind a language's name, "Chinese (Simplified)".
    alone = {_UNKNOWN_SCRIPT: "script not known", "Hans": "Simplified Han", "Hant": "Traditional Han"}
    return alone.get(code) or str(Locale.parse("en").scripts.get(code, code))


@lru_cache(maxsize=1)
def _table() -> dict[str, Language]:
    rows = (row.split() for line in _FLORES101.strip().splitlines() for row in line.split("|"))
    return {code: Language(code, flores, flores.split("_")[1]) for code, flores in rows}


@lru_cache(maxsize=1)
def _aliases() -> dict[str, str]:
    by_alias: dict[str, str] = {}
    for entry in _table().values():
        for alias in (entry.code, entry.flores, entry.flores.split("_")[0], entry.name):
            by_alias.setdefault(alias.casefold(), entry.code)
    # CLDR's English names moved on; the literature's did not.
    by_alias.update({"bengali": "bn", "bokmål": "no", "nb": "no", "mandarin": "zh", "cmn": "zh", "arb": "ar"})
    # As the declaration of human rights is tagged: Malay without its standard.
    by_alias["zlm"] = "ms"
    by_alias.update(_COUNTRIES)
    return by_alias


@lru_cache(maxsize=1)
def _own_names() -> dict[str, str]:
    """The languages' names in themselves (``"deutsch"``); a language per name, the first of the table."""
    names: dict[str, str] = {}
    for entry in _table().values():
        names.setdefault(entry.own_name.casefold(), entry.code)
    return names


@lru_cache(maxsize=1)
def _plain_names() -> dict[str, str]:
    """Names in Latin letters as they are typed without their accents (``"maori"``, ``"turkce"``)."""
    names: dict[str, str] = {}
    for entry in _table().values():
        for name in (entry.name, entry.own_name):
            letters = unicodedata.normalize("NFD", name.casefold())
            plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
            if plain.isascii():
                names.setdefault(plain, entry.code)
    return names


GROUPS: dict[str, tuple[str, ...]] = {
    "paper20": tuple(_PAPER20.split()),
    "flores101": tuple(_table()),  # 101 languages, Chinese in both scripts
}


@checked_call
def language(value: str | Language) -> Language:
    """Find a language by ISO code, FLORES code, English name or its own name (``"Deutsch"``).

    Old codes (``iw``, ``in``, ``tl``), three-letter codes (``fas``) and codes with a region (``pt_BR``, ``zh-TW``) mean
    the language that is written so: the region is dropped, the script decides (``zh-TW`` is ``zh-Hant``).
    A well-formed code outside the table (``"eo"``, ``"sr-Latn"``) is accepted when CLDR has it. A language that no
    list has is written ``"x-"`` and its name in letters and digits, at most eight between hyphens (``"x-toki-pona"``):
    the code says all there is to know, so that nothing needs to be registered.

    Raises:
        InputError: the name is not known; the nearest names are given. Or it is several names.
    """
    if isinstance(value, Language):
        return value
    text = str(value).strip()
    entry = _table().get(text)
    if entry is None:
        code = _aliases().get(text.casefold())
        entry = _table()[code] if code else _unlisted(text.casefold()) or _from_cldr(text)
    if entry is None and (named := _own_names().get(text.casefold()) or _plain_names().get(text.casefold())):
        entry = _table()[named]
    if entry is None and "," in text:
        raise InputError(f"one language is wanted here, not {shown(text)}; name one")
    if entry is None and text.casefold() in _EVERY:
        raise InputError(
            f"{shown(text)} names no language; name them (en,ja), or a group: {', '.join(GROUPS)}"
        )
    if entry is None:
        names = [*_table(), *(entry.name for entry in _table().values()), *GROUPS]
        raise unknown("language", text, names, hint=_HINT)
    return entry


def _unlisted(text: str) -> Language | None:
    return Language(text, "", _UNKNOWN_SCRIPT) if _OWN.fullmatch(text) else None


@lru_cache(maxsize=256)
def _from_cldr(text: str) -> Language | None:
    import langcodes

    subtags = text.replace("_", "-")
    try:
        tag = langcodes.Language.get(langcodes.standardize_tag(subtags))
        given = langcodes.Language.get(subtags, normalize=False)
    except ValueError:
        return None
    if not tag.language or not tag.is_valid() or not given.language:
        return None
    if tag.language == _KANURI:
        raise InputError(
            f"language {text!r}: {_KANURI} is Kanuri's code and South Korea's country code; write ko for Korean, "
            "x-kanuri for Kanuri"
        )
    code = _aliases().get(tag.language.casefold(), tag.language)
    script = tag.script or tag.maximize().script or _UNKNOWN_SCRIPT
    for entry in (_table().get(code), _table().get(f"{code}-{script}")):
        if entry is not None and entry.script == script:
            return entry
    # Not the script the language is usually written in, or a language the table does not have.
    usual = langcodes.Language.get(code).maximize().script
    shortest = code if script in (usual, _UNKNOWN_SCRIPT) else f"{code}-{script}"
    if _cldr_name(shortest, "en") is None:
        return None
    return Language(shortest, "", script)


def meant_instead(code: str) -> Language | None:
    """The language of the country whose code this language's code is too (``se``: Swedish); None for other codes."""
    other = _ALSO_COUNTRIES.get(code)
    return None if other is None else _table()[other]


@checked_call
def languages(spec: str | Language | Iterable[str | Language]) -> tuple[Language, ...]:
    """Resolve codes, names and groups to languages, in order and without repeats.

    Args:
        spec: one language, ``"ja,hi"``, a group (``"paper20"``, ``"flores101"``), or a sequence of any of these.

    Raises:
        InputError: a name is not known, or nothing is named.
    """
    resolved: dict[str, Language] = {}
    for part in () if spec is None else split_given(spec):
        group = GROUPS.get(part.casefold()) if isinstance(part, str) else None
        for entry in (language(code) for code in group) if group else (language(part),):
            resolved.setdefault(entry.code, entry)
    if not resolved:
        raise InputError("no language named; give codes such as 'ja,hi' or the group 'paper20'")
    return tuple(resolved.values())


def one_language(spec: str | Language | Iterable[str | Language]) -> Language:
    """The one language that is named, where several are no use; it may come alone in a list.

    Args:
        spec: as in `languages`.

    Raises:
        InputError: a name is not known, or it is none or several.
    """
    found = languages(spec)
    if len(found) > 1:
        codes = ", ".join(entry.code for entry in found)
        raise InputError(f"one language is needed here, not {codes}; name one")
    return found[0]


def language_pair(pair: Sequence[str]) -> str:
    """``French to Japanese``, of two codes."""
    return f"{language(pair[0]).name} to {language(pair[1]).name}"
