"""Sound books of Collections with any number of payments, written set-based, as the commands would have left them.

Payment n is customer n mod C's; ten payments in turn pay one invoice of hers, each a tenth. All of it is spread over
two years that end now. One customer more has a long past: a tenth of all payments, older than a year, and only as many
since then as any other customer has.
"""

from __future__ import annotations

from typing import Final

from tests.servers.postgresql import PostgresqlServer

PAYMENTS_EACH: Final = 100
"""Of one customer in books of any size."""
PER_INVOICE: Final = 10
OLD_CUSTOMER: Final = "CUST-OLD"

# Identifiers of one kind share a letter and count up, as the time in a UUIDv7 does.
_SCHEMA: Final = """
CREATE FUNCTION pg_temp.made(kind text, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
    AS $$ SELECT (lpad(to_hex(n), 12, '0') || '7000' || rpad(kind, 16, '0'))::uuid $$;
CREATE TEMP TABLE asked AS SELECT {payments}::bigint AS payments, {customers}::bigint AS customers,
    now() - interval '730 days' AS begun, interval '730 days' / {payments} AS step;
-- n counts payments; the last tenth of them is the past of the customer who has been there for long.
CREATE TEMP TABLE paid AS
    SELECT n, n % a.customers AS c, (n / a.customers) AS turn, a.begun + n * a.step AS at
        FROM asked a, generate_series(0, a.payments - 1) AS n;
INSERT INTO paid SELECT a.payments + n, a.customers, n, a.begun + n * (interval '365 days' / (a.payments / 10))
    FROM asked a, generate_series(0, a.payments / 10 - 1) AS n;
INSERT INTO paid SELECT a.payments + a.payments / 10 + n, a.customers, a.payments / 10 + n,
    a.begun + interval '365 days' + n * (interval '365 days' / {each})
    FROM asked a, generate_series(0, {each} - 1) AS n;
"""
# Indexes are built, and rows compared with those they refer to, once all rows are there: in a fraction of the time that
# it takes row by row. Nothing is left unchecked.
_PUT_OFF: Final = """
SET synchronous_commit = off;
SET maintenance_work_mem = '256MB';
SET work_mem = '256MB';
CREATE TEMP TABLE put_off AS
    SELECT CASE c.contype WHEN 'u' THEN 1 ELSE 2 END AS turn,
            format('ALTER TABLE %s DROP CONSTRAINT %I', c.conrelid::regclass, c.conname) AS away,
            format('ALTER TABLE %s ADD CONSTRAINT %I %s', c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid))
                AS back
        FROM pg_constraint c WHERE c.contype IN ('u', 'f') AND c.conrelid::regclass::text IN ({tables})
    UNION ALL SELECT 1, format('DROP INDEX %s', i.indexrelid::regclass), pg_get_indexdef(i.indexrelid)
        FROM pg_index i WHERE i.indrelid::regclass::text IN ({tables})
            AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = i.indexrelid);
DO $$ DECLARE one record; BEGIN
    FOR one IN SELECT away FROM put_off ORDER BY turn DESC LOOP EXECUTE one.away; END LOOP;
END $$;
"""
_BOOKS: Final = """
CREATE TEMP TABLE billed AS
    SELECT c, turn / {per} AS bill, c * 1000000 + turn / {per} AS id, count(*) * 100 AS cents,
            min(at) - interval '1 hour' AS at, to_char(min(at), 'YYYY-MM-DD') AS due_on
        FROM paid GROUP BY c, turn / {per};
CREATE TEMP TABLE lines AS
    SELECT 'a' AS account, pg_temp.made('f', n) AS journal, 'DEBIT' AS side, 100::bigint AS cents, 100 AS held, at
        FROM paid
    UNION ALL SELECT 'b', pg_temp.made('f', n), 'CREDIT', 100, -100, at FROM paid
    UNION ALL SELECT 'b', pg_temp.made('8', id), 'DEBIT', cents, cents, at FROM billed
    UNION ALL SELECT '7', pg_temp.made('8', id), 'CREDIT', cents, cents, at FROM billed;
INSERT INTO ledger_accounts (id, code, name, type, currency, owner_id, may_go_negative, balance_cents, version,
        last_recorded_at)
    SELECT pg_temp.made(v.mark, 1), v.code, v.name, v.type, 'KES', NULL, v.below, sum(held), count(*), max(at)
        FROM lines JOIN (VALUES ('a', '1010', 'M-Pesa Cash', 'ASSET', true),
            ('b', '1200', 'Accounts Receivable', 'ASSET', false),
            ('7', '4000', 'Sales Revenue', 'REVENUE', false)) AS v (mark, code, name, type, below) ON v.mark = account
        GROUP BY v.mark, v.code, v.name, v.type, v.below;
INSERT INTO customers (id, customer_number, customer_number_folded, name_sealed, auto_apply_credit, receivable_cents,
        credit_cents, issued_count, reopened_count, paid_on_cents, created_at, version)
    SELECT pg_temp.made('c', c), 'CUST-' || c, 'CUST' || c, '', true, 0, 0, count(*), 0, 0, min(at), 1
        FROM billed GROUP BY c;
UPDATE customers SET customer_number = '{old}', customer_number_folded = '{old_folded}'
    WHERE id = pg_temp.made('c', {customers});
INSERT INTO invoices (id, invoice_number, invoice_number_folded, customer_id, status, net_cents, vat_cents, total_cents,
        credited_cents, balance, is_open, issued_at, due_on, version)
    SELECT pg_temp.made('d', id), 'INV-' || c || '-' || bill, 'INV' || c || '-' || bill, pg_temp.made('c', c), 'PAID',
            cents, 0, cents, 0, 0, false, at, due_on, 2
        FROM billed;
INSERT INTO payments (id, mpesa_receipt_number, source, amount_cents, payer_form, paid_at, received_at, verification,
        status, suspense_cents, customer_id, flags, version)
    SELECT pg_temp.made('e', n), 'QBE' || n, 'C2B', 100, 'NONE', at, at, 'UNVERIFIED', 'ALLOCATED', 0,
            pg_temp.made('c', c), '', 1
        FROM paid;
INSERT INTO ledger_journals (id, kind, reference, happened_at, recorded_at)
    SELECT pg_temp.made('f', n), 'receipt_booked', 'QBE' || n, at, at FROM paid
    UNION ALL SELECT pg_temp.made('8', id), 'invoice_issued', pg_temp.made('d', id)::text, at, at FROM billed;
INSERT INTO ledger_entries (account_id, account_seq, journal_id, side, amount_cents, balance_after_cents)
    SELECT pg_temp.made(account, 1), row_number() OVER told, journal, side, cents, sum(held) OVER told
        FROM lines WINDOW told AS (PARTITION BY account ORDER BY at, journal ROWS UNBOUNDED PRECEDING);
INSERT INTO payment_allocations (id, payment_id, customer_id, invoice_id, target, amount_cents, journal_id, created_at,
        created_by)
    SELECT pg_temp.made('9', n), pg_temp.made('e', n), pg_temp.made('c', c),
            pg_temp.made('d', c * 1000000 + turn / {per}), 'INVOICE', 100, pg_temp.made('f', n), at, 'bench'
        FROM paid;
"""
_PUT_BACK: Final = """
DO $$ DECLARE one record; BEGIN
    FOR one IN SELECT back FROM put_off ORDER BY turn LOOP EXECUTE one.back; END LOOP;
END $$;
ANALYZE;
"""
_TABLES: Final = ("invoices", "payments", "payment_allocations", "ledger_journals", "ledger_entries")


def load(server: PostgresqlServer, database: str, payments: int) -> int:
    """Fill a migrated database with this many payments and the old customer's; returns how many customers there are."""
    customers = payments // PAYMENTS_EACH
    figures = {
        "payments": payments,
        "customers": customers,
        "each": PAYMENTS_EACH,
        "per": PER_INVOICE,
        "old": OLD_CUSTOMER,
        "tables": ", ".join(f"'{table}'" for table in _TABLES),
        "old_folded": OLD_CUSTOMER.replace("-", ""),
    }
    server.execute((_SCHEMA + _PUT_OFF + _BOOKS + _PUT_BACK).format(**figures), database)
    return customers
