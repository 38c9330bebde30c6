"""One file = one group of computed traits (``contract.ComputedTraitGroup``); a new file is found by itself."""
