"""Finds prices in the text of a search: "under 80", "at least 20 EUR", "between 20 and €50"."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Currencies = Callable[[], Sequence[str]]
"""Returns the currencies of the stored prices, as ISO 4217 codes. Without prices, nothing is a price."""

# fmt: off
_CURRENCY_NAMES = {
    "€": ("EUR",), "euro": ("EUR",), "euros": ("EUR",),
    "£": ("GBP",), "pound": ("GBP",), "pounds": ("GBP",), "quid": ("GBP",),
    "$": ("USD", "AUD", "CAD", "NZD", "HKD", "SGD"), "dollar": ("USD", "AUD", "CAD", "NZD", "HKD", "SGD"),
    "bucks": ("USD", "AUD", "CAD", "NZD"), "¥": ("JPY", "CNY"), "yen": ("JPY",), "₹": ("INR",), "rupees": ("INR",),
    "kr": ("SEK", "NOK", "DKK"), "zł": ("PLN",), "francs": ("CHF",),
}
# fmt: on
_CURRENCY_NAMES["dollars"] = _CURRENCY_NAMES["dollar"]
_AT_MOST = "no more than|not more than|less than|cheaper than|at most|up to|under|below|beneath|maximum|max"
_AT_LEAST = "no less than|not less than|more than|at least|over|above|minimum|min"
_NUMBER = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,9})(?:\.[0-9]{1,4})?(?![0-9.,]*[0-9])"
_SIGN = r"[€£$¥₹]"
_WORD = "|".join(sorted((re.escape(name) for name in _CURRENCY_NAMES if name.isalpha()), key=len, reverse=True))
# A word of three letters is a currency only if prices are stored in it; `_split` checks that.
_PRICE = rf"(?:(?:{_SIGN}|[a-z]{{3}}\b)\s*)?{_NUMBER}(?:\s*(?:{_SIGN}|(?:{_WORD}|[a-z]{{3}})\b))?"
_LIMIT = re.compile(
    rf"(?<!\w)(?:(?P<most>{_AT_MOST})|(?P<least>{_AT_LEAST}))\s+(?P<price>{_PRICE})(?!\w)", re.IGNORECASE
)
_RANGE = re.compile(
    rf"(?<!\w)(?:between\s+(?P<low>{_PRICE})\s+and|from\s+(?P<start>{_PRICE})\s+to)\s+(?P<high>{_PRICE})(?!\w)",
    re.IGNORECASE,
)
_UNIT = re.compile(
    r"\s*-?(?:%|°|\"|''|(?:percent|cm|mm|m|inch|inches|ft|kg|g|gsm|denier|den|l|ml|years?|yrs?|months?|stars?|"
    r"pieces?|pcs|buttons?|pockets?)\b)",
    re.IGNORECASE,
)
_NEGATED = re.compile(r"(?:\b(?:not|no|without|never|except|but))\s*$", re.IGNORECASE)


_PRICES = ("price", "low", "start", "high")
"""Groups of the patterns that contain a price."""


@dataclass(frozen=True, slots=True)
class _Price:
    """A number, the stored currencies that it is in, `None` if it names none, and the length of its text."""

    number: str
    currencies: tuple[str, ...] | None
    length: int


@dataclass(frozen=True, slots=True)
class FoundPrice:
    """A part of a text that limits the price."""

    start: int
    end: int
    """Position after the last character."""
    limits: tuple[str, ...]
    """Limits in the form that `parse_price_limit` reads."""
    currencies: tuple[str, ...]
    """Alternatives, all of which occur in the catalog. Empty if the text names none."""

    def pairs(self) -> list[tuple[str, str]]:
        """Return the fields and values that the price means."""
        return [*(("price", limit) for limit in self.limits), *(("currency", code) for code in self.currencies)]


def find_prices(text: str, currencies: Currencies) -> list[FoundPrice]:
    """Return the parts of a text that limit the price, in their order. Looks up the currencies only if there are any.

    A number with a unit, such as "over 40 cm", is no price; and neither is a limit that is negated.
    """
    matches = sorted([*_RANGE.finditer(text), *_LIMIT.finditer(text)], key=lambda match: match.start())
    matches = [match for match in matches if not _NEGATED.search(text, 0, match.start())]
    stored = currencies() if matches else ()
    found: list[FoundPrice] = []
    for match in matches if stored else ():
        if (price := _read(text, match, stored)) and (not found or found[-1].end <= price.start):
            found.append(price)
    return found


def parse_price_limit(limit: str) -> tuple[float | None, float | None]:
    """Return the minimum and the maximum that a limit such as `<=80` or `>=79.99` means."""
    number = float(limit[2:])
    return (number, None) if limit.startswith(">=") else (None, number)


def _read(text: str, match: re.Match[str], stored: Sequence[str]) -> FoundPrice | None:
    """Return the price of a match, or `None` if it is none: a unit follows, or a currency that no price has."""
    groups = {name: price for name, price in match.groupdict().items() if price and name in _PRICES}
    last = max(groups, key=match.end)
    read = {name: _split(price, stored) for name, price in groups.items()}
    end = match.start(last) + read[last].length
    is_cut = any(one.length < len(groups[name]) for name, one in read.items() if name != last)
    if is_cut or any(one.currencies == () for one in read.values()) or _UNIT.match(text, end):
        return None
    is_maximum = {"price": bool(match.groupdict().get("most")), "high": True}
    limits = tuple(f"{'<=' if is_maximum.get(name) else '>='}{one.number}" for name, one in read.items())
    named = [one.currencies for one in read.values() if one.currencies]
    return FoundPrice(match.start(), end, limits, named[0] if named else ())


def _split(price: str, stored: Sequence[str]) -> _Price:
    match = re.search(_NUMBER, price)
    assert match is not None
    number = match.group().replace(",", "")
    before, after = price[: match.start()].strip(), price[match.end() :].strip()
    if not before and not after:
        return _Price(number, None, len(price))
    codes = _stored_codes(before or after, stored)
    if codes or before or after.casefold() in _CURRENCY_NAMES:
        return _Price(number, codes, len(price))
    # another word of three letters, which is not part of the price
    return _Price(number, None, match.end())


def _stored_codes(name: str, stored: Sequence[str]) -> tuple[str, ...]:
    codes = _CURRENCY_NAMES.get(name.casefold(), (name.upper(),))
    return tuple(code for code in codes if code in stored)
