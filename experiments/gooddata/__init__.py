"""Chen et al. 2024: a YAML for each table and figure, what the paper printed, and small runs on a real model."""
