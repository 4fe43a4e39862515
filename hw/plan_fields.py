"""Fields of plans that came later than others."""

ADDED = {"added": True}
"""Metadata of a plan's field that earlier versions did not have: it is written only where it differs from its default,
so that older plans and their hashes stay what they are."""
