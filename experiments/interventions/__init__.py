"""Whether models use what can be read in them: what was measured, and the page that tells it (docs/use.md)."""
