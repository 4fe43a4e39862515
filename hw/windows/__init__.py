"""Windows that slide over a source: a line buffer, and the order in which it is read."""
