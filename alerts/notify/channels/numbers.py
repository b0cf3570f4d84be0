"""Telephone numbers as they must be written to be called: `+4740612345`. Eight digits alone are Norwegian."""

from __future__ import annotations

import re
from contextlib import suppress

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, PhoneNumberType

HOME = "NO"
WRITTEN = re.compile(r"\+?[0-9 ()./\u00a0-]{3,40}")
CALLABLE = frozenset(
    {
        PhoneNumberType.FIXED_LINE,
        PhoneNumberType.FIXED_LINE_OR_MOBILE,
        PhoneNumberType.MOBILE,
        PhoneNumberType.PAGER,
        PhoneNumberType.PERSONAL_NUMBER,
        PhoneNumberType.UAN,
        PhoneNumberType.VOIP,
    }
)
TEXTABLE = CALLABLE - {PhoneNumberType.FIXED_LINE, PhoneNumberType.UAN}


def telephone(target: str) -> str:
    """A number that can be called. Raises ValueError, which does not repeat it."""
    return _written(target, CALLABLE, "is no telephone of a person: a free, premium or service number")


def mobile(target: str) -> str:
    """A number that takes SMS. Raises ValueError, which does not repeat it."""
    return _written(target, TEXTABLE, "takes no SMS: a landline, or a free, premium or service number")


def same_number(heard: str) -> str | None:
    """A number as a gateway writes it, often without +, as `telephone` writes it; None where it is none."""
    for form in (heard, f"+{heard.strip().removeprefix('00')}"):
        with suppress(ValueError):
            return telephone(form)
    return None


def _written(target: str, kinds: frozenset[int], otherwise: str) -> str:
    # Digits of other scripts, letters and extensions are read by the library too: here they are slips.
    plain = target.strip()
    if not WRITTEN.fullmatch(plain):
        raise ValueError("is no telephone number: write one number, such as +47 and eight digits")
    try:
        number = phonenumbers.parse(plain, HOME)
    except NumberParseException:
        raise ValueError("is no telephone number: write one number, such as +47 and eight digits") from None
    if not phonenumbers.is_valid_number(number):
        raise ValueError("is no telephone number that can exist: count its digits, and write +COUNTRY if it is foreign")
    if phonenumbers.number_type(number) not in kinds:
        raise ValueError(otherwise)
    written: str = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    return written
