"""Training data: what an adapter is trained on, one module per kind, and what all kinds have in common."""
