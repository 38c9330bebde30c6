"""How much is this person worth, and what will they do next: rfm, ltv, clusters, propensity, and the runs that made them."""
