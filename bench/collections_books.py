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
# Indexes are built once the rows are there, which takes a fraction of keeping them while rows are added.
_WITHOUT_INDEXES: Final = """
SET session_replication_role = replica;
SET synchronous_commit = off;
SET maintenance_work_mem = '256MB';
CREATE TEMP TABLE put_off AS
    SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', c.conrelid::regclass, c.conname) AS away,
            format('ALTER TABLE %s ADD CONSTRAINT %I %s', c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid))
                AS back
        FROM pg_constraint c WHERE c.contype = 'u' AND c.conrelid::regclass::text IN ({tables})
    UNION ALL SELECT format('DROP INDEX %s', i.indexrelid::regclass), pg_get_indexdef(i.indexrelid)
        FROM pg_index i WHERE i.indrelid::regclass::text IN ({tables})
            AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = i.indexrelid);
DO $$ DECLARE one record; BEGIN FOR one IN SELECT away FROM put_off LOOP EXECUTE one.away; END LOOP; END $$;
"""
_BOOKS: Final = """
INSERT INTO ledger_accounts (id, code, name, type, currency, owner_id, may_go_negative, balance_cents, version,
        last_recorded_at)
    SELECT pg_temp.made(v.mark, 1), v.code, v.name, v.type, 'KES', NULL, false, v.per * count(*), count(*), max(p.at)
        FROM paid p, (VALUES ('a', '1010', 'M-Pesa Cash', 'ASSET', 100),
            ('b', '1200', 'Accounts Receivable', 'ASSET', 0)) AS v (mark, code, name, type, per)
        GROUP BY v.mark, v.code, v.name, v.type, v.per;
INSERT INTO customers (id, customer_number, customer_number_folded, name_sealed, auto_apply_credit, receivable_cents,
        credit_cents, issued_count, reopened_count, paid_on_cents, created_at, version)
    SELECT pg_temp.made('c', c), 'CUST-' || c, 'CUST' || c, '', true, 0, 0, max(turn) / {per} + 1, 0, 0, min(at), 1
        FROM paid GROUP BY c;
UPDATE customers SET customer_number = '{old}', customer_number_folded = '{old_folded}'
    WHERE id = pg_temp.made('c', {customers});
INSERT INTO invoices (id, invoice_number, invoice_number_folded, customer_id, status, net_cents, vat_cents, total_cents,
        credited_cents, balance, is_open, issued_at, due_on, version)
    SELECT pg_temp.made('d', c * 1000000 + turn / {per}), 'INV-' || c || '-' || turn / {per},
            'INV' || c || '-' || turn / {per}, pg_temp.made('c', c), 'PAID', 100 * count(*), 0, 100 * count(*), 0, 0,
            false, min(at) - interval '1 hour', to_char(min(at), 'YYYY-MM-DD'), 2
        FROM paid GROUP BY c, turn / {per};
INSERT INTO payments (id, mpesa_receipt_number, source, amount_cents, payer_form, paid_at, received_at, verification,
        status, suspense_cents, customer_id, flags, version)
    SELECT pg_temp.made('e', n), 'QBE' || n, 'C2B', 100, 'NONE', at, at, 'UNVERIFIED', 'ALLOCATED', 0,
            pg_temp.made('c', c), '', 1
        FROM paid;
INSERT INTO ledger_journals (id, kind, reference, happened_at, recorded_at)
    SELECT pg_temp.made('f', n), 'receipt_booked', 'QBE' || n, at, at FROM paid;
INSERT INTO ledger_entries (account_id, account_seq, journal_id, side, amount_cents, balance_after_cents)
    SELECT pg_temp.made(v.mark, 1), n + 1, pg_temp.made('f', n), v.side, 100, v.per * (n + 1)
        FROM paid, (VALUES ('a', 'DEBIT', 100), ('b', 'CREDIT', 0)) AS v (mark, side, per);
INSERT INTO payment_allocations (id, payment_id, customer_id, invoice_id, target, amount_cents, journal_id, created_at,
        created_by)
    SELECT pg_temp.made('9', n), pg_temp.made('e', n), pg_temp.made('c', c),
            pg_temp.made('d', c * 1000000 + turn / {per}), 'INVOICE', 100, pg_temp.made('f', n), at, 'bench'
        FROM paid;
"""
_WITH_INDEXES: Final = """
DO $$ DECLARE one record; BEGIN FOR one IN SELECT back FROM put_off LOOP EXECUTE one.back; END LOOP; END $$;
SET session_replication_role = origin;
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
    server.execute((_SCHEMA + _WITHOUT_INDEXES + _BOOKS + _WITH_INDEXES).format(**figures), database)
    return customers
