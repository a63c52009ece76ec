"""UltraLink (Wang et al. 2024): its printed tables, their corrections, and a pruning curve on `pocket`."""
