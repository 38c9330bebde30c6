"""Who is in: membership, history, preview, holdout, schedule."""
