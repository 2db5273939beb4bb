"""The documents are true: what they name exists, and the figures they print are the code's."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from sqlalchemy import create_engine, text

from penpay.application.payments import policy
from penpay.application.payments.rows import ReviewReason
from penpay.application.shared import webhooks
from penpay.application.shared.outbox import MAX_ATTEMPTS
from penpay.application.wallet import postings, withdrawal_postings
from penpay.cli import build_app
from penpay.domain.mobile_money.tariff import excise_in
from penpay.domain.payments.evidence import EvidenceState
from penpay.domain.payments.transaction import (
    ALLOWED,
    CREATED,
    PAYOUT_REFUTED,
    REQUOTED,
    TERMINAL,
    TransactionStatus,
    TransactionType,
)
from penpay.domain.shared.locked_rate import LockedRate
from penpay.domain.shared.money import Currency, Money
from penpay.domain.wallet.account import CHART, FAMILIES, ChartLine
from penpay.infrastructure.sql.ledger_checks import CHECKS
from penpay.infrastructure.sql.operator_tables import stk_pushes
from penpay.infrastructure.sql.payout_tables import secrets
from tests.architecture.source import ROOT
from tests.servers import mysql
from tests.support import sagas
from tests.support.ports import MORNING
from tests.unit.wallet.books import ALPHA, BETA, T1, Books

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PLACES = ("src/", "tests/", "docs/", "examples/", "requirements/", ".importlinter", ".env.example", ".ci/")
"""How a text must begin to be a path of the repository."""
SETTING = re.compile(r"\b(?:APP_ENV|(?:MPESA|DERIV|PENPAY|OPERATOR|DATABASE|REDIS)_[A-Z_]+)\b")

_OTHER = {TransactionType.DEPOSIT: TransactionType.WITHDRAWAL, TransactionType.WITHDRAWAL: TransactionType.DEPOSIT}

every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())


def blocks(markdown: str, kind: str) -> list[str]:
    """The contents of the blocks fenced as `kind`."""
    return re.findall(rf"^```{kind}\n(.*?)^```$", markdown, re.DOTALL | re.MULTILINE)


def code(markdown: str) -> Iterator[str]:
    """Every inline code span, and every line of a shell block without its comment."""
    for block in blocks(markdown, "sh"):
        yield from (re.sub(r"\s+#.*", "", line) for line in block.replace("\\\n", " ").splitlines())
    prose = re.sub(r"^```.*?^```$", "", markdown, flags=re.DOTALL | re.MULTILINE)
    yield from re.findall(r"`([^`]+)`", prose)


def missing_links(document: Path, markdown: str) -> list[str]:
    """Links to files of ours that are not there."""
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", markdown)
    return [target for target in targets if "://" not in target and not (document.parent / target).exists()]


def missing_paths(markdown: str) -> list[str]:
    """Paths of the repository, in code, that are not there; a pattern must find something."""
    named = [span for span in code(markdown) if span.startswith(PLACES) and " " not in span]
    return [path for path in named if not any(ROOT.glob(path))]


def misused_commands(markdown: str, program: Any) -> list[str]:
    """Command lines of ours that the command line would not understand."""
    return [line for line in code(markdown) if line.startswith("penpay ") and not understood(line, program)]


def understood(line: str, command: Any) -> bool:
    """Whether each word of `penpay a b --option` is a command or an option of it; values are not judged.

    A command of typer's that holds others has them as `commands`; one of ours that is not imported yet is `loaded`.
    """
    words = shlex.split(line)[1:]
    while hasattr(command, "commands"):
        if command.invoke_without_command and (not words or words[0].startswith("--")):
            break  # a group that does something by itself
        command = command.commands.get(words.pop(0)) if words else None
        command = getattr(command, "loaded", command)
    if command is None:
        return False
    options = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    return {word for word in words if word.startswith("--")} <= options


def missing_targets(markdown: str) -> list[str]:
    """`make` commands whose task the Makefile does not have."""
    tasks = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    return [line for line in code(markdown) if re.match(r"make [a-z]", line) and line.split()[1] not in tasks]


@every_document
def test_links_lead_somewhere(document: Path) -> None:
    """A reader who follows a link finds a file."""
    assert [] == missing_links(document, document.read_text(encoding="utf-8"))


@every_document
def test_paths_exist(document: Path) -> None:
    """A path in a document is one in the repository."""
    assert [] == missing_paths(document.read_text(encoding="utf-8"))


@every_document
def test_commands_exist(document: Path) -> None:
    """What a document tells people to type is understood: commands, options and tasks."""
    markdown = document.read_text(encoding="utf-8")

    assert [] == misused_commands(markdown, typer.main.get_command(build_app()))
    assert [] == missing_targets(markdown)


@every_document
def test_settings_exist(document: Path) -> None:
    """A setting in a document is one in .env.example, or the one of the tests."""
    known = {mysql.SETTING, *SETTING.findall((ROOT / ".env.example").read_text(encoding="utf-8"))}
    named = set(SETTING.findall(document.read_text(encoding="utf-8")))

    assert set() == named - known - set(ReviewReason)


def test_queries_run() -> None:
    """The SQL of the runbooks fits the schema."""
    queries = [
        statement
        for document in DOCUMENTS
        for block in blocks(document.read_text(encoding="utf-8"), "sql")
        for statement in block.split(";")
        if statement.strip()
    ]
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        assert secrets.metadata is stk_pushes.metadata
        stk_pushes.metadata.create_all(connection)
        for query in queries:
            connection.execute(text(f"EXPLAIN {query.replace('TRANSACTION_ID', '00' * 16)}"))
    engine.dispose()

    assert queries


def test_the_checker_finds_what_is_wrong() -> None:
    """Each rule of this module can be broken."""
    program = typer.main.get_command(build_app())
    markdown = "[a](no.md) [b](https://x/no.md) `src/no.py` `penpay users fly` `penpay users` `make nonsense`\n"
    markdown += "```sh\npenpay db status --nonsense  # why\npenpay ledger balance x --as-of 1 --json\n```\n"

    assert ["no.md"] == missing_links(ROOT / "README.md", markdown)
    assert ["src/no.py"] == missing_paths(markdown)
    assert ["penpay db status --nonsense", "penpay users fly", "penpay users"] == misused_commands(markdown, program)
    assert ["make nonsense"] == missing_targets(markdown)


# -- docs/ledger.md


@pytest.fixture
def ledger() -> str:
    return (ROOT / "docs" / "ledger.md").read_text(encoding="utf-8")


def squeezed(block: str) -> list[str]:
    """Lines of a block with their columns one blank apart."""
    return [" ".join(line.split()) for line in block.splitlines() if line.strip()]


def test_the_chart_is_the_codes(ledger: str) -> None:
    """The table of accounts has every account the code knows, as the code knows it."""
    chart: dict[str, ChartLine] = dict(CHART)
    for family, lines in FAMILIES.items():
        chart |= {f"{family}:{{owner}}:{currency}": line for currency, line in lines.items()}
    rows = {
        f"| `{account}` | {line.name} | {line.type} | {line.currency} | {'yes' if line.may_go_negative else 'no'} |"
        for account, line in chart.items()
    }

    assert rows == set(re.findall(r"^\| `.* \| (?:yes|no) \|$", ledger, re.MULTILINE))


def test_the_worked_example_is_what_the_code_posts(ledger: str) -> None:
    """USD 10.00 at 129.5 and 200 basis points: every figure in the document is computed again."""
    rate = LockedRate(
        base=Currency.USD,
        quote=Currency.KES,
        mid_e8=12_950_000_000,
        spread_bps=200,
        source="docs",
        locked_at=MORNING,
        expires_at=MORNING + timedelta(minutes=15),
    )
    quote = rate.quote_deposit(Money(1_000, Currency.USD))
    books = Books()
    postings.deposit_paid(
        books.work, user=ALPHA, transaction=T1, reference="request", amount=quote.kes_charged, happened_at=MORNING
    )
    postings.deposit_converted(books.work, user=ALPHA, transaction=T1, quote=quote)
    postings.transfer_intended(books.work, user=ALPHA, transaction=T1, reference="PX1", amount=quote.usd)
    postings.transfer_confirmed(books.work, transaction=T1, reference="PX1", amount=quote.usd, happened_at=MORNING)
    kinds = [
        postings.DEPOSIT_PAID,
        postings.DEPOSIT_CONVERTED,
        postings.TRANSFER_INTENDED,
        postings.TRANSFER_CONFIRMED,
    ]
    journals = [line for kind, lines in zip(kinds, books.posted(), strict=True) for line in (kind, *lines)]
    amounts = [
        f"U {quote.usd}",
        f"M {quote.kes_at_mid}",
        f"P {quote.kes_priced}",
        f"T {quote.kes_charged}",
        f"P-M {quote.spread}",
        f"T-P {quote.rounding}",
    ]

    assert [journals] == [squeezed(block) for block in blocks(ledger, "worked-example")]
    assert [amounts] == [squeezed(block) for block in blocks(ledger, "amounts")]
    assert [{f"{account} {held}" for account, held in books.balances().items()}] == [
        set(squeezed(block)) for block in blocks(ledger, "balances")
    ]


def test_the_operators_example_is_what_the_code_posts(ledger: str) -> None:
    """A withdrawal at an agent with fee, excise and commission: every figure in the document is computed again."""
    books = Books()
    subscriber, amount, fee, commission = (
        f"subscriber:{ALPHA}:KES",
        *(Money(shillings * 100, Currency.KES) for shillings in (1_000, 29, 15)),
    )
    postings.float_assigned(
        books.work, holder=subscriber, amount=amount + fee, against=postings.TRUST_UNEVIDENCED, id_=T1
    )
    postings.operator_payment(
        books.work,
        payer=subscriber,
        payee=f"agent:{BETA}:KES",
        amount=amount,
        payer_fee=fee,
        payee_fee=Money.zero(Currency.KES),
        excise=excise_in(fee, 1_500),
        id_=T1,
    )
    postings.commission_accrued(books.work, agent=BETA, amount=commission, id_=T1)
    _, payment, accrued = books.posted()

    expected = [postings.OPERATOR_PAYMENT, *payment, postings.COMMISSION_ACCRUED, *accrued]
    assert [expected] == [squeezed(block) for block in blocks(ledger, "operator-example")]
    assert f"{postings.own_funds(books.work)} more is the operator's own" in ledger


def test_every_kind_and_check_is_explained(ledger: str) -> None:
    """No flow and no rule of `ledger verify` is left out."""
    kinds = {
        value
        for value in (vars(postings) | vars(withdrawal_postings)).values()
        if isinstance(value, str) and re.fullmatch("[a-z]+(_[a-z]+)+", value)
    }

    assert set() == {f"`{kind}`" for kind in kinds} - set(re.findall(r"`\w+`", ledger))
    assert {check.name for check in CHECKS} == set(re.findall(r"^\| `(\w+)` \| [^|]+ \|$", ledger, re.MULTILINE))


# -- docs/sagas.md


def test_the_sagas_tell_the_codes_states_and_times() -> None:
    """Every state, reason and span of time the code knows is in the document."""
    page = (ROOT / "docs" / "sagas.md").read_text(encoding="utf-8")
    words = [*TransactionStatus, *EvidenceState, *ReviewReason]
    tries = policy.TRIES_BEFORE_GIVING_UP
    figures = {
        "questions about a prompt": f"{_listed(policy.QUERY_BACKOFF_SECONDS)} s",
        "what never left": f"{_listed(policy.SEND_BACKOFF_SECONDS)} s",
        "asking again for a statement": f"{_listed(policy.UNREADABLE_BACKOFF_SECONDS)} s",
        "Deriv's statement": f"{_listed(policy.STATEMENT_BACKOFF_SECONDS)} s",
        "nobody can tell about": f"{policy.PAYMENT_UNRESOLVED_AFTER // timedelta(hours=1)} h and {tries} questions",
        "not found in the statement": f"{policy.TRANSFER_UNRESOLVED_AFTER // timedelta(minutes=1)} min",
        "statement cannot be read": f"{policy.STATEMENT_UNREADABLE_AFTER // timedelta(hours=1)} h",
        "could never be sent": f"{policy.TRANSFER_REFUSED_AFTER // timedelta(hours=1)} h and {tries} tries",
        "could not be applied": f"{webhooks.WEBHOOK_RETRY_AFTER // timedelta(seconds=1)} s",
    }
    rows = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", page, re.MULTILINE))

    assert [] == [word for word in words if f"`{word}`" not in page and not re.search(rf"\b{word}\b", page)]
    for what, figure in figures.items():
        (told,) = [value for name, value in rows.items() if what in name and value[0].isdigit()]
        assert told.startswith(figure), what
    assert "dead after the eighth failure" in page
    assert 8 == MAX_ATTEMPTS


def _arrows(type_: TransactionType) -> set[tuple[str, str]]:
    """The changes of state in a saga's table, with its beginning and its ends."""
    changes = {(before or "[*]", after) for before, _, after in sagas.moves(type_) if before is not after}
    return {(str(before), str(after)) for before, after in changes} | {(str(one), "[*]") for one in TERMINAL}


@pytest.mark.parametrize("type_", TransactionType)
def test_a_saga_is_drawn_as_its_table_says(type_: TransactionType) -> None:
    """Every arrow of the drawing is a row of the table, and every row that changes the state is an arrow.

    A review can open and be resolved at any state, also at those the other saga alone knows: these are left out.
    """
    arrows = sagas.drawn(type_)
    known = {state for arrow in arrows for state in arrow}

    assert arrows == {arrow for arrow in _arrows(type_) if known.issuperset(arrow)}
    assert {*TransactionStatus, "[*]"} == known | {state for arrow in sagas.drawn(_OTHER[type_]) for state in arrow}


def test_the_tables_of_the_sagas_are_the_codes_moves() -> None:
    """Together the tables change states as the domain lets them be changed, and name no event or journal it lacks."""
    changes = {(before, after) for type_ in TransactionType for before, _, after in sagas.moves(type_)}
    allowed = {(before, after) for before, several in ALLOWED.items() for after in several}
    told = {event for type_ in TransactionType for _, event, _ in sagas.moves(type_)}
    journals = set(re.findall(r"`(\w+)`", " ".join(row[3] for type_ in TransactionType for row in sagas.rows(type_))))
    known = {value for value in (vars(postings) | vars(withdrawal_postings)).values() if isinstance(value, str)}

    changed = {(before, after) for before, after in changes if before not in {None, after}}
    assert allowed == changed
    assert _recorded_events() == told
    assert set() == journals - known


def _recorded_events() -> set[str]:
    """Every event of a transaction that the code records, found in its text."""
    sources = (ROOT / "src" / "penpay" / "application" / "payments").glob("*.py")
    text_ = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    moved = re.findall(r"\.moved\(\s*((?:\"\w+\"(?: if \w+ else )?)+)", text_)
    named = [*moved, *re.findall(r"event=(\"\w+\")", text_), *re.findall(r"name = (\"Mpesa\w+\") if .*", text_)]
    named += re.findall(r"else (\"Mpesa\w+\")$", text_, re.MULTILINE)
    return {CREATED, REQUOTED, PAYOUT_REFUTED, *re.findall(r"\"(\w+)\"", " ".join(named))}


def _listed(seconds: tuple[int, ...]) -> str:
    return ", ".join(map(str, seconds))
