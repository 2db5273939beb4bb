"""What must hold at the operator at the end of every seed. Numbers as in docs/simulation.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from penpay.infrastructure.sql.queries import SqlLedgerBooks
from penpay.simulation.books import Books, Row, identifier
from penpay.simulation.mobile_money.country import Country, balances
from penpay.simulation.mobile_money.installation import uncovered
from penpay.simulation.mobile_money.members import Member
from penpay.simulation.mobile_money.wishes import BANK, UNEVIDENCED, Facts, Wish

_TRANSACTIONS: Final = "SELECT * FROM operator_transactions ORDER BY id"
_DEPOSITS: Final = "SELECT * FROM operator_bank_deposits WHERE reference LIKE 'deposit-%'"
_EXPLAINS: Final[Mapping[str, tuple[str, int]]] = {"FLOAT": (UNEVIDENCED, -1), "SUSPENSE": ("suspense:KES", 1)}
_PAGE: Final = 200
_TWO_SIDED: Final = frozenset({"DEPOSIT", "WITHDRAW", "TRANSFER", "REVERSAL"})


async def check_country(country: Country, books: Books) -> list[str]:
    """Every invariant of mobile money that does not hold, the weightiest first."""
    broken = uncovered(balances(books).items())
    for system in country.installation.systems[:1]:
        found = await SqlLedgerBooks(system.engine).verify()
        broken.extend(f"O1: ledger verify: {one.check} {one.subject} {one.difference_cents}" for one in found)
    made = [row for row in books.mobile_money(_TRANSACTIONS) if str(row["id"]) not in country.known]
    done = Claims(country.oracle.wishes, made)
    broken.extend(done.broken)
    broken.extend(_balanced(country, books, done))
    broken.extend(_given_back(made))
    broken.extend(_evidenced(books))
    broken.extend(country.oracle.broken)
    broken.extend(await _reconciled(country))
    for member in country.members.customers:
        broken.extend(await _told(country, member, done))
    return broken


class Claims:
    """Which wish each transaction comes from, and what is wrong with that."""

    def __init__(self, wishes: Sequence[Wish], made: Sequence[Row]) -> None:
        self.broken: list[str] = []
        self.rows = {identifier(row["id"]): row for row in made}
        self.of: dict[str, Wish] = {}
        """By transaction id."""
        for wish in wishes:
            if wish.is_done and wish.movement is not None and wish.answer.get("approvalState") != "PENDING":
                self._answered(wish)
        self._unanswered(wishes)

    def _answered(self, wish: Wish) -> None:
        """O3: what was answered as done is there, once, as it was told."""
        name, told = str(wish.answer.get("transactionId")), wish.answer
        row, movement = self.rows.get(name), wish.movement
        if row is None or movement is None:
            self.broken.append(f"O3: {wish.what} of {wish.asker.name} was done, and is not in the books")
        elif name in self.of:
            self.broken.append(f"O3: one transaction is the answer to two wishes of {wish.asker.name}")
        elif _facts(row)._replace(cents=movement.cents) != movement.facts:
            self.broken.append(f"O3: {wish.what} of {wish.asker.name} is {_facts(row)} in the books")
        elif told.get("amountCents", row["amount_cents"]) != row["amount_cents"]:
            self.broken.append(f"O3: {wish.what} of {wish.asker.name} moved {row['amount_cents']}")
        elif told.get("receipt", row["receipt"]) != row["receipt"]:
            self.broken.append(f"O5: {wish.what} of {wish.asker.name} has another receipt in the books")
        if row is not None:
            self.of.setdefault(name, wish)

    def _unanswered(self, wishes: Sequence[Wish]) -> None:
        """O3: every other transaction is a wish that nobody has answered, and each of those at most once."""
        open_ = [wish for wish in wishes if wish.is_open and wish.movement is not None]
        for name, row in self.rows.items():
            if name in self.of:
                continue
            facts = _facts(row)
            wish = next((one for one in open_ if _fits(one, facts)), None)
            if wish is None:
                self.broken.append(f"O3: a transaction that nobody has asked for: {facts}")
            else:
                open_.remove(wish)
                self.of[name] = wish


def _facts(row: Row) -> Facts:
    source, target, reverses = (
        None if row[name] is None else identifier(row[name]) for name in ("source_id", "target_id", "reverses_id")
    )
    return Facts(row["operation"], source, target, row["amount_cents"], reverses)


def _fits(wish: Wish, facts: Facts) -> bool:
    movement = wish.movement
    if movement is None:
        return False
    return facts == movement.facts or (movement.cents is None and facts._replace(cents=None) == movement.facts)


def _balanced(country: Country, books: Books, claims: Claims) -> Iterator[str]:
    """O2: every account holds what it held, and what the wishes that came true have changed."""
    expected = Counter(country.oracle.opening)
    for name, wish in claims.of.items():
        row, movement = claims.rows[name], wish.movement
        if movement is None:
            continue
        expected.update(movement.effects(row["amount_cents"]))
        cost = movement.cost
        priced = (row["payer_fee_cents"], row["payee_fee_cents"], row["excise_cents"], row["commission_cents"])
        if priced != (cost.payer_fee, cost.payee_fee, cost.excise, cost.commission):
            yield f"O2: {wish.what} is priced {priced} in the books instead of {cost}"
    for deposit in books.mobile_money(_DEPOSITS):
        account, sign = _EXPLAINS[deposit["state"]]
        expected[BANK] += deposit["amount_cents"]
        expected[account] += sign * deposit["amount_cents"]
    held = balances(books)
    for code in sorted(held.keys() | expected.keys()):
        if held.get(code, 0) != expected[code]:
            yield f"O2: {code} holds {held.get(code, 0)} instead of {expected[code]}"


def _given_back(made: Sequence[Row]) -> Iterator[str]:
    """O3: what is given back of a payment is no more than was paid."""
    given = Counter[str]()
    for row in made:
        if row["reverses_id"] is not None:
            given[identifier(row["reverses_id"])] += row["amount_cents"]
    for row in made:
        back = given[identifier(row["id"])]
        if back > row["amount_cents"] or back != row["reversed_cents"]:
            yield f"O3: {back} of {row['amount_cents']} were given back, and {row['reversed_cents']} are noted"


def _evidenced(books: Books) -> Iterator[str]:
    """O2: each bank deposit stands behind one issue of float at most, and every other issue waits for one."""
    issues = books.mobile_money("SELECT amount_cents, bank_reference FROM operator_float_issues")
    waiting = sum(row["amount_cents"] for row in issues if row["bank_reference"] is None)
    held = balances(books).get(UNEVIDENCED, 0)
    if held != waiting:
        yield f"O2: {held} of float are unevidenced in the ledger, and {waiting} wait for evidence"
    taken = Counter(row["bank_reference"] for row in issues if row["bank_reference"] is not None)
    for deposit in books.mobile_money("SELECT reference, state FROM operator_bank_deposits"):
        if (deposit["state"] == "FLOAT") != (taken[deposit["reference"]] == 1):
            yield f"O2: a bank deposit is {deposit['state']} and stands behind {taken[deposit['reference']]} issues"


async def _reconciled(country: Country) -> list[str]:
    """O1: the operator's own reconciliation agrees."""
    found = await country.counter.look(country.members.administrator, "/api/admin/reconciliation")
    if found is None:
        return ["O7: the reconciliation is not shown"]
    return [f"O1: the reconciliation finds {found['differenceCents']}"] if found["differenceCents"] else []


async def _told(country: Country, member: Member, claims: Claims) -> list[str]:
    """O5: her statement adds up to what she holds, and she has a message of each movement with its receipt."""
    counter = country.counter
    shown = await counter.look(member, "/api/account/balance")
    statement = await counter.look(member, f"/api/account/full-statement?limit={_PAGE}")
    messages = await counter.look(member, f"/api/account/messages?limit={_PAGE}")
    if shown is None or statement is None or messages is None:
        return [f"O7: {member.name} is not shown her account"]
    lines = statement["transactions"]
    broken = list(_adding_up(member, lines, int(shown["balanceCents"])))
    texts = [str(one["text"]) for one in messages["messages"]]
    own = {name: row for name, row in claims.rows.items() if member.id in _facts(row)[1:3]}
    if len(lines) < _PAGE and not own.keys() <= {line["transactionId"] for line in lines}:
        broken.append(f"O5: the statement of {member.name} misses a transaction")
    for row in own.values():
        due = row["operation"] in _TWO_SIDED or row["operation"] == "FLOAT_ASSIGNMENT"
        told = sum(text.startswith(f"{row['receipt']} ") for text in texts)
        if due and told != 1 and len(texts) < _PAGE:
            broken.append(f"O5: {member.name} was told {told} times of {row['operation']} {row['receipt']}")
    return broken


def _adding_up(member: Member, lines: Sequence[Mapping[str, Any]], held: int) -> Iterator[str]:
    """The running balances of a statement, newest first."""
    for line in lines:
        if line["balanceCents"] != held:
            yield f"O5: the statement of {member.name} says {line['balanceCents']} where {held} must be"
        credited, fee = bool(line["creditedAmount"]), line["feeCents"]
        held -= line["amountCents"] - fee if credited else -(line["amountCents"] + fee)
    receipts = [line["receipt"] for line in lines if line["receipt"]]
    if len(receipts) != len(set(receipts)):
        yield f"O5: one receipt twice in the statement of {member.name}"
