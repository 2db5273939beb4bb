"""The figures of Collections that must agree, as SQL over the tables, written here once more and not the product's."""

from __future__ import annotations

from typing import Final

COUNTING: Final = """SELECT * FROM payment_allocations WHERE reverses_id IS NULL
    AND id NOT IN (SELECT reverses_id FROM payment_allocations WHERE reverses_id IS NOT NULL)"""
"""The allocations that no other one has reversed; it stands where `counting` is in the others."""
_SUM: Final = "SELECT coalesce(sum({}), 0) FROM {}"
ACCOUNTS: Final = (
    ("1200", _SUM.format("balance", "invoices")),
    ("2100", _SUM.format("credit_cents", "customers")),
    ("2300", _SUM.format("suspense_cents", "payments")),
    ("2350", _SUM.format("cash_cents + mpesa_cents", "pos_sales WHERE status = 'PENDING'")),
    ("2400", _SUM.format("amount_cents", "collections_refunds WHERE state = 'APPROVED'")),
    (
        "1000",
        """SELECT (SELECT coalesce(sum(CASE kind WHEN 'CASH' THEN amount_cents ELSE -amount_cents END), 0)
                   FROM pos_tenders WHERE kind IN ('CASH', 'CASH_RETURNED') AND shift_id IS NULL)
                + (SELECT coalesce(sum(coalesce(counted_cents, 0) - float_cents), 0) FROM till_shifts)
                + (SELECT coalesce(sum(CASE WHEN (direction = 'IN') = (shift_id IS NULL) THEN amount_cents
                     ELSE -amount_cents END), 0) FROM cash_movements WHERE shift_id IS NULL OR purpose = 'SAFE')""",
    ),
    (
        "1005",
        """SELECT (SELECT coalesce(sum(float_cents), 0) FROM till_shifts WHERE counted_cents IS NULL)
                + (SELECT coalesce(sum(CASE t.kind WHEN 'CASH' THEN t.amount_cents ELSE -t.amount_cents END), 0)
                   FROM pos_tenders t JOIN till_shifts s ON s.id = t.shift_id WHERE s.counted_cents IS NULL)
                + (SELECT coalesce(sum(CASE m.direction WHEN 'IN' THEN m.amount_cents ELSE -m.amount_cents END), 0)
                   FROM cash_movements m JOIN till_shifts s ON s.id = m.shift_id WHERE s.counted_cents IS NULL)""",
    ),
    (
        "1020",
        """SELECT (SELECT coalesce(sum(CASE direction WHEN 'OUT' THEN amount_cents ELSE -amount_cents END), 0)
                   FROM cash_movements WHERE purpose = 'BANK')
                + (SELECT coalesce(sum(amount_cents), 0) FROM collections_outflows WHERE outflow_use = 'BANK')""",
    ),
    (
        "3100",
        """SELECT -(SELECT coalesce(sum(amount_cents), 0) FROM cash_movements
                    WHERE purpose = 'OWNER' AND direction = 'OUT')
                - (SELECT coalesce(sum(amount_cents), 0) FROM collections_outflows WHERE outflow_use = 'OWNER')""",
    ),
    (
        "5300",
        """SELECT (SELECT coalesce(sum(amount_cents), 0) FROM cash_movements WHERE purpose = 'EXPENSE')
                + (SELECT coalesce(sum(amount_cents), 0) FROM collections_outflows WHERE outflow_use = 'EXPENSE')""",
    ),
    (
        "5200",
        """SELECT coalesce(sum(s.float_cents - s.counted_cents
                 + (SELECT coalesce(sum(CASE t.kind WHEN 'CASH' THEN t.amount_cents ELSE -t.amount_cents END), 0)
                    FROM pos_tenders t WHERE t.shift_id = s.id)
                 + (SELECT coalesce(sum(CASE m.direction WHEN 'IN' THEN m.amount_cents ELSE -m.amount_cents END), 0)
                    FROM cash_movements m WHERE m.shift_id = s.id)), 0)
           FROM till_shifts s WHERE s.counted_cents IS NOT NULL""",
    ),
    (
        "1250",
        """SELECT (SELECT coalesce(sum(a.amount_cents), 0) FROM ({counting}) a WHERE a.target = 'RECOVERY')
                 + (SELECT coalesce(sum(a.amount_cents), 0) FROM ({counting}) a
                    JOIN payments p ON p.id = a.payment_id
                    WHERE a.target = 'REFUND' AND p.status = 'REVERSED')""",
    ),
    (
        "4000",
        """SELECT (SELECT coalesce(sum(net_cents), 0) FROM invoices WHERE status <> 'VOID')
                - (SELECT coalesce(sum(n.net_cents), 0) FROM credit_notes n JOIN invoices i ON i.id = n.invoice_id
                   WHERE i.status <> 'VOID')
                + (SELECT coalesce(sum(net_cents), 0) FROM pos_sales WHERE status = 'PAID')""",
    ),
    (
        "2200",
        """SELECT (SELECT coalesce(sum(vat_cents), 0) FROM invoices WHERE status <> 'VOID')
                - (SELECT coalesce(sum(n.vat_cents), 0) FROM credit_notes n JOIN invoices i ON i.id = n.invoice_id
                   WHERE i.status <> 'VOID')
                + (SELECT coalesce(sum(vat_cents), 0) FROM pos_sales WHERE status = 'PAID')""",
    ),
    ("1260", _SUM.format("amount_cents", "collections_outflows WHERE outflow_use = 'UNEXPLAINED'")),
    ("5100", _SUM.format("amount_cents", "collections_outflows WHERE outflow_use = 'CHARGE'")),
    ("5000", _SUM.format("cost_cents", "pos_sales WHERE status = 'PAID'")),
)
"""By account: what it must hold, by the rows that it is the sum of."""
BROKEN: Final = (
    (
        "a customer's receivable is not what is open on her invoices",
        """SELECT c.customer_number FROM customers c LEFT JOIN invoices i ON i.customer_id = c.id
           GROUP BY c.id HAVING c.receivable_cents <> coalesce(sum(i.balance), 0)""",
    ),
    (
        "a customer's credit is not what went in less what came out",
        """SELECT c.customer_number FROM customers c LEFT JOIN (SELECT a.customer_id, sum(CASE
              WHEN a.target = 'CREDIT' THEN a.amount_cents
              WHEN a.payment_id IS NULL AND a.target = 'RECOVERY' THEN a.amount_cents
              WHEN a.payment_id IS NULL THEN -a.amount_cents ELSE 0 END) credit
            FROM ({counting}) a GROUP BY a.customer_id) s ON s.customer_id = c.id
            WHERE c.credit_cents <> coalesce(s.credit, 0)""",
    ),
    (
        "what a payment is used for does not add up to it",
        """SELECT p.mpesa_receipt_number FROM payments p LEFT JOIN (
              SELECT a.payment_id, sum(a.amount_cents) used FROM ({counting}) a
              GROUP BY a.payment_id) s ON s.payment_id = p.id
            WHERE p.status <> 'REVERSED' AND coalesce(s.used, 0) + p.suspense_cents <> p.amount_cents""",
    ),
    (
        "what counts of an invoice is not what has paid it",
        """SELECT i.invoice_number FROM invoices i LEFT JOIN (
              SELECT a.invoice_id, sum(a.amount_cents) used FROM ({counting}) a
              GROUP BY a.invoice_id) s ON s.invoice_id = i.id
            WHERE coalesce(s.used, 0) <>
              CASE WHEN i.status = 'VOID' THEN 0 ELSE i.total_cents - i.credited_cents - i.balance END""",
    ),
    (
        "a paid sale was not paid to the cent",
        """SELECT s.pos_number FROM pos_sales s LEFT JOIN (
              SELECT sale_id, sum(CASE WHEN kind IN ('CASH', 'MPESA') THEN amount_cents ELSE -amount_cents END) held
              FROM pos_tenders GROUP BY sale_id) t ON t.sale_id = s.id
            WHERE coalesce(t.held, 0) <> CASE s.status WHEN 'PAID' THEN s.total_cents
              WHEN 'PENDING' THEN s.cash_cents + s.mpesa_cents ELSE 0 END""",
    ),
    (
        "what a shift took, handed back, put in or took out is not the sum of its rows",
        """SELECT s.shift_number FROM till_shifts s
            WHERE s.taken_cents - s.returned_cents <>
              (SELECT coalesce(sum(CASE t.kind WHEN 'CASH' THEN t.amount_cents ELSE -t.amount_cents END), 0)
               FROM pos_tenders t WHERE t.shift_id = s.id)
            OR s.in_cents - s.out_cents <>
              (SELECT coalesce(sum(CASE m.direction WHEN 'IN' THEN m.amount_cents ELSE -m.amount_cents END), 0)
               FROM cash_movements m WHERE m.shift_id = s.id)""",
    ),
    (
        "events of one thing are not numbered without gaps",
        "SELECT aggregate_type FROM domain_events GROUP BY aggregate_id HAVING count(*) <> max(sequence)",
    ),
)
"""What finds that a rule is broken, and for what."""
