"""Statistics of people for everybody: suppressed, rounded, and renewed only after several people changed.

Suppression and rounding alone do not protect anybody whose row moves a count over a rounding boundary. The
published figures therefore stay as they are until at least MIN_GROUP_SIZE people have changed. Anyone who
compares two of them sees the changes of that many people together.
"""

from collections.abc import Collection

from apps.statistics.facets import Salary, Share, Statistics, percent

MIN_GROUP_SIZE = 5  # people; in a smaller group a person could be recognized
COUNT_STEP = 5  # published counts are multiples of it
MIN_SALARIES = 4 * MIN_GROUP_SIZE  # of a currency with quartiles: each of them is one row's own salary
SALARY_DIGITS = 2  # significant digits of a published quartile
MAX_PUBLISHED = 100  # values of a facet

Counts = dict[str, dict[str, int]]  # rows by facet and value


def rounded_count(count: int) -> int:
    """Round a number of people to the nearest multiple of COUNT_STEP."""
    return COUNT_STEP * ((count + COUNT_STEP // 2) // COUNT_STEP)


def published(exact: Statistics, *, skills: Collection[int]) -> Statistics:
    """Return what everybody may see of `exact`, which must contain every value of each facet.

    Only `skills`, given by id, are shown. Where one of two values is suppressed, so is the other. The order
    of values follows from the published counts, so that it reveals nothing about the exact ones.
    """
    total = rounded_count(exact.total)
    facets = {}
    for name, shares in exact.facets.items():
        shown = [each for each in shares if each.count >= MIN_GROUP_SIZE]
        if name == "skill":
            shown = [each for each in shown if int(each.value) in skills]
        if name == "remote" and len(shown) < len(shares):
            shown = []
        facets[name] = _rounded(shown, total)
    salaries = [_rounded_salary(each) for each in exact.salaries if each.count >= MIN_SALARIES]
    salaries.sort(key=lambda each: (-each.count, each.currency))
    return Statistics(total, facets, salaries[:MAX_PUBLISHED])


def _rounded(shares: list[Share], total: int) -> list[Share]:
    rounded = [
        Share(each.value, count := rounded_count(each.count), percent(count, total)) for each in shares
    ]
    return sorted(rounded, key=lambda each: (-each.count, each.value))[:MAX_PUBLISHED]


def _rounded_salary(salary: Salary) -> Salary:
    quartiles = (salary.lower_quartile, salary.median, salary.upper_quartile)
    return Salary(
        salary.currency,
        rounded_count(salary.count),
        *(float(f"{each:.{SALARY_DIGITS}g}") for each in quartiles),
    )


def exact_counts(exact: Statistics, *, skills: Collection[int]) -> Counts:
    """Return the counts that show how many people have changed since. Of skills only `skills`, by id."""
    counts: Counts = {
        name: {each.value: each.count for each in shares if name != "skill" or int(each.value) in skills}
        for name, shares in exact.facets.items()
    }
    counts["total"] = {"": exact.total}
    counts["salary"] = {each.currency: each.count for each in exact.salaries}
    return counts


def min_changed_people(before: Counts, after: Counts) -> int:
    """Return how many people have changed at least between two countings.

    One person who is added, edited or deleted changes each facet by one more of one value at most, and by one
    less of another. A person has several skills, so one skill shows as many people as its own count changed
    by. Skills that only one of the countings contains do not count: they may have become public in between.
    """
    people = 0
    for name in before.keys() & after.keys():
        old, new = before[name], after[name]
        if name == "skill":
            changes = [abs(new[value] - old[value]) for value in old.keys() & new.keys()]
        else:
            differences = [new.get(value, 0) - old.get(value, 0) for value in old.keys() | new.keys()]
            changes = [
                sum(each for each in differences if each > 0),
                -sum(each for each in differences if each < 0),
            ]
        people = max([people, *changes])
    return people


def first_values(statistics: Statistics, first: int) -> Statistics:
    """Return the `first` most frequent values of each facet."""
    facets = {name: shares[:first] for name, shares in statistics.facets.items()}
    return Statistics(statistics.total, facets, statistics.salaries[:first])
