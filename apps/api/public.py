"""The fields of Query whose answer is the same for every reader, with the cache namespaces that it depends on.

The response of a query of these alone is cached as bytes when nobody in particular asks it. A field that is not here
is never cached so. Where an argument makes a field need a role (skillMatch by candidate), its answer to an anonymous
reader is an error, and errors are not cached.
"""

from collections.abc import Mapping

NAMESPACES: Mapping[str, tuple[str, ...]] = {
    "__typename": (),
    "categoryDistribution": ("skills",),
    "dashboard": ("candidates", "postings", "skills"),
    "posting": ("postings", "skills"),
    "postings": ("postings", "skills"),
    "recommendedPostingsForProfile": ("postings", "skills"),
    "searchPostings": ("postings", "skills"),
    "searchStatistics": ("postings", "skills"),
    "similarPostings": ("postings", "skills"),
    "skillCategories": ("skills",),
    "skillMatch": ("postings", "skills"),
    "topCompanies": ("postings",),
}

# What their arguments say of a person is not kept beyond the answer: such requests are not counted, nor warmed.
PERSONAL = frozenset({"recommendedPostingsForProfile"})
