"""What is on disk: atomic file writes, output folders, one writer per folder."""
