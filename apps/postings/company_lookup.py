"""Companies as feeds spell them: "ACME GmbH", "Acme GmbH" and "acme  gmbh." are one."""

from collections.abc import Collection

from apps.postings.models import Company
from apps.records.normalizing.company_names import folded_company


def company_ids(names: Collection[str]) -> dict[str, int]:
    """Return the key of each company by name; create those that are missing.

    Spellings of one company share its key.
    The spelling that came first is kept. A company of exactly that name goes before one of another spelling,
    so that a person can split two that only look alike.
    """
    if not names:
        return {}
    folded = {name: folded_company(name) for name in names}
    ids = _known(folded)
    missing = {folded[name]: name for name in sorted(names, reverse=True) if name not in ids}
    if missing:
        Company.objects.bulk_create(
            [Company(name=name, folded_name=key) for key, name in missing.items()], ignore_conflicts=True
        )
        ids = _known(folded)
    return ids


def _known(folded: dict[str, str]) -> dict[str, int]:
    rows = Company.objects.filter(folded_name__in=set(folded.values())).order_by("-pk")
    by_name, by_folded = dict[str, int](), dict[str, int]()
    for name, key, pk in rows.values_list("name", "folded_name", "pk"):
        by_name[name], by_folded[key] = pk, pk
    return {name: by_name.get(name, by_folded[key]) for name, key in folded.items() if key in by_folded}
