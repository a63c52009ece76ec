"""Gemma 3 270M, a real model: what was measured on it, and the page that tells it (docs/gemma.md)."""
