"""Neurons, and the language of whole layers: what was measured, and the page that tells it (docs/units.md)."""
