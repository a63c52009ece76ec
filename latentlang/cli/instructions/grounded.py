"""``latentlang instructions build grounded``: dialogues about documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from latentlang import defaults
from latentlang.arguments import parse_span
from latentlang.cli import options
from latentlang.cli.asking_options import AskingOptions, MadeOut, Provider

if TYPE_CHECKING:
    from latentlang.instructions.built import Built
    from latentlang.instructions.providers.asking import Asking

_DOCUMENTS = "Which documents and passages"


def grounded(
    data: Annotated[
        list[str],
        typer.Option(
            "--from",
            help="Files or folders: .txt, .jsonl with a text a line, wikiextractor's, .html, .page, .docbook; or "
            "hub:NAME, a set on the hub.",
        ),
    ],
    provider: Provider,
    out: MadeOut,
    data_lang: Annotated[
        str | None, typer.Option("--data-lang", help="Language of documents that do not say theirs.")
    ] = None,
    lang: Annotated[
        list[str] | None, typer.Option(help="Only documents in these languages; by default all.")
    ] = None,
    documents: Annotated[
        int | None,
        typer.Option(
            help="Of a set on the hub: documents of each language, drawn; must be said.",
            rich_help_panel=_DOCUMENTS,
        ),
    ] = None,
    simplified: Annotated[
        bool,
        typer.Option(
            "--simplified",
            help="Write Chinese in simplified characters, by OpenCC: documents and questions.",
            rich_help_panel=_DOCUMENTS,
        ),
    ] = False,
    prompts: Annotated[
        str | None,
        typer.Option(help="Set of prompts, or a YAML file; by default in each document's own language."),
    ] = None,
    check_language: Annotated[
        bool,
        typer.Option(
            "--check-language/--no-check-language",
            help="Leave out documents with too many paragraphs in another language.",
            rich_help_panel=_DOCUMENTS,
        ),
    ] = True,
    least_share: Annotated[
        float,
        typer.Option(
            help="Share of a document's paragraphs that must be in its language.", rich_help_panel=_DOCUMENTS
        ),
    ] = 0.8,
    document_tokens: Annotated[
        str, typer.Option(help="Least and most tokens of a document.", rich_help_panel=_DOCUMENTS)
    ] = "1000-10000",
    segment_tokens: Annotated[
        str, typer.Option(help="Least and most tokens of a passage.", rich_help_panel=_DOCUMENTS)
    ] = "1000-2000",
    items: Annotated[
        int | None,
        typer.Option(help="Passages of each language, drawn; by default all.", rich_help_panel=_DOCUMENTS),
    ] = None,
    with_passage: Annotated[
        bool,
        typer.Option(
            "--with-passage/--without-passage", help="Put the passage into the first question, as published."
        ),
    ] = True,
    seed: Annotated[int, typer.Option(help="Seed of passages, kinds of question and ends.")] = defaults.SEED,
    as_json: options.AsJson = False,
    asking: AskingOptions = AskingOptions(),  # noqa: B008
    loading: options.MachineOptions = options.MachineOptions(),  # noqa: B008
) -> None:
    """Make dialogues about documents: a model asks about a passage and answers from it, in the document's language.

    Documents in another language (by the share of their paragraphs) or of another length are left out and counted; no
    sentence is cut. A dialogue goes on in depth or in breadth until the published rule ends it. A reply is kept as soon
    as it comes: stopped and run again, the command asks for the rest.
    """
    from latentlang.cli.instructions.making import make
    from latentlang.instructions.grounded import grounded_dialogues
    from latentlang.instructions.hub_documents import documents_of

    given = {"--document-tokens": document_tokens, "--segment-tokens": segment_tokens}
    spans = [parse_span(name, span) for name, span in given.items()]
    read = documents_of(data, language=data_lang, languages=lang or None, documents=documents, seed=seed)

    def build(asks: Asking) -> Built:
        return grounded_dialogues(
            read,
            asking=asks,
            prompts=prompts,
            check_language=check_language,
            least_share=least_share,
            document_tokens=spans[0],
            segment_tokens=spans[1],
            with_passage=with_passage,
            simplify=simplified,
            items=items,
            seed=seed,
        )

    make(out, build, provider=provider, asking=asking, loading=loading, as_json=as_json)
