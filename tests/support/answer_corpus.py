"""Text in the paper's 20 languages, the three tasks' label words, and small tokenizers trained on these."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

_ROWS = """
    en The film was long, but I liked the end.
    en We waited an hour for cold soup.
    en A pleasant place to post a parcel.
    zh 这部电影很长，但我喜欢结尾。
    zh 我们等了一个小时，汤是冷的。
    zh 这是寄包裹的好地方。
    de Der Film war lang, aber das Ende gefiel mir.
    de Wir warteten eine Stunde auf kalte Suppe.
    de Ein schöner Ort für große Pakete.
    fr Le film était long, mais j'ai aimé la fin.
    fr Nous avons attendu une heure une soupe froide.
    fr Un bel endroit pour poster un colis.
    es La película era larga, pero me gustó el final.
    es Esperamos una hora por una sopa fría.
    es Un lugar agradable para la señora.
    it Il film era lungo, ma la fine mi è piaciuta.
    it Abbiamo aspettato un'ora per una zuppa fredda.
    it Un posto piacevole per un pacco.
    nl De film was lang, maar ik vond het einde goed.
    nl We wachtten een uur op koude soep.
    nl Een prettige plek voor een pakje.
    ja 映画は長かったですが、結末が好きでした。
    ja 冷たいスープを一時間待ちました。
    ja ポストのあるきれいな場所です。
    ru Фильм был длинный, но конец мне понравился.
    ru Мы час ждали холодный суп.
    ru Приятное место, чтобы отправить посылку.
    sv Filmen var lång, men jag gillade slutet.
    sv Vi väntade en timme på kall soppa.
    sv En trevlig plats för ett paket.
    sl Film je bil dolg, a konec mi je bil všeč.
    sl Na mrzlo juho smo čakali eno uro.
    sl Prijeten kraj za pošiljanje paketa.
    pl Film był długi, ale zakończenie mi się podobało.
    pl Czekaliśmy godzinę na zimną zupę.
    pl Przyjemne miejsce na wysłanie paczki.
    bg Филмът беше дълъг, но краят ми хареса.
    bg Чакахме един час за студена супа.
    bg Приятно място за изпращане на колет.
    no Filmen var lang, men jeg likte slutten.
    no Vi ventet en time på kald suppe.
    no Et hyggelig sted å sende en pakke.
    ms Filem itu panjang, tetapi saya suka penamatnya.
    ms Kami menunggu sejam untuk sup sejuk.
    ms Tempat yang baik untuk menghantar bungkusan.
    is Myndin var löng en mér líkaði endirinn.
    is Við biðum í klukkutíma eftir kaldri súpu.
    is Þægilegur staður til að senda pakka.
    hi फ़िल्म लंबी थी, पर अंत मुझे अच्छा लगा।
    hi हमने ठंडे सूप के लिए एक घंटा इंतज़ार किया।
    hi पार्सल भेजने की अच्छी जगह।
    th หนังยาวแต่ฉันชอบตอนจบ
    th เรารอซุปเย็นหนึ่งชั่วโมง
    th สถานที่ดีสำหรับส่งพัสดุ
    sw Filamu ilikuwa ndefu, lakini nilipenda mwisho.
    sw Tulingoja saa moja kwa supu baridi.
    sw Mahali pazuri pa kutuma kifurushi.
    bn ছবিটি দীর্ঘ ছিল, কিন্তু শেষটা আমার ভালো লেগেছে।
    bn আমরা ঠান্ডা স্যুপের জন্য এক ঘণ্টা অপেক্ষা করেছি।
    bn পার্সেল পাঠানোর ভালো জায়গা।
"""


def _sentences(rows: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for row in rows.strip().splitlines():
        code, sentence = row.strip().split(" ", 1)
        found.setdefault(code, []).append(sentence)
    return {code: tuple(texts) for code, texts in found.items()}


SENTENCES = _sentences(_ROWS)
LANGUAGES = tuple(SENTENCES)


def _words(labels: tuple[str, ...], rows: str) -> dict[str, dict[str, tuple[str, ...]]]:
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for row in rows.strip().splitlines():
        code, words = row.strip().split(" ", 1)
        found[code] = {label: (word.strip(),) for label, word in zip(labels, words.split("/"), strict=True)}
    return {code: found[code] for code in LANGUAGES}


SENTIMENT = _words(
    ("positive", "negative"),
    """
    en positive/negative
    zh 积极/消极
    de positiv/negativ
    fr positif/négatif
    es positivo/negativo
    it positivo/negativo
    nl positief/negatief
    ja ポジティブ/ネガティブ
    ru позитивный/отрицательный
    sv positiv/negativ
    sl pozitivno/negativno
    pl pozytywny/negatywny
    bg положителен/отрицателен
    no positivt/negativt
    ms positif/negatif
    is jákvæð/neikvæð
    hi सकारात्मक/नकारात्मक
    th เชิงบวก/เชิงลบ
    sw chanya/hasi
    bn ইতিবাচক/নেতিবাচক
""",
)

# Wordings of our own for the test: what counts here is that every script and many shared beginnings occur.
NLI = _words(
    ("entailment", "neutral", "contradiction"),
    """
    en entailment/neutral/contradiction
    zh 蕴含/中立/矛盾
    de Folgerung/neutral/Widerspruch
    fr implication/neutre/contradiction
    es implicación/neutral/contradicción
    it implicazione/neutrale/contraddizione
    nl implicatie/neutraal/tegenspraak
    ja 含意/中立/矛盾
    ru следствие/нейтрально/противоречие
    sv följd/neutral/motsägelse
    sl posledica/nevtralno/protislovje
    pl wynikanie/neutralne/sprzeczność
    bg следствие/неутрално/противоречие
    no følge/nøytral/motsigelse
    ms maksud/neutral/percanggahan
    is afleiðing/hlutlaust/mótsögn
    hi निहितार्थ/तटस्थ/विरोधाभास
    th สอดคล้อง/เป็นกลาง/ขัดแย้ง
    sw matokeo/kati/mgongano
    bn এনটেইলমেন্ট/নিরপেক্ষ/দ্বন্দ্ব
""",
)
PARAPHRASE = _words(
    ("yes", "no"),
    """
    en yes/no
    zh 是/否
    de ja/nein
    fr oui/non
    es sí/no
    it sì/no
    nl ja/nee
    ja はい/いいえ
    ru да/нет
    sv ja/nej
    sl da/ne
    pl tak/nie
    bg да/не
    no ja/nei
    ms ya/tidak
    is já/nei
    hi हाँ/नहीं
    th ใช่/ไม่ใช่
    sw ndiyo/hapana
    bn হ্যাঁ/না
""",
)
TASKS = {"sentiment": SENTIMENT, "nli": NLI, "paraphrase": PARAPHRASE}


def _documents() -> Iterator[str]:
    for code in LANGUAGES:
        for sentence in SENTENCES[code]:
            yield f"{sentence}\n{sentence}"
        for task in TASKS.values():
            for (answer,) in task[code].values():
                # Some languages' words often, others' once: some become one token and some fall apart.
                times = 1 + LANGUAGES.index(code) % 3 * 3
                yield from [
                    f'Answer: "{answer}"',
                    f"Answer: {answer}",
                    f'"{answer}"',
                    f"{answer} {answer}\n",
                ] * times
    yield "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789 = Cafe\u0301"


_BYTES = [f"<0x{value:02X}>" for value in range(256)]
_SPECIALS = ["<unk>", "<s>", "</s>"]
_QWEN_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)


def wrapped(backend: Tokenizer, **options: Any) -> PreTrainedTokenizerFast:
    """A Hugging Face tokenizer around a backend, with the special tokens it has."""
    vocabulary = backend.get_vocab()
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, **{k: v for k, v in names.items() if v in vocabulary}, **options
    )


def _byte_fallback(limit: int) -> Tokenizer:
    """BPE with byte tokens, rare characters left to the bytes; no merge joins a quote to a word."""
    backend = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r'▁?["\n]'), "isolated"),
            pre_tokenizers.Split(Regex("▁"), "merged_with_next"),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=1900, special_tokens=_SPECIALS + _BYTES, limit_alphabet=limit, show_progress=False
    )
    backend.train_from_iterator(_documents(), trainer)
    record = json.loads(backend.to_str())
    record["pre_tokenizer"] = None
    record["added_tokens"] = [token for token in record["added_tokens"] if token["content"] in _SPECIALS]
    backend = Tokenizer.from_str(json.dumps(record))
    backend.decoder = decoders.Sequence([
        decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0),
    ])  # fmt: skip
    return backend


def mistral() -> PreTrainedTokenizerFast:
    """As Mistral 7B's and Llama 2's: ``▁`` by normalizer, a prefix space, byte fallback, BOS."""
    backend = _byte_fallback(limit=180)
    backend.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return wrapped(backend)


def metaspace() -> PreTrainedTokenizerFast:
    """The same with ``▁`` put by a Metaspace pre-tokenizer, at the text's beginning only."""
    backend = _byte_fallback(limit=180)
    backend.normalizer = None
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    return wrapped(backend)


def gemma() -> PreTrainedTokenizerFast:
    """As Gemma's: no prefix space; runs of spaces and line ends are added tokens."""
    backend = _byte_fallback(limit=180)
    backend.normalizer = normalizers.Replace(" ", "▁")
    backend.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    backend.decoder = decoders.Sequence([
        decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
    ])  # fmt: skip
    tokenizer = wrapped(backend)
    tokenizer.add_tokens(["▁▁", "\n\n", "<unused7>"])
    return tokenizer


def _byte_level(split: str | None, *, compose: bool) -> Tokenizer:
    backend = Tokenizer(models.BPE())
    if compose:
        backend.normalizer = normalizers.NFC()
    spelling = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=split is None)
    backend.pre_tokenizer = (
        spelling
        if split is None
        else pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(split), "isolated"), spelling])
    )
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1400, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False
    )
    backend.train_from_iterator(_documents(), trainer)
    return backend


def gpt2() -> PreTrainedTokenizerFast:
    """As GPT-2's: byte-level BPE with its own splitting."""
    return wrapped(_byte_level(None, compose=False))


def qwen() -> PreTrainedTokenizerFast:
    """As Qwen's: byte-level BPE, NFC, a splitting pattern that lets a quote stick to the word after it."""
    tokenizer = wrapped(_byte_level(_QWEN_SPLIT, compose=True))
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_end|>"]})
    tokenizer.add_tokens(["<tool_call>", "déjà"])
    return tokenizer


def llama3() -> PreTrainedTokenizerFast:
    """As Llama 3's: the same without NFC, with BOS."""
    tokenizer = wrapped(_byte_level(_QWEN_SPLIT.replace(r"\p{N}|", r"\p{N}{1,3}|"), compose=False))
    tokenizer.add_special_tokens({"bos_token": "<|begin_of_text|>"})
    bos = tokenizer.convert_tokens_to_ids("<|begin_of_text|>")
    tokenizer.backend_tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(
                single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", bos)]
            ),
        ]
    )
    return tokenizer


def unigram() -> PreTrainedTokenizerFast:
    """As XGLM's and T5's: Unigram with Metaspace, NFKC, no bytes."""
    backend = Tokenizer(models.Unigram())
    backend.normalizer = normalizers.NFKC()
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    backend.decoder = decoders.Metaspace(prepend_scheme="always")
    trainer = trainers.UnigramTrainer(
        vocab_size=1500, special_tokens=_SPECIALS, unk_token="<unk>", show_progress=False
    )
    backend.train_from_iterator(_documents(), trainer)
    return wrapped(backend)


MAKERS: dict[str, Callable[[], PreTrainedTokenizerFast]] = {
    make.__name__: make for make in (mistral, metaspace, gemma, gpt2, qwen, llama3, unigram)
}


@cache
def trained(kind: str) -> PreTrainedTokenizerFast:
    """One of `MAKERS`, trained once per test run; not to be changed."""
    return MAKERS[kind]()
