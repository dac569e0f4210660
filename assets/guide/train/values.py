"""Random values that a user may mention: names, places, numbers, dates, paths and made-up words."""

from __future__ import annotations

from typing import Any, Callable

from grammar import Rng
from words import shares

FIRST = ("Anna Ben Carla David Elena Farid Grace Hugo Ines Jonas Kira Liam Maya Nils Olga Paul Quinn Rosa Sam Tara Uwe Vera Walt "
         "Xenia Yuri Zoe Alice Bob Carol Dan Eve Frank Heidi Ivan Judy Mallory Niaj Peggy Rupert Sybil Trent Victor Wendy Amir "
         "Bianca Chloe Dmitri Emma Felix Gita Hana Igor Jana Kofi Lena Mateo Nora Omar Priya Rafael Sofia Tom Ursula Wei Yara").split()
LAST = ("Smith Jones Miller Garcia Weber Rossi Novak Kim Chen Singh Dubois Silva Hansen Kowalski Haddad Okafor Tanaka Berg Costa "
        "Fischer Moreau Petrov Lind Marino Sato Mendes Wolf Baker Clark Young Turner Cole Reed Hughes Ortiz").split()
CITIES = ("Paris London Berlin Rome Madrid Oslo Vienna Tokyo Delhi Cairo Lima Boston Chicago Denver Seattle Austin Miami Toronto "
          "Montreal Dublin Lisbon Prague Warsaw Athens Geneva Zurich Munich Hamburg Milan Naples Lyon Nice Seville Porto Ghent "
          "Bergen Turku Riga Kyiv Sofia Zagreb Ankara Tehran Baghdad Mumbai Chennai Dhaka Hanoi Seoul Osaka Manila Jakarta Perth "
          "Sydney Auckland Nairobi Lagos Accra Dakar Tunis Bogota Quito Santiago Havana Dallas Portland Phoenix Houston").split()
CITIES += ["New York", "San Francisco", "Buenos Aires", "Cape Town", "Los Angeles", "Hong Kong", "Mexico City", "Kuala Lumpur",
           "St. Louis", "Rio de Janeiro", "New Orleans", "Tel Aviv", "Saint Petersburg"]
WORDS = ("apple river stone cloud green table window garden paper silver orange engine mountain candle bridge forest winter "
         "summer market doctor kitchen letter music number planet rabbit school ticket umbrella valley water yellow zebra anchor "
         "basket castle dragon eagle flower guitar hammer island jacket kettle lemon mirror needle ocean pencil queen rocket "
         "salmon tiger uncle violin wagon pepper butter circle desert echo falcon ginger harbor insect jungle knight ladder magnet "
         "nectar orchid puzzle quartz ribbon saddle temple velvet walnut coffee bread cheese milk sugar onion carrot potato tomato "
         "cat dog horse cow sheep bird fish mouse lion wolf bear fox red blue black white brown pink purple gold small big fast "
         "slow happy quiet bright dark warm cold fresh heavy light round sharp soft strong sweet tall wide young old new report "
         "meeting budget project invoice plan draft summary review schedule agenda proposal contract design notes team client").split()
LANGUAGES = ("German French Spanish Italian Japanese Chinese Portuguese Dutch Polish Russian Korean Arabic Turkish Swedish "
             "Finnish Greek Hindi Danish Czech English").split()
CURRENCIES = "USD EUR GBP JPY CHF SEK NOK INR CNY CAD AUD BRL PLN".split()
COLOURS = "red green blue yellow orange purple pink white black brown grey cyan magenta teal navy olive".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
ONSETS = "b br c ch cl d dr f fl g gl gr h j k kl l m n p pl pr qu r s sh sk sl st t th tr v w y z".split()
VOWELS = "a e i o u ai ee oo ou ar er or".split()
CODAS = ["", "", "", "l", "n", "m", "r", "s", "t", "x", "p", "ck", "nd", "sh"]
EXTENSIONS = "txt md json csv py rs toml log pdf html yaml png".split()


def pseudo(rng: Rng, syllables: int = 0) -> str:
    """A made-up word that can be pronounced."""
    n = syllables or rng.choice((1, 2, 2, 2, 3))
    return "".join(rng.choice(ONSETS) + rng.choice(VOWELS) + (rng.choice(CODAS) if i == n - 1 else "") for i in range(n))


class Vocabulary:
    """Where `word` draws from: the words for training, unless an evaluation puts its own here."""

    words: tuple[str, ...] = shares()[0]
    favourites: list[str] = WORDS


def word(rng: Rng) -> str:
    """A word, common, rare or made up."""
    kind = rng.random()
    if kind < 0.2 and Vocabulary.favourites:
        return rng.choice(Vocabulary.favourites)
    return rng.choice(Vocabulary.words) if kind < 0.8 else pseudo(rng)


def phrase(rng: Rng, low: int = 2, high: int = 6) -> str:
    """Several words."""
    return " ".join(word(rng) for _ in range(rng.randint(low, high)))


def person(rng: Rng) -> str:
    first = rng.choice(FIRST) if rng.random() < 0.6 else word(rng).capitalize()
    if rng.random() < 0.5:
        return first
    return f"{first} {rng.choice(LAST) if rng.random() < 0.6 else word(rng).capitalize()}"


def city(rng: Rng) -> str:
    return rng.choice(CITIES) if rng.random() < 0.55 else word(rng).capitalize()


def email(rng: Rng) -> str:
    return f"{person(rng).lower().replace(' ', rng.choice('._'))}@{word(rng)}.{rng.choice(('com', 'org', 'net', 'io', 'de'))}"


def integer(rng: Rng) -> int:
    return rng.choice((rng.randint(0, 20), rng.randint(0, 100), rng.randint(0, 1000), rng.randint(1000, 99999)))


def number(rng: Rng) -> float | int:
    kind = rng.random()
    if kind < 0.3:
        return rng.randint(-50, 500)
    return round(rng.uniform(-10, 10) if kind < 0.5 else rng.uniform(0, 1000), rng.choice((1, 2)))


def date(rng: Rng) -> str:
    y, m, d = rng.randint(2020, 2030), rng.randint(1, 12), rng.randint(1, 28)
    return rng.choice((f"{y}-{m:02}-{d:02}", f"{y}-{m:02}-{d:02}", f"{d} {MONTHS[m - 1]}", f"{MONTHS[m - 1]} {d}", "tomorrow", "today",
                       rng.choice(DAYS), f"next {rng.choice(DAYS)}", f"the {d}th of {MONTHS[m - 1]}", f"{d:02}.{m:02}.{y}"))


def time(rng: Rng) -> str:
    h, m = rng.randint(0, 23), rng.choice((0, 0, 15, 30, 45, rng.randint(0, 59)))
    return rng.choice((f"{h:02}:{m:02}", f"{h:02}:{m:02}", f"{h % 12 + 1} {rng.choice(('am', 'pm'))}", f"{h % 12 + 1}{rng.choice(('am', 'pm'))}", "noon", f"half past {rng.choice('one two three four five six seven eight ten'.split())}"))


def path(rng: Rng) -> str:
    name = f"{word(rng)}{rng.choice(('', '', '_' + word(rng), '-' + str(rng.randint(1, 99))))}.{rng.choice(EXTENSIONS)}"
    kind = rng.random()
    if kind < 0.35:
        return name
    folders = "/".join(word(rng) for _ in range(rng.randint(1, 3)))
    return f"{rng.choice(('/', '/', '~/', './', '/home/', '/tmp/', 'src/'))}{folders}/{name}"


def folder(rng: Rng) -> str:
    return f"{rng.choice(('/', '~/', './', '/home/', '/tmp/', '/var/'))}{'/'.join(word(rng) for _ in range(rng.randint(1, 3)))}"


def url(rng: Rng) -> str:
    tail = rng.choice(("", f"/{word(rng)}", f"/{word(rng)}/{rng.randint(1, 999)}"))
    return f"https://{rng.choice(('', 'www.', 'api.'))}{word(rng)}.{rng.choice(('com', 'org', 'net', 'dev'))}{tail}"


def code(rng: Rng) -> str:
    """An identifier such as `A-1042` or `x7f3`."""
    letters = "ABCDEFGHJKLMNPQRSTUVWXYZ"
    return rng.choice((f"{rng.choice(letters)}{rng.choice(letters)}-{rng.randint(10, 9999)}", f"{rng.choice(letters)}{rng.randint(100, 99999)}",
                       f"{word(rng)}-{rng.randint(1, 999)}", f"{word(rng)}_{word(rng)}", "".join(rng.choice("abcdef0123456789") for _ in range(8)),
                       f"#{rng.randint(1, 9999)}", f"{word(rng)}/{rng.randint(1, 9999)}", f"{rng.choice(letters)}{rng.choice(letters)}{rng.choice(letters)}-{rng.randint(100, 99999)}-{rng.choice(letters)}",
                       f"{word(rng)[:2]}_{rng.randint(100, 9999)}", "".join(rng.choice("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789") for _ in range(rng.randint(4, 12))), f"{word(rng)}-{rng.randint(1, 99)}{rng.choice('abcd')}"))


def expression(rng: Rng) -> str:
    parts = [str(rng.randint(1, 999))]
    for _ in range(rng.randint(1, 3)):
        parts += [rng.choice("+-*/"), str(rng.randint(1, 99))]
    return (" " if rng.random() < 0.7 else "").join(parts)


KINDS: dict[str, tuple[str, Callable[[Rng], Any]]] = {
    "city": ("string", city), "person": ("string", person), "email": ("string", email), "word": ("string", word),
    "phrase": ("string", phrase), "path": ("string", path), "folder": ("string", folder), "url": ("string", url),
    "date": ("string", date), "time": ("string", time), "code": ("string", code), "expression": ("string", expression),
    "language": ("string", lambda r: r.choice(LANGUAGES)), "currency": ("string", lambda r: r.choice(CURRENCIES)),
    "colour": ("string", lambda r: r.choice(COLOURS)), "integer": ("integer", integer), "number": ("number", number),
    "small": ("integer", lambda r: r.randint(1, 30)), "percent": ("integer", lambda r: r.randint(0, 100)),
    "amount": ("number", lambda r: r.choice((r.randint(1, 900), round(r.uniform(1, 500), 2)))),
}
