"""End processes at random points of the whole flow and compare what is left with a run that was never disturbed."""
