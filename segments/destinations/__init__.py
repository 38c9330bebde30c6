"""One file per ad network, found by themselves, held to one contract suite. No models, no consent, no retries inside."""
