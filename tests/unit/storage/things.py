"""A table of the tests' own: what is tried here holds for any."""

from sqlalchemy import BigInteger, Column, MetaData, Table, Text

metadata = MetaData()
thing = Table(
    "thing",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False, default="constant"),
    Column("said", Text, nullable=False, default=""),
    Column("number", BigInteger, nullable=False, default=0),
)
