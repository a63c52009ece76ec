"""Instruction data tried out: a made world on `pocket`, and small sets of real text on Gemma 3 270M."""
