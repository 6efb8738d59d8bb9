"""Small rules of English, and the words that are read and painted in tests only."""

import words as w

PLURALS = frozenset("cherries fries glasses gloves grapes headphones jeans pancakes peanuts scissors socks".split())  # things that have no singular here


def held_out_words() -> list[str]:
    """Words of three and four letters from nano's word lists, in capitals: read and painted in evaluation only."""
    found = {x for name, entries in vars(w).items() if name.isupper() and not name.startswith("SYLLABLE") for e in entries for x in e.split()}
    return sorted(x.upper() for x in found if x.isalpha() and x.isascii() and len(x) in (3, 4))


HELD_OUT_WORDS = frozenset(held_out_words())


def article(noun: str) -> str:
    if noun in PLURALS:
        return f"some {noun}"
    return f"an {noun}" if noun[0] in "aeiou" and noun != "unicorn" else f"a {noun}"


def listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def plural(noun: str) -> str:
    return noun if noun in PLURALS else noun + "es" if noun.endswith(("s", "x", "sh", "ch")) else noun + "s"


def verb(noun: str) -> str:
    return "are" if noun in PLURALS else "is"
