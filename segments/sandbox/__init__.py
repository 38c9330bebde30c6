"""A local stand-in for the ad networks: keeps their lists on disk, speaks their envelopes, fails on demand.

For trying out and for tests; nothing that is sent here leaves the machine. Stands outside the slices and imports none of them.
"""
