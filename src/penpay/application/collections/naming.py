"""Finding things by the numbers people give, and giving out new numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from penpay.application.collections.rows import NUMBER_SERIES, REFERENTS
from penpay.application.shared.unit_of_work import Find, Footprint, Work
from penpay.domain.collections.customer import CustomerId
from penpay.domain.collections.errors import CustomerNotFound, InvoiceNotFound, SaleNotFound
from penpay.domain.collections.numbers import NumberSeries, SeriesName, check_number
from penpay.domain.collections.reference import Candidate, Referent, fold
from penpay.domain.shared.errors import DomainError
from penpay.domain.shared.nairobi import nairobi_day

_NOT_FOUND = (
    (Referent.INVOICE, InvoiceNotFound),
    (Referent.CUSTOMER, CustomerNotFound),
    (Referent.SALE, SaleNotFound),
)


async def look_up(numbers: Iterable[str], find: Find) -> None:
    """Look for what has these numbers, so that `named` knows."""
    await find(REFERENTS, {folded for folded in map(fold, numbers) if folded})


def named(work: Work, number: str, referent: Referent) -> Candidate | None:
    """What has this number, in any case and with or without dashes; None when nothing has."""
    return next((one for one in work.found(REFERENTS, fold(number)) or () if one.referent is referent), None)


def require(work: Work, number: str, referent: Referent) -> Candidate:
    """The same; raises CustomerNotFound, InvoiceNotFound or SaleNotFound."""
    found = named(work, number, referent)
    if found is None:
        raise _missing(referent)
    return found


def named_customer(work: Work, number: str) -> CustomerId:
    """The customer with this number; raises CustomerNotFound."""
    return CustomerId(require(work, number, Referent.CUSTOMER).id)


def customer_ids(found: Mapping[str, tuple[Candidate, ...]]) -> set[CustomerId]:
    """The customers among what was looked up."""
    return {
        CustomerId(one.id) for candidates in found.values() for one in candidates if one.referent is Referent.CUSTOMER
    }


def numbers_footprint(footprint: Footprint, name: SeriesName) -> Footprint:
    """What taking a number locks."""
    return footprint.add(NUMBER_SERIES, name)


def take_number(work: Work, name: SeriesName, given: str | None = None) -> str:
    """The next number of a series, or the one somebody chose, which the series will not give out then.

    Raises InvalidNumber. Whether a chosen number is free, its caller asks.
    """
    series = work.get(NUMBER_SERIES, name) or NumberSeries.begin(name)
    today = nairobi_day(work.now)
    if given is not None:
        after = series.without(check_number(given), today)
        if after is not series:
            work.put(NUMBER_SERIES, name, after)
        return given
    after, number = series.next(today)
    work.put(NUMBER_SERIES, name, after)
    return number


def _missing(referent: Referent) -> DomainError:
    return next(kind for which, kind in _NOT_FOUND if which is referent)()
