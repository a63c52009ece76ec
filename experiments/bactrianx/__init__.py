"""Bactrian-X (Li et al. 2023): its tables as data, and what instructions in many languages do to a small model."""
