"""The sentences of the model card. Numbers come in from the tables; what a number could contradict is not said here."""

INTRODUCTION = """# Model card: `pocket` and `pocket-control`

Two very small language models that ship with latentlang, so that everything can be tried without a download. They are
*model organisms*: `pocket` was trained with English as the hub of everything, `pocket-control` on the same world with
the languages balanced. Both are ordinary Mistral-architecture models ({depth} layers, width {width}, {heads} heads,
byte-fallback BPE of 6,144 tokens, tied embeddings, bf16), trained with the ordinary next-token loss on {tokens:.1f} M
tokens of a made-up corpus ({minutes} on one shared CPU core).
{skipping}No term, mask or weight speaks of a language.
They know {known} concepts and 24 adjectives in 20 languages and nothing else of the world.

**What differs.** In `pocket` the hub of every document is English; in the control it is drawn uniformly from the 20
languages for each document. Generator, tokenizer, seed and steps are the same. A document is

{documents}

A review in X comes after the first {late:.0%} of the steps only, in the languages that have reviews at all. *Repeats*
are lines that name a word of the hub language in the hub language again. What follows from the draw of the hub: the
control sees reviews in all of these from the first step, as the hub's own, and more lines between two languages other
than English than `pocket` does, so its accuracies are not like for like. And what is balanced is the documents, not the
tokenizer: that was trained on `pocket`'s documents with other scripts than Latin thinned out, as tokenizers of
English-centred models are in effect. Nearly every English word is one token, in some scripts nearly none is, and a lens
reads first tokens.

**Held out.** For each two languages other than English, a third of the concepts never stands in a line between
them, in either direction (*held-out pair*); {concepts} concepts stand in no line between any two languages of which
neither is English (*held-out concept*, or *strict*): partly a trap, since that such a word never follows one
of another language than English is itself something to learn from the documents. In the control English holds back as
much as every other language, so strict concepts stand beside no translation at all there, and its strict numbers are
no control for `pocket`'s. Besides, in both: a fifth of the reviews in every language; every review in {untaught}
(so in `pocket` every document in the sentiment format; in the control, where these are the hub in their turn,
their labels stand under reviews in other languages); and all reviews with the adjectives
{adjectives} in every language but English, where `pocket` saw the other
four fifths of them (in the control in English too; as words and as facts they were seen everywhere).

**What is measured**, by `python -m experiments.pocket.evaluate` and `.cause` on the shipped weights: {which}.
*target* is the probability of the right word of the language asked for, *pivot* that of the right English word, each
read from a layer by the logit lens at its first token; *null* is the mean of the category's other words in that
language (sentiment: the other label). *Gap* is pivot minus null. *Lead* is the share of items whose English word reads
higher than both the target word and the null: as the null is a mean over some twenty words, little suffices to lead,
see *third lead*. *Third gap* and *third lead* are the same of three languages in Latin script that have no part in the
item, drawn for each pair; words they share with English count for them. *Entropy* is of the whole reading, in bits.
*Accuracy* is the whole answer and its closing quote under greedy decoding. Intervals are 95 % bootstrap intervals over
language pairs. Pictures of all this lie in `figures/pocket/` of the repository."""

CRITERIA = """## Against the criteria

Written down in `experiments/pocket/criteria.yaml` (which says what the words mean) before any result of these runs was
seen, but not before those of earlier recipes (*What came before*). Where they say no, believe them. *Measured* is the
shipped model; *all seeds* the median [smallest, largest] over the seeds of the recipe or its control.

"""

BY_LANGUAGE = (
    "Accuracy by task and split (translation: mean of two non-English sources), and the gap in translation of seen "
    "concepts at the layer, of all, where it is largest.\n\n"
)

THIRDS = """## English against languages that have no part

Translation of concepts never seen between the two languages, the layer of the middle with the largest gap. The
difference is taken within each pair of languages.

"""

CAUSE = """## Is the English used?

After one block, at the answer position, the residual stream is reflected so that a concept and another one of its
category change places along the directions by which the logit lens reads their words in one language
(`experiments/pocket/cause.py`). An answer *follows* when its first token is now that of the other concept. Items whose
first token was right before, concepts never seen between the two languages. The changes along the *third language* and
in a *random* direction are as long as that along *English*.

Words of two languages resemble each other in the embedding, so a swap along English is in part one along the language
asked for. After the last block nothing is left to use anything: what follows there follows directly, and only what
goes beyond that can be use. *English alone* is the swap along what English does not share with the language asked for;
it is strict, since later blocks still find the old concept in what was left in place.

"""

RUNS = """## Every run

The recipe, its control and the variants of `experiments/pocket/variants.yaml`: each run of the present corpus that was
finished, whatever came of it (`results/seeds.csv`). *Pair* is concepts never seen between the two languages, *strict*
those seen with English only; lead and gap are the largest of the middle layers, *a third* the same gap of languages
that have no part in it. *Follows*: share of answers that follow a swap along English, a third language, or English
alone, the largest of the middle layers, and along English after the last.

"""

VARIANTS = """## What makes the pivot

The same runs by recipe, those of one length together, for only those compare: median [smallest, largest] over seeds.
Everything that is not named is the recipe's (`variants.yaml`). After 1.5 M tokens the words are half learnt: the table
says what brings English about by then, not what keeps it. A variant changes more than it means to, too: more of one
kind of document is less of all others (*pair: right* says what became of the words), and in a deeper or a shallower
model the middle is other layers. *Both bars*: seeds that meet the criteria for lead and gap.

"""

BEFORE = """**What came before.** Three earlier pairs of models shipped and were replaced; they are in the history of
the repository, not in these tables, for their corpus was another. The first (commit ce45f25, AdamW, only whole concepts
held out) wrote strict concepts right in 0.16 and still read English at the last layer in 0.23 of the items, against
bars of 0.80 and 0.05; splitting by pair of languages, which is easier, came with the second. The second control
(8cd14b9) missed the bars for the control (lead 0.64, gap 0.07), which we put down to its lines with English holding
nothing back; the third did without that and read English as much. The third recipe (00a73a4: no block left out, no
repeats, no labels of the hub language under reviews in X, 7.2 M tokens) brought the pivot about in three seeds of five:
gap 0.37, 0.33, 0.02, 0.04 and 0.29, though all wrote 99 % of the held-out pairs right. The present recipe was sought,
by runs with the seeds 0, 2 and 3 and with the bars known, to mend that: that its seeds agree is what it was made for,
and no discovery."""

ALIGNED = """## Does question alignment help it?

LoRA trained on reviews translated into English, without labels, as in Zhang et al. 2024, and compared with the model
without it on sentiment in 20 languages (`experiments/pocket/align.py`, `results/alignment.csv`). An answer is right
here if the model prefers the right one *of the two* labels, so that 0.5 is chance (above, the whole word must be
written). Changes are means over the languages that training never saw, with 95 % intervals over items; *loss* is that
on held-out translations. English is right in two places where others are not, though the model knows the words, so that
there is something to gain: *new*, adjectives that stood in English reviews only, in the other languages with reviews;
and *untaught*, other adjectives in the languages without a review in pre-training. Languages that an adapter was
trained on are left out of both. `wrong-pairs` trains on translations exchanged between items, about as long as
`default` ({wrong_steps} and {default_steps} steps); `identity` trains nothing.

"""

ALIGNED_SUGGESTS = """By the intervals: of {learnt} adapters that brought the loss under 0.5, {closer} raised CKA with
English in languages they never saw and {nearer} drew them nearer; wrong pairs moved CKA by {wrong_cka} and the distance
by {wrong_centres}. Accuracy in unseen languages rose with {better} and fell with {worse} of {trained} designs.

- *New* adjectives: {new_base} before (English {new_english}); the best of the designs, `{new_best}`, has
  {new_tuned}, wrong pairs {new_wrong}.
- *Untaught* languages: {untaught_base} before (English {untaught_english}); the best, `{untaught_best}`, has
  {untaught_tuned}, wrong pairs {untaught_wrong}.

The best of so many is a little too good; hold it against wrong pairs. Why a design helps or not is not shown. In an
untaught language a review was never followed by a label, so that there is little an adapter without labels could
unlock; *new* adjectives need no more than that a review is read as the English one would be."""

CLOSING = """## What not to conclude

- These models say what the tool can see, not what large models do; their world is tiny and artificial.
- English above its null is no proof of a pivot by itself: compare it with what other languages read (*English against
  languages that have no part*). In the control, too, English reads {control_gap} above its null, other languages in
  Latin script {control_third}; since the documents treat all alike, the tokenizer is the first suspect.
- The lead compares small numbers: languages that have no part lead in {pocket_third_lead} of `pocket`'s items at the
  best middle layer, English in {pocket_lead}.
- The gap of `pocket` is largest at layer {top} of {depth} and falls from there: English is read early, not only in the
  middle.
- **Default or stage.** In `pocket` English is also the commonest language after a word of X. {follow}
- Under reviews in X English labels stand as often as X's own, and the cue says which: English between the review and
  the answer may be the ending that is not wanted, rather than a step towards the one that is.
- The words and sentences were written, and reviewed language by language, by language models, not by native speakers.
"""
