"""May we: purposes, the ledger, the gate, suppression."""
