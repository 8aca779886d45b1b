"""The part of a page that a program writes, between two lines that mark it."""


def between(page: str, begin: str, end: str, block: str) -> str:
    """The page with another block, from the line `begin` to the line `end`, both included.

    Raises:
        ValueError: If the page does not have the two markers, once each and in this order.
    """
    if page.count(begin) != 1 or page.count(end) != 1 or page.index(end) < page.index(begin):
        raise ValueError(f"The page must have the lines {begin!r} and {end!r} once, in this order.")
    before, rest = page.split(begin)
    return before + block + rest.split(end)[1]
