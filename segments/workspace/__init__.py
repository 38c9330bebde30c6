"""Pages that look across slices: the overview, one person, the search and what stands in every frame."""
