"""Who is this: identifiers, matching, merge and unmerge."""
