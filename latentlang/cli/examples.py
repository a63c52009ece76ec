"""Examples of every command, shown at the end of its ``--help``; a test parses each of them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

# Characters of a line beside its margins and the sign that it goes on, in a terminal of 80 columns.
_LINE_LENGTH = 76
_BEFORE_OPTION = re.compile(r" (?=--[a-z])")

#: Command (``data get`` for one of a group) to what is typed after ``latentlang``, and what that shows.
EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "lens": (
        ("lens --lang ja", "French to Japanese on the embedded model"),
        ("lens --model gemma3-270m --lang ja,hi --items 20", "two languages on a real one"),
        ("lens --lang ja --candidates paper20", "which of twenty languages leads"),
        (
            "lens --data words.csv --lang x-mine --candidates all",
            "words of your own, in a language of your own",
        ),
        ("lens --model path/to/instruct --lang ja --chat", "an instruct model, in its chat template"),
        ("lens --lang paper20 --cluster auto --workers 2", "shared out over two processes"),
    ),
    "explore": (
        ("explore", "the embedded model, in a browser"),
        (
            'explore --model gemma3-270m --prompt \'Français: "fleur" - Deutsch: "\'',
            "a real one, on a text of yours",
        ),
        ("explore --out page.html --no-browser", "one file that needs neither Python nor a network"),
    ),
    "tokens": (
        ("tokens --lang sv,no,is", "which tokens can begin an answer, and who shares them"),
        ("tokens --data words.csv --lang x-mine --model mistral", "the same for words of your own"),
    ),
    "tune": (
        ("tune --out tuned --steps 60", "a quick one, for `latentlang lens --tuned tuned`"),
        ("tune --model gemma3-270m --text udhr --lang ja,hi --out tuned", "on real text of two languages"),
    ),
    "jacobian": (
        (
            "jacobian --text udhr --lang en,ja --items 4 --out jacobian",
            "on four paragraphs of two languages, for `lens --jacobian jacobian`",
        ),
        (
            "jacobian --model gemma3-270m --text udhr --lang en,fr,ru,zh --items 20 --layers 10-17 --out jacobian",
            "some layers of a real model",
        ),
    ),
    "lenses": (
        (
            "lenses --lang de,ja --lens logit --lens tuned:tuned --lens jacobian:jacobian",
            "is English there under each of them?",
        ),
        (
            "lenses --lang ja --lens english=jacobian:one --lens all=jacobian:two --items 20",
            "a lens fitted on English beside one fitted on several languages",
        ),
    ),
    "train": (
        ("train --recipe zh+es-en --out adapter", "question alignment with Chinese and Spanish"),
        ("train --recipe zh+es-en --wrong-pairs --out control", "its negative control"),
        ("train --recipe zh+es-en --seeds 3 --out runs", "three runs that differ in their seed"),
    ),
    "compare": (
        ("compare --adapter adapter --out comparison", "before and after, on one page"),
        ("compare --adapter one --adapter two --against model --out all", "several, each against the model"),
        (
            "compare --adapter adapter --lang ja,hi --items 20 --parts lens --out look",
            "a quick look at the lens",
        ),
    ),
    "reproduce": (
        ("reproduce --dry-run", "what would be run, and what it costs"),
        ("reproduce --only fig1 --model pocket --out out", "one figure, on the embedded model"),
        ("reproduce ultralink --dry-run", "another paper: what of it can be had here"),
    ),
    "sweep": (
        ("sweep sweep.yaml --dry-run", "the table of jobs"),
        ("sweep sweep.yaml --jobs 2", "two at once; given again, it goes on"),
        ("sweep sweep.yaml --slurm", "as an array script for a cluster"),
    ),
    "evaluate": (
        ("evaluate --task sentiment,nli --lang ja,hi", "accuracies with intervals"),
        ("evaluate --adapter adapter --lang ja", "without and with an adapter"),
        ("evaluate --task xcopa --data xcopa --lang it,sw,th", "a published set, from its files"),
        ("evaluate --task sentiment,nli --cluster 10.0.0.1:6379 --workers 8", "on a Ray cluster"),
        ("evaluate --harness xcopa_it,xcopa_sw --items 100", "tasks of lm-eval, with a row per item"),
    ),
    "answer": (
        ("answer --prompt 'Le chat est' --lang fr --new-tokens 20", "one text gone on with, greedily"),
        (
            "answer --model gemma3-270m --prompts questions.jsonl --how sample --temperature 0.7 --samples 4",
            "four drawn answers to each prompt of a file",
        ),
        (
            "answer --model path/to/instruct --adapter adapter --prompts ja.txt --chat",
            "in its chat template, without an adapter and with it",
        ),
    ),
    "ask": (
        (
            "ask --task xquad --data xquad.en.json --data xquad.es.json --items 20",
            "questions on a text: exact match, F1, the reference's probability",
        ),
        (
            "ask --task mgsm --data mgsm --lang en,es,zh --model gemma3-270m --items 20",
            "arithmetic, few-shot",
        ),
        (
            "ask --task xquad --data xquad.es.json --answers answers.jsonl",
            "answers that were written elsewhere, no model needed",
        ),
    ),
    "humaneval": (
        (
            "humaneval --data humaneval_es.json --allow-code",
            "how many of the benchmark's own solutions pass in this translation",
        ),
        (
            "humaneval --data humaneval_en.jsonl --model gemma3-270m --samples 5 --k 1,5 --items 20 --allow-code",
            "pass@1 and pass@5 beside that ceiling",
        ),
    ),
    "harvest": (
        (
            "harvest --lang paper20 --out activations",
            "for `latentlang pca`, `align`, `directions` and `erase`",
        ),
        ("harvest --task translation --data words.csv --lang x-mine,fr --out mine", "words of your own"),
        ("harvest --lang paper20 --out s3://bucket/activations", "into a bucket"),
        ("harvest --verify activations", "are its files as they were written?"),
    ),
    "import": (
        (
            "import states --prompts prompts.jsonl --layers 0,14,28 --model qwen2.5-7b --out activations",
            "what vLLM's connector wrote, eight prompts of it read again",
        ),
        (
            "import states.npz --prompts prompts.csv --pools last --out activations",
            "one file of vectors; without --model nothing is checked",
        ),
    ),
    "pca": (
        ("pca activations", "the two components that spread the prompts most, layer by layer"),
        ("pca activations --lang en,ja,hi --pools question", "three languages, the question's tokens alone"),
    ),
    "align": (
        ("align activations", "all measures, all pairs of languages"),
        (
            "align activations --pivot en --measures cka,retrieval",
            "each language with English, by two measures",
        ),
        (
            "align activations --erase lsar",
            "with what tells languages apart taken out, fitted on other items",
        ),
    ),
    "erase": (
        ("erase activations", "what tells languages apart, by LSAR, and what is left of it"),
        ("erase activations --method leace", "by LEACE: no linear classifier is left"),
    ),
    "directions": (
        ("directions activations", "each language against all others, by the difference of means"),
        ("directions activations --method probe --reference en", "logistic probes, each against English"),
    ),
    "patch": (
        ("patch --from es-ru --into fr-ja", "at which layer are language and concept fixed?"),
        (
            "patch --model gemma3-270m --from es-ru,de-it --into fr-ja --at object --items 20",
            "the mean of two languages' concepts, on a real model",
        ),
    ),
    "steer": (
        ("steer --lang ja", "prompts that ask for English are answered in Japanese"),
        ("steer --lang de --directions vectors --layers 4-6", "along directions of `latentlang directions`"),
        (
            "steer --model gemma3-270m --lang ja --layers 6,9,12 --strengths 0.5,1 --items 16",
            "a small grid on a real model",
        ),
        ("steer --text udhr --lang de --items 16", "text to go on with, scored by language and chrF"),
    ),
    "bits": (("bits --text udhr --lang en,ja --items 10 --long-texts cut", "bits for a byte of real text"),),
    "mass": (
        (
            "mass --text udhr --lang en,ja,hi --items 4 --long-texts cut",
            "which language's tokens each layer would write",
        ),
        ("mass --model gemma3-270m --text udhr --lang en,de,ja,hi,sw --items 4", "of a real model"),
    ),
    "neurons": (
        (
            "neurons --text udhr --lang en,ja,hi --long-texts cut",
            "neurons of three languages, told from chance",
        ),
        (
            "neurons --text udhr --lang en,ja,hi --long-texts cut --tokens shared",
            "on tokens that the languages share",
        ),
        (
            "neurons --model gemma3-270m --text udhr --lang en,de,ja,hi,sw --ablate 10",
            "and what the model loses without them, on ten other paragraphs",
        ),
    ),
    "train-sae": (
        ("train-sae --text udhr --lang en,de,fr --layer 4 --items 15 --out sae", "on half of the text"),
        (
            "train-sae --model gemma3-270m --text udhr --lang en,de,ja,hi,sw --layer 12 --items 15 --out sae",
            "the stream after block 12 of a real model",
        ),
    ),
    "features": (
        (
            "features --sae sae --text udhr --lang en,de,fr",
            "reconstruction of each language, and its features",
        ),
        (
            "features --sae gemma-scope-2b/layer_12 --site resid --model gemma2-2b --text udhr --lang en,ja",
            "an SAE that others published",
        ),
        (
            "features --sae sae --model gemma3-270m --text udhr --lang en,de,ja,hi,sw --ablate 5",
            "and what the model loses without each language's first two",
        ),
    ),
    "pivot": (
        ("pivot --lang de,ja --items 20", "is English used, or merely there to be read?"),
        ("pivot --lang ja --pivot de --third es", "another pivot, against a control of your choice"),
        ("pivot --model gemma3-270m --lang ja --items 40 --layers 10-17", "some layers of a real model"),
    ),
    "trace": (
        (
            'trace --lang fr,ja --prompt \'Français: "fleur" - 日本語: "\' --new-tokens 12',
            "what each layer would write",
        ),
        (
            "trace --model gemma3-270m --lang en,ja --text udhr --asked ja --prompt 東京は日本の",
            "does it stay in Japanese, and if not, from which layer on?",
        ),
        ("trace --lang fr,ja --task translation --asked ja --items 5", "on the items of a task"),
    ),
    "instructions translate": (
        (
            "instructions translate alpaca.json --data-lang en --lang ru,ja --provider openai:MODEL --out bx --dry-run",
            "how many calls, tokens and what price",
        ),
        (
            "instructions translate alpaca.json --data-lang en --lang ru,ja --parts instruction,input "
            "--provider openai:MODEL@http://localhost:8000/v1 --out bx",
            "without the answers, which `latentlang instructions answer` writes",
        ),
        (
            "instructions translate native.ru.jsonl --through en --provider openai:MODEL --out rtt",
            "into English and back",
        ),
    ),
    "instructions answer": (
        (
            "instructions answer bx --provider openai:MODEL@http://localhost:8000/v1 --out answered",
            "answers written anew in each language",
        ),
        (
            "instructions answer bx --provider replay:replies --out again",
            "from recorded replies, without a call",
        ),
    ),
    "instructions culture": (
        (
            "instructions culture chat.jsonl --provider openai:MODEL@http://localhost:8000/v1 --out agnostic",
            "what names no person, place, custom, food or brand",
        ),
    ),
    "instructions build grounded": (
        (
            "instructions build grounded --from help --lang fr,es,ru --provider openai:MODEL --out specific --dry-run",
            "how many calls a folder of documents would take",
        ),
        (
            "instructions build grounded --from wiki/fr --data-lang fr --items 100 "
            "--provider openai:MODEL@http://localhost:8000/v1 --out specific",
            "dialogues about a hundred passages of what wikiextractor wrote",
        ),
    ),
    "instructions build parallel": (
        (
            "instructions build parallel --text udhr --pivots zh,en --lang sw,zu,hy --out cross",
            "four kinds of translation instruction, without a model",
        ),
        (
            "instructions build parallel --text udhr --pivots en --lang ja,de --kinds interactive --asked-in target "
            "--out edits",
            "translations with an edit, asked for in their own language",
        ),
    ),
    "instructions build pipeline": (
        (
            "instructions build pipeline steps.yaml --out data --dry-run --price 0.15,0.60",
            "calls, tokens and price of all steps",
        ),
        (
            "instructions build pipeline steps.yaml --out data --provider openai:MODEL@http://localhost:8000/v1",
            "do them; run again after a stop, it goes on",
        ),
    ),
    "barrier": (
        ("barrier --model gemma3-270m --lang ja,de --items 40", "which wrong answers were right inside?"),
        (
            "barrier --lang ja --candidates en --top 5",
            "in English alone, among a layer's five likeliest tokens",
        ),
    ),
    "fertility": (
        ("fertility --text udhr --model gemma3-270m --lang en,ja,am", "tokens for the same paragraphs"),
    ),
    "instructions check": (
        ("instructions check ru.jsonl", "is it in the language it should be in?"),
        ("instructions check ru.jsonl --against en.jsonl", "and what did the translation lose?"),
    ),
    "instructions filter": (
        ("instructions filter ru.jsonl --against en.jsonl --out kept", "keep what no check finds wrong"),
        (
            "instructions filter all.jsonl --near 0.8 --tests xquad --out kept",
            "without duplicates and test items",
        ),
    ),
    "instructions mix": (
        ("instructions mix mixture.yaml --out mix", "parts by their shares, drawn by a seed"),
        (
            "instructions mix arms.yaml --items 400 --match-lengths --out arms",
            "arms of equal size and length",
        ),
    ),
    "instructions describe": (
        (
            "instructions describe all.jsonl --model gemma3-270m",
            "how much of what, and how long for this model",
        ),
    ),
    "judge": (
        (
            "judge base.jsonl tuned.jsonl --judge openai:MODEL@http://localhost:8000/v1 --dry-run",
            "how many calls it would take",
        ),
        (
            "judge base.jsonl tuned.jsonl --judge openai:MODEL@http://localhost:8000/v1 --out judged",
            "two sets of answers beside each other",
        ),
        (
            "judge answers.jsonl --template rating10 --judge local:gemma3-270m",
            "one set, graded by a local model",
        ),
    ),
    "gap": (
        ("gap scores.csv", "columns arm, score and benchmark, model, language, seed, item"),
        (
            "gap native=runs/native native=runs/native2 google=runs/google cohere=runs/cohere --out gap",
            "evaluations that latentlang saved, two seeds of one arm",
        ),
    ),
    "translate": (
        (
            "translate --model gemma3-270m --data udhr --directions en-fr,fr-en --items 20",
            "after four examples, beside what a copy would get",
        ),
        (
            "translate --model path/to/instruct --data en=src.txt --data ja=ref.txt --from en --lang ja --chat",
            "an instruct model, zero-shot, on files of lines",
        ),
    ),
    "score": (
        (
            "score --hypotheses a.txt --hypotheses b.txt --references ref.txt --sources src.txt --from en --lang ja",
            "two systems on the same sentences",
        ),
        (
            "score --hypotheses out.de.gz --references ref.de.gz --lang de --metrics bleu,chrf --json",
            "two scores, for a program",
        ),
    ),
    "doctor": (("doctor --model gemma3-270m", "is it read exactly, and what will it cost?"),),
    "plan": (
        ("plan --model mistral --lang 100 --prompts 1e6", "hours, disk, network and memory on one GPU"),
        ("plan --model qwen2.5-7b --part harvest --layers 8-20 --on a100", "a harvest of some layers alone"),
    ),
    "models": (("models", "what can be run right now"), ("models --json", "for a program")),
    "languages": (("languages", "codes, names and scripts"),),
    "tasks": (("tasks", "what can be asked"),),
    "recipes": (("recipes zh+es-en", "one as YAML, to change and use with --recipe"),),
    "data list": (("data list", "what others published"),),
    "data get": (("data get udhr", "the declaration of human rights, verified"),),
}


#: A text that is not in the package, and what brings it.
_DOWNLOADED = re.compile(r" (?:--text|--data) udhr\b")
DOWNLOAD = ("data get udhr", "once, for the text that the next one reads")


def shown(command: str) -> list[tuple[str, str]]:
    """The examples of a command; what downloads a text that one of them reads stands before the first that does."""
    examples = list(EXAMPLES[command])
    reads = [place for place, (typed, _) in enumerate(examples) if _DOWNLOADED.search(typed)]
    if reads:
        examples.insert(reads[0], DOWNLOAD)
    return examples


def epilog(command: str) -> str:
    """The examples of a command as the end of its help: what one shows, and below it what is typed, to be copied."""
    examples = [f"# {about}\n{_broken(f'latentlang {typed}')}" for typed, about in shown(command)]
    return "\n\n".join([f"Example{'s' if len(examples) > 1 else ''}:", *examples])


def _broken(line: str) -> str:
    """A command line, broken as a shell takes it where a narrow terminal ends; options keep their value."""
    arguments, *options = _BEFORE_OPTION.split(line)
    lines = [""]
    for part in (*arguments.split(), *options):
        if lines[-1] and len(lines[-1]) + 1 + len(part) > _LINE_LENGTH:
            lines[-1] += " \\"
            lines.append("    " + part)
        else:
            lines[-1] = f"{lines[-1]} {part}" if lines[-1] else part
    return "\n".join(lines)


def flowing_help(command: Callable[..., Any]) -> str:
    """A command's docstring with each paragraph in one line: rich breaks it where the terminal ends, and only there."""
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
