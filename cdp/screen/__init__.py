"""How the admin shows things: numbers as words, drawings, icons, and what every page has in common. Knows no slice."""
