"""What the tests share: tiny models, stores with a known truth, slow references, and ways to run and stop programs."""
