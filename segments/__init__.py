"""WHAT WE DO about it: computed traits, segments, audiences, destinations, activation, measurement."""
