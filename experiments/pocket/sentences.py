"""The sentences of the model card. Numbers come in from the tables; what a number could contradict is not said here."""

INTRODUCTION = """# Model card: `pocket` and `pocket-control`

Two very small language models that ship with latentlang, so that everything can be tried without a download. They are
*model organisms*: `pocket` was trained with English as the hub of everything, `pocket-control` on the same world with
the languages balanced. Both are ordinary Mistral-architecture models ({depth} layers, width {width}, {heads} heads,
byte-fallback BPE of 6,144 tokens, tied embeddings, weights in bf16), trained with the ordinary next-token loss on
{tokens:.1f} M tokens of a made-up corpus ({minutes} on one shared CPU core). They were trained on {known} concepts and
24 adjectives in 20 languages and know nothing else of the world.

{short}

**What differs.** In `pocket` the hub of every document is English; in the control it is drawn uniformly from the 20
languages for each document. Generator, tokenizer, seed and steps are the same."""

#: What is folded under `INTRODUCTION`.
MAKING = """A document is

{documents}

A review in X comes after the first {late:.0%} of the steps only, in the languages that have reviews at all. *Repeats*
are lines that name a word of the hub language in the hub language again. Because any language can be the hub, the
control sees reviews in all of those from the first step, and more lines between two languages other than English than
`pocket` does, so its accuracies are not like for like. And what is balanced is the documents, not the tokenizer: that
was trained on `pocket`'s documents with other scripts than Latin thinned out, as tokenizers of English-centred models
are in effect. Nearly every English word is one token, in some scripts nearly none is, and a lens reads first tokens.

**Built with the lens in view.** No term, mask or weight of the training speaks of a language, but the recipe was chosen
so that English can be read. {skipping}Repeats and tied embeddings keep words of the hub language readable. So the shape
of the curves over the layers is in part the recipe's doing, in both models.

**Held out.** For each two languages other than English, a third of the concepts never stands in a line between
them, in either direction (*held-out pair*). {concepts} concepts stand in no line between any two languages of which
neither is English (*held-out concept*, or *strict*). That test is partly unfair: the documents also teach that these
words never follow a word of any language but English. In the control English holds back as much as every other
language, so that its strict concepts stand beside no translation at all, and its strict numbers are no control for
`pocket`'s. Besides, in both: a fifth of the reviews in every language; every review in {untaught} (`pocket` therefore
never saw a review with a label in these languages; the control saw their labels, under reviews in other languages); and
all reviews with the adjectives {adjectives} in every language but English, where `pocket` saw the other four fifths of
them (the control saw none). Held out is the review, not the judgement: lines of facts give the label of every adjective
in its own language, in languages without reviews too.

**What is asked.** A word, after four examples, and a review, after two:

```text
{words}
```

```text
{review}
```

**What is measured**, by `python -m experiments.pocket.evaluate` and `.cause` on the shipped weights: {which}.
*target* is the probability of the right word of the target language, *pivot* that of the right English word: the
logit lens reads from the residual stream after a block the summed probability of all tokens that can begin the word and
cannot begin the other language's, nor the word that the prompt gives. Items that have no such token in one of the two
are left out ({left_out} of the
held-out pairs; of sentiment all in {not_read}). *null* is the mean of the category's other words ({others}) in that
language (sentiment: the other label). *Gap* is pivot minus null. *Lead* is the share of items whose English word reads
higher than both the target word and the null: as the null is a mean over many words, little suffices to lead, see
*third lead*. *Third gap* and *third lead* are the same of three languages in Latin script that have no part in the
item, drawn for each pair; words they share with English count for them. *Entropy* is of the whole reading, in bits.
Readings include items that are answered wrong. *Accuracy* is the whole answer and its closing quote under greedy
decoding. The *middle* is layers {middle}. Intervals are 95% bootstrap intervals over language pairs (sentiment:
languages; swaps: 10 pairs), of this one model and these words: pairs have sources and targets in common, strict ones
the same {concepts} concepts, and seeds differ by more (*all seeds*, *Every run*). Pictures of all this lie in
`figures/pocket/` of the repository."""

CRITERIA = """## Against the criteria

Written down in `experiments/pocket/criteria.yaml` (which says what the words mean) before any result of these runs was
seen, but not before those of earlier recipes (*What came before*). Where they say no, believe them. *Measured* is the
shipped model; *all seeds* the median [smallest, largest] over the seeds of the recipe or its control. *Seen accuracy
above chance languages* counts the languages, of 20, English too, in which surely more than half of the answers are
written right; 15 had reviews. Those of the control are taken at the largest of its three splits. *Held-out pair*,
*held-out concept*, *lead* and *gap* are explained in *How they were made, and what is measured*.

"""

BY_LANGUAGE = """## By language

Accuracy by task and split (translation: mean of two non-English sources), and the gap in translation of seen concepts
at the layer, of all, where it is largest.

"""

BY_SOURCE = """`pocket` by the language that the word is given in; gaps at the layer of the middle where they are
largest:

"""

THIRDS = """## English against languages that have no part

Translation of concepts never seen between the two languages, the layer of the middle with the largest gap. The
difference is taken within each pair of languages.

"""

CAUSE = """## Is the English used?

After one block, at the answer position, the residual stream is mirrored so that what spoke for the right concept speaks
for another one of its category, and the other way round, along the directions by which the logit lens reads their words
in one language (`experiments/pocket/cause.py`). An answer *follows* when its first token is now that of the other
concept. Ten pairs of languages, up to 40 concepts each that were never seen between the two, whose first token was
right before and whose two words do not begin alike. The changes along the *third language* and in a *random* direction
are as long as that along *English*; the others are not made so.

Words of two languages resemble each other in the embedding, so a swap along English is in part one along the language
asked for: the baseline of the same size is the third language at the same layer. After the last block nothing is left
to use anything, and what follows there follows directly, but little of English is left there to swap. *English alone*
is the swap along what English does not share with the target language (after the last block it moves nothing, by
construction); it is strict, since later blocks still find the old concept in what was left in place.

"""

RUNS = """## Every run

The recipe, its control and the variants of `experiments/pocket/variants.yaml`: each run of the present corpus that was
measured, whatever came of it (`results/seeds.csv`). Not among them are the runs by which the recipe was sought, some
lost with their machine, and those of earlier corpora (in the history). *Pair* is concepts never seen between the two
languages, *strict* those seen with English only (in the control beside no translation); lead and gap are the largest of
the middle layers, *a third* the same gap of languages that have no part in it. *Follows*: share of answers that follow
a swap along English, a third language, or English alone, the largest of the middle layers, and along English after the
last. These runs were read before tokens that also begin the word in the prompt were kept from counting as English; the
tables of the shipped pair above are read without them, and show by the same seed's row here how much that is.

"""

VARIANTS = """## What makes the pivot

The same runs by recipe, grouped by length of training; compare only within a group. Median [smallest, largest] over
seeds. Everything that is not named is the recipe's (`variants.yaml`). *Learnt words*: seeds with pairs
right in at least half of what the recipe writes; *both bars*: seeds that meet the criteria for lead and gap. What to
keep in mind:

- A short run is one of its own, with the whole schedule pressed into it, and its words are half learnt: the group says
  what brings English about early, not what keeps it.
- A variant changes more than it means to: more of one kind of document is less of all others. Where the words are not
  learnt, no language reads them, and nothing follows about a pivot.
- Some change what a lens *can read*: a smaller vocabulary has a tokenizer of its own, with fewer words in one token; an
  embedding that is not tied, and blocks that are never left out, may leave the middle in a form that the head does not
  read. There, less English read is not less English used.
- In a deeper or a shallower model the middle is other layers.
- The recipe was sought by runs like these, with the seeds 0 and 2 among others: its own range is flattered.

"""

FOLLOWING = """## Default or stage?

In `pocket` English is also the commonest language after a word of X, so that English in the middle could be no more
than what usually comes next. In `equal-follow` every language follows a word of X equally often. The lines that led to
English begin with it instead, so that about twice as many lead from English into X, which may teach the words better;
and no English label stands under a review in X.

{found}

What is left may be no more than that English is common. A logit lens on a large model cannot tell these apart."""

BEFORE = """**What came before.** Three earlier pairs of models shipped and were replaced; they are in the history of
the repository, not in these tables, for their corpus was another. The first (commit ce45f25, AdamW, only whole concepts
held out) wrote strict concepts right in 0.16 and still read English at the last layer in 0.23 of the items, against
bars of 0.80 and 0.05; splitting by pair of languages, which is easier, came with the second. The second control
(8cd14b9) missed the bars for the control (lead 0.64, gap 0.07), which we put down to its lines with English holding
nothing back; the third did without that and read English as much. The third recipe (00a73a4: no block left out, no
repeats, no labels of the hub language under reviews in X, 7.2 M tokens) brought the pivot about in three seeds of five:
gap 0.37, 0.33, 0.02, 0.04 and 0.29, though all wrote 99% of the held-out pairs right. In that corpus one whole run in
which English followed a word of X half as often as other languages did (8581f13, `scarce-follow`) wrote 99% of the
pairs right with lead 0.04 and gap 0.02, and strict concepts in 0.02, where the recipe wrote 0.14 to 0.63. The present
recipe was sought, with the bars known, to mend the third: that its seeds agree is what it was made for, and no
discovery."""

ALIGNED = """## Does question alignment help it?

LoRA trained on reviews translated into English, without labels, as in Zhang et al. 2024, and compared with the model
without it on sentiment in 20 languages (`experiments/pocket/align.py`, `results/alignment.csv`). An answer is right
here if the model prefers the right one *of the two* labels, so that 0.5 is chance (above, the whole word must be
written). Changes are means over the languages that training saw (*trained*) or never saw (*unseen*), with 95%
intervals over items; before, in unseen languages, accuracy is {accuracy}, CKA with English {cka} and the distance of
the centres from English {centroid_distance} (in units of the spread). *Loss* is that on held-out translations. English
is right in two places where others are not, though the model knows the words, so that there is something to gain, as
shares right of two: *new*, adjectives that stood in English reviews only, in the other languages with reviews; and
*untaught*,
other adjectives in the languages without a review in pre-training. Languages that an adapter was trained on are left
out of both. `wrong-pairs` trains on translations exchanged between items, about as long as `default` ({wrong_steps} and
{default_steps} steps); `identity` trains nothing.

"""

ALIGNED_SUGGESTS = """Why a design helps or not is not shown. In an untaught language a review was never followed by a
label, so that there is little an adapter without labels could unlock; *new* adjectives need no more than that a review
is read as the English one would be."""

CLOSING = """## What not to conclude

- These models say what the tool can see, not what large models do; their world is tiny and artificial.
- English above its null is no proof of a pivot by itself: compare it with what other languages read (*English against
  languages that have no part*). In the controls, too, English reads {control_gap} above its null, other languages in
  Latin script {control_third}; since the documents treat all alike, the tokenizer is the first suspect.
- A high lead can come from tiny probabilities: at the best middle layer of `pocket`, languages that have no part lead
  in {third_lead} of the items, with a gap of {third_gap}; English leads in {lead}.
- {peaks}
- Under reviews in X English labels stand as often as X's own, and the cue says which: English read there may be the
  other possible label, not a step towards the right one.
- The words and sentences were written, and reviewed language by language, by language models, not by native speakers.
"""
