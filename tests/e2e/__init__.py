"""A real browser on the admin: every page at two widths, and one story from log-in to a synced audience."""
