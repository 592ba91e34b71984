"""What may stand behind or before a number, and how it is said: units, magnitudes, currencies."""

from __future__ import annotations

from aligner.text.listed import listed

MAGNITUDES = ("hundred", "thousand", "million", "billion", "trillion", "quadrillion")
# what a letter behind a number or an amount of money multiplies it by
SCALES = {
    "k": "thousand",
    "m": "million",
    "mm": "million",
    "mn": "million",
    "mil": "million",
    "mln": "million",
    "b": "billion",
    "bn": "billion",
    "bln": "billion",
    "t": "trillion",
    "tn": "trillion",
    "trn": "trillion",
}
# magnitudes that may stand behind a number and a space in short
SHORT_MAGNITUDES = {name: SCALES[name] for name in ("bn", "bln", "mn", "mln", "mil", "tn", "trn")}
CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"),
    "¥": ("yen", "yen", "sen", "sen"),
    "₹": ("rupee", "rupees", "paisa", "paise"),
    "₩": ("won", "won", "jeon", "jeon"),
    "₽": ("ruble", "rubles", "kopek", "kopeks"),
    "₿": ("bitcoin", "bitcoins", "cent", "cents"),
    "₺": ("lira", "lira", "kurus", "kurus"),
    "₴": ("hryvnia", "hryvnias", "kopek", "kopeks"),
    "₫": ("dong", "dong", "xu", "xu"),
    "₱": ("peso", "pesos", "centavo", "centavos"),
    "฿": ("baht", "baht", "satang", "satang"),
    "₦": ("naira", "naira", "kobo", "kobo"),
    "₪": ("shekel", "shekels", "agora", "agorot"),
    "₡": ("colon", "colones", "centimo", "centimos"),
    "₵": ("cedi", "cedis", "pesewa", "pesewas"),
    "₸": ("tenge", "tenge", "tiyn", "tiyn"),
    "₾": ("lari", "lari", "tetri", "tetri"),
    "¢": ("cent", "cents", "cent", "cents"),
    "R$": ("real", "reais", "centavo", "centavos"),
}
# letters before the sign of a currency, and what is said for them before "dollars"
COUNTRIES = {
    "us": "u s",
    "u.s.": "u s",
    "usd": "u s",
    "c": "canadian",
    "ca": "canadian",
    "can": "canadian",
    "a": "australian",
    "au": "australian",
    "aud": "australian",
    "nz": "new zealand",
    "hk": "hong kong",
    "s": "singapore",
    "sg": "singapore",
    "nt": "taiwan",
    "mx": "mexican",
    "r": "",
    "cad": "canadian",
    "nzd": "new zealand",
    "": "",
}
CODES = {
    "USD": ("u s dollar", "u s dollars"),
    "CAD": ("canadian dollar", "canadian dollars"),
    "AUD": ("australian dollar", "australian dollars"),
    "EUR": ("euro", "euros"),
    "GBP": ("british pound", "british pounds"),
    "JPY": ("yen", "yen"),
    "CHF": ("swiss franc", "swiss francs"),
    "CNY": ("yuan", "yuan"),
    "RMB": ("yuan", "yuan"),
    "INR": ("rupee", "rupees"),
    "BTC": ("bitcoin", "bitcoins"),
}
CURRENCY_SIGNS = "".join(sign for sign in CURRENCIES if len(sign) == 1)
_REGULAR = {
    "kilometer": "km kms",
    "meter": "m",
    "centimeter": "cm cms",
    "millimeter": "mm",
    "micrometer": "μm um",
    "nanometer": "nm",
    "kilogram": "kg kgs kilo",
    "gram": "g gm gms",
    "milligram": "mg",
    "microgram": "μg mcg ug",
    "pound": "lb lbs",
    "ounce": "oz",
    "liter": "l L ltr",
    "milliliter": "ml mL cc",
    "centiliter": "cl cL",
    "deciliter": "dl dL",
    "microliter": "μl μL",
    "gallon": "gal gals",
    "quart": "qt qts",
    "cup": "cup",
    "tablespoon": "tbsp tbsps tbs",
    "teaspoon": "tsp tsps",
    "mile": "mi",
    "yard": "yd yds",
    "hectare": "ha",
    "nanosecond": "ns",
    "microsecond": "μs us",
    "millisecond": "ms msec",
    "second": "s sec secs",
    "minute": "min mins",
    "hour": "h hr hrs",
    "day": "dy",
    "week": "wk wks",
    "month": "mo mos mth mths",
    "year": "yr yrs",
    "bit": "bit",
    "byte": "byte",
    "kilobyte": "kb kB KB KiB",
    "megabyte": "mb MB Mb MiB",
    "gigabyte": "gb GB Gb GiB",
    "terabyte": "tb TB TiB",
    "petabyte": "pb PB",
    "watt": "w W",
    "kilowatt": "kw kW",
    "megawatt": "mw MW",
    "gigawatt": "gw GW",
    "milliwatt": "mW",
    "kilowatt hour": "kwh kWh",
    "volt": "v V",
    "kilovolt": "kv kV",
    "millivolt": "mv mV",
    "amp": "amp amps",
    "milliamp": "ma mA",
    "milliamp hour": "mah mAh",
    "ohm": "Ω",
    "decibel": "db dB",
    "calorie": "cal cals",
    "kilocalorie": "kcal kcals",
    "kilojoule": "kj kJ",
    "kilopascal": "kPa",
    "knot": "kn kt kts",
    "pixel": "px",
    "point": "pt pts",
    "percent point": "pp",
    "megapixel": "MP",
}
_IRREGULAR = {
    "ft": ("foot", "feet"),
    "in": ("inch", "inches"),
    "hz": ("hertz", "hertz"),
    "khz": ("kilohertz", "kilohertz"),
    "mhz": ("megahertz", "megahertz"),
    "ghz": ("gigahertz", "gigahertz"),
    "mph": ("mile per hour", "miles per hour"),
    "kph": ("kilometer per hour", "kilometers per hour"),
    "kmh": ("kilometer per hour", "kilometers per hour"),
    "km/h": ("kilometer per hour", "kilometers per hour"),
    "mi/h": ("mile per hour", "miles per hour"),
    "m/s": ("meter per second", "meters per second"),
    "mpg": ("mile per gallon", "miles per gallon"),
    "fps": ("frame per second", "frames per second"),
    "bps": ("bit per second", "bits per second"),
    "kbps": ("kilobit per second", "kilobits per second"),
    "mbps": ("megabit per second", "megabits per second"),
    "gbps": ("gigabit per second", "gigabits per second"),
    "bpm": ("beat per minute", "beats per minute"),
    "psi": ("pound per square inch", "pounds per square inch"),
    "rpm": ("r p m", "r p m"),
    "mmhg": ("millimeter of mercury", "millimeters of mercury"),
    "ppm": ("part per million", "parts per million"),
    "hp": ("horsepower", "horsepower"),
    "sqft": ("square foot", "square feet"),
    "sqm": ("square meter", "square meters"),
    "%": ("percent", "percent"),
    "‰": ("per thousand", "per thousand"),
    "°c": ("degree celsius", "degrees celsius"),
    "°f": ("degree fahrenheit", "degrees fahrenheit"),
    "°k": ("degree kelvin", "degrees kelvin"),
    "°n": ("degree north", "degrees north"),
    "°s": ("degree south", "degrees south"),
    "°e": ("degree east", "degrees east"),
    "°w": ("degree west", "degrees west"),
    "°": ("degree", "degrees"),
    "¢": ("cent", "cents"),
}
UNITS = {unit: (name, name + "s") for name, units in _REGULAR.items() for unit in units.split()} | _IRREGULAR
POWERS = {"2": "square", "²": "square", "3": "cubic", "³": "cubic"}
POWERED = frozenset(listed("m km cm mm ft in mi yd"))  # of which areas and volumes are written
# letters that are units in small letters only: 5G, 10K, 6S are names
_SMALL_ONLY = frozenset("GHMSK")
# words as well as units: behind a number and a space they are words
WORDS_TOO = frozenset(
    ["in", "us", "ma", "pp", "mo", "pt", "cal", "kilo", "amp", "cup", "bit", "byte", "ha", "kt", "ac"]
)
# what is said for a unit behind a slash
PER = {
    "hr": "hour",
    "h": "hour",
    "yr": "year",
    "mo": "month",
    "wk": "week",
    "sec": "second",
    "s": "second",
    "min": "minute",
    "lb": "pound",
    "kg": "kilogram",
    "gal": "gallon",
    "sf": "square foot",
    "sqft": "square foot",
    "mi": "mile",
    "km": "kilometer",
    "ml": "milliliter",
    "l": "liter",
    "oz": "ounce",
    "dl": "deciliter",
}


def unit(written: str, one: bool = False) -> list[str]:
    """Say a unit; an empty list if it is none.

    Parameters
    ----------
    written : str
        The unit, as it is written behind a number.
    one : bool
        Whether the number is 1.

    Examples
    --------
    >>> unit("km"), unit("m²", one=True), unit("m/s"), unit("G")
    (['kilometers'], ['square', 'meter'], ['meters', 'per', 'second'], [])
    """
    written = written.replace("^2", "²").replace("^3", "³")
    if written in _SMALL_ONLY:
        return []
    found = UNITS.get(written) or UNITS.get(written.lower())
    if found:
        return found[not one].split()
    if written[-1:] in POWERS and written[:-1].lower() in POWERED:
        return [POWERS[written[-1]], *unit(written[:-1], one)]
    above, slash, below = written.partition("/")
    top, bottom = (unit(above, one), per(below)) if slash else ([], below)
    return [*top, "per", *bottom.split()] if top and bottom != below else []


def per(written: str) -> str:
    """Name what stands behind a slash, as in $20/hr: a unit in the singular, or the word itself."""
    if written[-1:] in POWERS and written[:-1].lower() in PER:
        return f"{PER[written[:-1].lower()]} {'squared' if written[-1] in '²2' else 'cubed'}"
    return PER.get(written.lower()) or " ".join(unit(written, one=True)) or written
