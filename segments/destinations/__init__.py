"""Where audiences go: one file per ad network behind one contract. No models; a new file is found by itself."""
