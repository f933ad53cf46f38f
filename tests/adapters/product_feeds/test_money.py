"""Prices: the specification's notation, others that have one meaning, and refusal of those with two."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.adapters.product_feeds.limits import InvalidValue
from lookalike.adapters.product_feeds.money import CURRENCIES, MAX_PRICE_LENGTH, format_price, parse_price
from lookalike.domain.product import Money

amounts = st.decimals(min_value=0, max_value=Decimal("999999999999"), places=4, allow_nan=False, allow_infinity=False)
money = st.builds(Money, amounts, st.sampled_from(sorted(CURRENCIES)))


@pytest.mark.parametrize(
    ("text", "amount", "currency"),
    [
        ("15.00 USD", "15", "USD"),
        ("USD 15.00", "15", "USD"),
        ("15.00USD", "15", "USD"),
        (" 15 eur ", "15", "EUR"),
        ("1,299.00 USD", "1299", "USD"),
        ("1,299 USD", "1299", "USD"),
        ("1,234,567.89 USD", "1234567.89", "USD"),
        ("1,29,900.50 INR", "129900.50", "INR"),
        ("15,00 EUR", "15", "EUR"),
        ("1.299,00 EUR", "1299", "EUR"),
        ("1.299.000 EUR", "1299000", "EUR"),
        ("1 299,00 EUR", "1299", "EUR"),
        ("1\u202f299,00\u00a0EUR", "1299", "EUR"),
        ("1'299.50 CHF", "1299.50", "CHF"),
        ("€ 15.00", "15", "EUR"),
        ("15,5 €", "15.5", "EUR"),
        ("£15", "15", "GBP"),
        ("1.299 KWD", "1.299", "KWD"),
        ("0.999 USD", "0.999", "USD"),
        ("15.0000 USD", "15", "USD"),
        ("1299.000 USD", "1299", "USD"),
        (".99 USD", "0.99", "USD"),
        ("0.00 USD", "0", "USD"),
        ("1500 JPY", "1500", "JPY"),
    ],
)
def test_price_with_one_meaning(text: str, amount: str, currency: str) -> None:
    assert parse_price("price", text) == Money(Decimal(amount), currency)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1.299 EUR", "two meanings"),
        ("1,299 KWD", "two meanings"),
        ("15.00", "no currency"),
        ("$15.00", "no clear currency"),
        ("15.00 kr", "no clear currency"),
        ("15.00 XYZ", "no clear currency"),
        ("USD 15.00 EUR", "no clear currency"),
        ("-15.00 USD", "negative"),
        ("12,34,56 USD", "not a number"),
        ("1.2.3 USD", "not a number"),
        ("1,2345 USD", "not a number"),
        ("free", "not a price"),
        ("15.00 USD / 12.00 EUR", "not a price"),
        ("１５ USD", "not a price"),
        ("9999999999999 USD", "too long"),
        ("1.23456 USD", "too long"),
        ("1" * (MAX_PRICE_LENGTH + 1), "not a price"),
    ],
)
def test_price_that_is_refused(text: str, reason: str) -> None:
    with pytest.raises(InvalidValue, match=f"^sale_price: .*{reason}"):
        parse_price("sale_price", text)


def test_default_currency_applies_to_prices_without_one() -> None:
    assert parse_price("price", "15.00", "SEK") == Money(Decimal(15), "SEK")
    assert parse_price("price", "15.00 EUR", "SEK") == Money(Decimal(15), "EUR")


@given(money)
def test_written_price_is_read_as_the_same_amount(price: Money) -> None:
    assert parse_price("price", format_price(price)) == price


def test_amounts_without_cents_are_written_with_them() -> None:
    assert format_price(Money(Decimal(15), "USD")) == "15.00 USD"
    assert format_price(Money(Decimal("1E+3"), "USD")) == "1000.00 USD"
    assert format_price(Money(Decimal("1.299"), "EUR")) == "1.2990 EUR"
    assert format_price(Money(Decimal("1.299"), "KWD")) == "1.299 KWD"


@given(st.text(max_size=80) | st.from_regex(r"[0-9.,' ]{1,30} ?(USD|KWD|€)?", fullmatch=True))
def test_any_text_is_a_price_or_refused(text: str) -> None:
    try:
        price = parse_price("price", text, "EUR")
    except InvalidValue as error:
        assert str(error).startswith("price: ")
    else:
        assert price.amount >= 0 and price.currency in CURRENCIES
