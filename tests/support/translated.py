"""Eight sentences, right translations, good ones, and poor ones: short, copied, empty, in another language."""

SOURCES = [
    "The cat sat on the old mat.",
    "She bought three red apples yesterday.",
    "It was raining all day in the north.",
    "Who will pay for the new bridge?",
    "They went home before the sun rose.",
    "My brother reads a long book.",
    "The train to Prague leaves at nine.",
    "Nobody knew where the key was hidden.",
]
REFERENCES = [
    "Die Katze saß auf der alten Matte.",
    "Sie kaufte gestern drei rote Äpfel.",
    "Im Norden regnete es den ganzen Tag.",
    "Wer wird die neue Brücke bezahlen?",
    "Sie gingen vor Sonnenaufgang nach Hause.",
    "Mein Bruder liest ein langes Buch.",
    "Der Zug nach Prag fährt um neun ab.",
    "Niemand wusste, wo der Schlüssel versteckt war.",
]
GOOD = [
    "Die Katze saß auf der alten Matte.",
    "Sie kaufte gestern drei rote Äpfel.",
    "Im Norden regnete es den ganzen Tag lang.",
    "Wer bezahlt die neue Brücke?",
    "Sie gingen vor dem Sonnenaufgang nach Hause.",
    "Mein Bruder liest ein langes Buch.",
    "Der Zug nach Prag geht um neun.",
    "Niemand wusste, wo der Schlüssel lag.",
]
POOR = [
    "Katze auf der Matte.",
    "Sie kaufte Äpfel.",
    "Es regnete im Norden.",
    "Who will pay for the new bridge?",
    "Sie gingen nach Hause.",
    "",
    "Le train pour Prague part à neuf heures.",
    "Niemand wusste, wo der Schlüssel war.",
]
SYSTEMS = {"good": GOOD, "poor": POOR}
