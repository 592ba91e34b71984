"""What is said for signs: of arithmetic, of numbers, of currencies."""

from __future__ import annotations

SIGNS = {
    "+": "plus",
    "-": "minus",
    "±": "plus or minus",
    "+/-": "plus or minus",
    "×": "times",
    "*": "times",
    "·": "times",
    "∙": "times",
    "÷": "divided by",
    "/": "over",
    "=": "equals",
    "==": "equals",
    "≠": "not equal to",
    "!=": "not equal to",
    "<": "less than",
    ">": "greater than",
    "≤": "less than or equal to",
    "<=": "less than or equal to",
    "≥": "greater than or equal to",
    ">=": "greater than or equal to",
    "≈": "approximately equal to",
    "~": "to",
    "^": "to the",
    "√": "square root of",
    "∛": "cube root of",
    "∞": "infinity",
    "%": "percent",
    "‰": "per thousand",
    "°": "degrees",
    "°C": "degrees celsius",
    "°F": "degrees fahrenheit",
    "#": "number",
    "♭": "flat",
    "§": "section",
    "§§": "sections",
    "¶": "paragraph",
    "&": "and",
    "@": "at",
    "$": "dollars",
    "£": "pounds",
    "€": "euros",
    "¥": "yen",
    "₹": "rupees",
}
# otherwise where they stand before a number
BEFORE_A_NUMBER = SIGNS | {"~": "about", "≈": "about", "/": "slash"}
# which stand alone and say something whatever is beside them
ALONE = frozenset(
    ["&", "%", "+", "=", "@", "°", "£", "$", "€", "×", "÷", "§", "§§", "¶", "±", "≤", "≥", "≠", "≈"]
)
# which stand alone and say something beside a number, or a letter that stands for one
BETWEEN = frozenset(["<", ">", "*", "/", "-", "^", "<=", ">=", "!=", "==", "+/-", "∞", "√"])


def said(sign: str) -> list[str]:
    """List the words that are said for a sign; empty where it says nothing.

    Examples
    --------
    >>> said("÷"), said("•")
    (['divided', 'by'], [])
    """
    return SIGNS.get(sign, "").split()
