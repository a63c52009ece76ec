"""Small made-up files in the layouts of published benchmarks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> Path:
    """JSON lines, and the folders above them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "".join(json.dumps(dict(r), ensure_ascii=False) + "\n" for r in records), encoding="utf-8"
    )
    return path


_XCOPA = {
    "it": [
        ("Il vaso è caduto.", "Il gatto lo ha urtato.", "Il sole splendeva.", "cause", 0),
        ("La pioggia era forte.", "La strada era asciutta.", "La strada si è allagata.", "effect", 1),
        ("Anna ha acceso il forno.", "Il pane si è cotto.", "Il pane si è gelato.", "effect", 0),
        ("Il treno era in ritardo.", "La linea era guasta.", "Il biglietto era blu.", "cause", 0),
        ("Luca ha studiato molto.", "Ha fallito l'esame.", "Ha superato l'esame.", "effect", 1),
        ("Il cane abbaiava.", "La casa era di legno.", "Qualcuno ha bussato.", "cause", 1),
    ],
    "th": [
        ("แก้วตกลงพื้น", "แก้วแตก", "แก้วลอย", "effect", 0),
        ("ฝนตกหนัก", "ถนนแห้ง", "นํ้าท่วมถนน", "effect", 1),
        ("เขาเปิดไฟ", "ห้องสว่าง", "ห้องมืด", "effect", 0),
        ("เธอวิ่งเร็ว", "เธอกลัวหมา", "ฟ้าเป็นสีเขียว", "cause", 0),
        ("แมวหิว", "แมวกินปลา", "แมวกินหิน", "effect", 0),
        ("เด็กร้องไห้", "เด็กได้ขนม", "เด็กหกล้ม", "cause", 1),
    ],
    "zh": [
        ("杯子掉在地上。", "杯子碎了。", "杯子飞了。", "effect", 0),
        ("雨下得很大。", "路很干。", "路被淹了。", "effect", 1),
        ("他开了灯。", "房间亮了。", "房间暗了。", "effect", 0),
        ("她跑得很快。", "她怕狗。", "天是绿的。", "cause", 0),
        ("猫饿了。", "猫吃了鱼。", "猫吃了石头。", "effect", 0),
        ("孩子哭了。", "孩子得到糖。", "孩子摔倒了。", "cause", 1),
    ],
}
_XWINOGRAD = {
    "en": [
        ("The cup did not fit into the box because _ was too big.", "the cup", "the box", "1"),
        ("The cup did not fit into the box because _ was too small.", "the cup", "the box", "2"),
        ("Anna thanked Maria because _ had helped.", "Anna", "Maria", "2"),
        ("The dog chased the cat until _ got tired.", "the dog", "the cat", "1"),
        ("Tom paid Bill after _ had sold the car.", "Tom", "Bill", "2"),
        ("The glass hit the stone and _ broke.", "the glass", "the stone", "1"),
    ],
    "jp": [
        ("犬は猫を追いかけた。_は疲れたからだ。", "犬", "猫", "1"),
        ("花子は雪子に感謝した。_が助けたからだ。", "花子", "雪子", "2"),
        ("箱にカップが入らない。_が大きすぎるからだ。", "箱", "カップ", "2"),
        ("太郎は次郎に払った。_が車を売ったからだ。", "太郎", "次郎", "2"),
        ("石がガラスに当たり、_が割れた。", "石", "ガラス", "2"),
        ("先生は学生を褒めた。_が頑張ったからだ。", "先生", "学生", "2"),
    ],
}


def xcopa_records(language: str) -> list[dict[str, Any]]:
    """Six items in XCOPA's columns."""
    names = ("premise", "choice1", "choice2", "question", "label")
    return [
        {**dict(zip(names, item, strict=True)), "idx": n, "changed": False}
        for n, item in enumerate(_XCOPA[language])
    ]


def xwinograd_records(language: str) -> list[dict[str, Any]]:
    """Six items in the columns of XWinograd on the hub; the language as files there call it."""
    names = ("sentence", "option1", "option2", "answer")
    return [dict(zip(names, item, strict=True)) for item in _XWINOGRAD[language]]


def xcopa_folder(root: Path) -> Path:
    """Made-up XCOPA in Italian, Thai and Chinese, laid out as published."""
    for language in _XCOPA:
        write_lines(root / "xcopa" / "data" / language / f"val.{language}.jsonl", xcopa_records(language))
    return root / "xcopa"


def xwinograd_folder(root: Path) -> Path:
    """Made-up XWinograd in English and Japanese, as on the hub."""
    for language in _XWINOGRAD:
        write_lines(root / "xwinograd" / "test" / f"{language}.jsonl", xwinograd_records(language))
    return root / "xwinograd"
