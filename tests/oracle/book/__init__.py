"""A made-up tenant of some hundred accounts over two years, with every turn that DOMAIN.md has a rule for.

`write_book(...)` gives facts as the public doors take them, plus what only comes inside: `alias`, `response`,
`invitation_sent`, `invitation_bounced`. The same seed gives the same book. Nothing of the product is imported.
"""

from tests.oracle.book.book import Book, write_book
from tests.oracle.book.pen import base_after

__all__ = ["Book", "base_after", "write_book"]
