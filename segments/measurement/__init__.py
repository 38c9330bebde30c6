"""What was it worth: spend, attribution, lift. Its room is prepared; the issue on measurement fills it."""
