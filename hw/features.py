"""Features that the resource model counts: each component adds to a handful of them, and a fit gives the cost of each.

Features are bits of accumulators, shifters, weight registers, beats and so on: see ``features`` of each component, and
``python -m studies.resources``, which fits ``gen/planning/resource_constants.json``.
"""

from collections import Counter

Features = Counter[str]
