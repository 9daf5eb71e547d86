"""The gate's side of money: hands `billing_core` a transaction in which seats, invoice, journal, audit and outbox
commit together.

The only importer of `billing_core`. No price is computed here. Start reading at `purchase.py`.
"""
