"""BayLing 2 (Zhang et al. 2024, arXiv 2411.16300): its WMT22 scores computed again from published translations."""
