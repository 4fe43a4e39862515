"""What the resource model counts: each component adds to a handful of features, and a fit says what one of each costs.

Bits of accumulators, of shifters, of weight registers, of beats, and so on: see ``features`` of each component, and
``python -m studies.resources``, which fits ``gen/planning/resource_constants.json``.
"""

from collections import Counter

Features = Counter[str]
