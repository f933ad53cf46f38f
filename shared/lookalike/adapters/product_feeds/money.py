"""Prices as product feeds write them.

The Google Merchant product data specification asks for a decimal point and the ISO 4217 code after the number:
`15.00 USD`. Other notations are read where they have one meaning only.
"""

import re
from decimal import Decimal

from lookalike.adapters.product_feeds.limits import InvalidValue, quote
from lookalike.domain.product import Money

_CODES = (
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF "
    "CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG "
    "HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA "
    "MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD "
    "RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX "
    "USD UYU UZS VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG"  # codespell:ignore zar
)
CURRENCIES = frozenset(_CODES.split())
"""Codes of ISO 4217 for money in use."""
THREE_DECIMALS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})
"""Currencies with a thousandth as the smallest unit."""
SYMBOLS = {"€": "EUR", "£": "GBP"}
"""Symbols of one currency. `$`, `¥` and `kr` belong to several."""
MAX_INTEGER_DIGITS = 12
MAX_DECIMALS = 4
MAX_PRICE_LENGTH = 60

_PARTS = re.compile(r"([^0-9.,\s'’-]*)\s*(-?(?:[0-9.][0-9.,'’ \u00a0\u202f]*)?[0-9])\s*([^0-9]*)")
_POINT = re.compile(r"[0-9]*(?:\.[0-9]+)?")
_GROUPS_AND_POINT = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?")
_INDIAN_GROUPS_AND_POINT = re.compile(r"[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3}(?:\.[0-9]+)?")
_DECIMAL_COMMA = re.compile(r"[0-9]+,[0-9]{1,2}|[0-9]{1,3}(?:\.[0-9]{3})+,[0-9]{1,2}")
_POINT_GROUPS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{3}){2,}")
_SPACED_GROUPS = re.compile(r"[0-9]{1,3}(?:[ '’\u00a0\u202f][0-9]{3})+(?:[.,][0-9]{1,2})?")
_POINT_OR_GROUP = re.compile(r"[1-9][0-9]{0,2}\.[0-9]{3}")
_COMMA_OR_GROUP = re.compile(r"[0-9]{1,3},[0-9]{3}")


def parse_price(column: str, text: str, default_currency: str | None = None) -> Money:
    """Parse a price. `default_currency` is used if the text has no currency. Raises `InvalidValue`."""
    text = text.strip()
    parts = _PARTS.fullmatch(text) if len(text) <= MAX_PRICE_LENGTH else None
    if not parts:
        raise InvalidValue(f"{column}: {quote(text)} is not a price; write it like 15.00 USD")
    before, number, after = (part.strip() for part in parts.groups())
    currency = _currency(column, text, [token for token in (before, after) if token], default_currency)
    return Money(_amount(column, number, currency), currency)


def format_price(money: Money) -> str:
    """The price as the specification writes it. `parse_price` reads the same amount."""
    text = f"{money.amount:f}"
    decimals = len(text.partition(".")[2])
    if decimals < 2 or (decimals == 3 and money.currency not in THREE_DECIMALS):
        # three decimals could be read as a group of thousands
        text = f"{money.amount:.{4 if decimals == 3 else 2}f}"
    return f"{text} {money.currency}"


def parse_currency(text: str) -> str | None:
    """The code of ISO 4217 that the text is, or `None`."""
    code = text.strip().upper()
    return code if code in CURRENCIES else None


def _currency(column: str, text: str, tokens: list[str], default: str | None) -> str:
    if not tokens:
        if default:
            return default
        raise InvalidValue(f"{column}: {quote(text)} has no currency; write it like 15.00 USD, or give a currency")
    codes = {SYMBOLS.get(token) or parse_currency(token) for token in tokens}
    if len(codes) == 1 and (code := codes.pop()):
        return code
    raise InvalidValue(f"{column}: {quote(text)} has no clear currency; use an ISO 4217 code, like 15.00 USD")


def _amount(column: str, number: str, currency: str) -> Decimal:
    if number.startswith("-"):
        raise InvalidValue(f"{column}: {quote(number)} is negative")
    thousandths = currency in THREE_DECIMALS
    if (_POINT_OR_GROUP if not thousandths else _COMMA_OR_GROUP).fullmatch(number):
        raise InvalidValue(f"{column}: {quote(number)} has two meanings; write it with a decimal point, like 1299.00")
    if _POINT.fullmatch(number) or _GROUPS_AND_POINT.fullmatch(number) or _INDIAN_GROUPS_AND_POINT.fullmatch(number):
        digits = number.replace(",", "")
    elif _DECIMAL_COMMA.fullmatch(number):
        digits = number.replace(".", "").replace(",", ".")
    elif _POINT_GROUPS.fullmatch(number):
        digits = number.replace(".", "")
    elif _SPACED_GROUPS.fullmatch(number):
        digits = re.sub(r"[^0-9.]", "", number.replace(",", "."))
    else:
        raise InvalidValue(f"{column}: {quote(number)} is not a number; write it like 1299.00")
    return _bounded(column, digits)


def _bounded(column: str, digits: str) -> Decimal:
    integer, _, decimals = digits.partition(".")
    integer, decimals = integer.lstrip("0"), decimals.rstrip("0")
    if len(integer) > MAX_INTEGER_DIGITS or len(decimals) > MAX_DECIMALS:
        raise InvalidValue(
            f"{column}: {quote(digits)} is too long; use at most {MAX_INTEGER_DIGITS} digits and {MAX_DECIMALS} decimals"
        )
    return Decimal(f"{integer or 0}.{decimals:0<2}")
