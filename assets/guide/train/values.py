"""Random values that a user may mention: names, places, numbers, dates, paths and made-up words."""

from __future__ import annotations

import re
from typing import Any, Callable

from grammar import Rng
from words import pieces, shares, taboo

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


LETTERS = "abcdefghijklmnopqrstuvwxyz"
ACCENTS = {"a": "áàâäãåā", "c": "çčć", "e": "éèêëęě", "g": "ğ", "i": "íìîïı", "l": "ł", "n": "ñńň", "o": "óòôöõøő", "r": "ř", "s": "šśßş",
           "u": "úùûüůū", "y": "ýÿ", "z": "žźż"}


class Vocabulary:
    """Where `word` draws from: the words for training, unless an evaluation puts its own here."""

    words: tuple[str, ...] = shares()[0]
    favourites: list[str] = WORDS
    wild = True
    """Whether values may also be spelt as nothing else is; an evaluation with its own words does without."""


def accented(text: str, rng: Rng) -> str:
    """The word with some of its letters as other languages write them."""
    spots = [i for i, c in enumerate(text) if c in ACCENTS]
    for i in rng.sample(spots, min(len(spots), rng.choice((1, 1, 1, 2)))):
        text = text[:i] + rng.choice(ACCENTS[text[i]]) + text[i + 1 :]
    return text


def wild(rng: Rng) -> str:
    """A spelling that no word has: pieces of words, accents, stray capitals, letters at random."""
    kind = rng.random()
    if kind < 0.45 and pieces():
        text = "".join(rng.choice(pieces()) for _ in range(rng.choice((1, 2, 2, 2, 3))))
        return text if text.lower() not in taboo() else wild(rng)
    if kind < 0.55:
        # Any piece may follow any other, so that copying cannot lean on what usually comes next.
        text = ""
        for _ in range(rng.choice((1, 2, 2, 3))):
            w = rng.choice(Vocabulary.words)
            at = rng.randrange(len(w))
            text += w[at : at + rng.randint(2, 5)]
        return text
    if kind < 0.75:
        return accented(rng.choice(Vocabulary.words) if rng.random() < 0.6 else pseudo(rng), rng)
    if kind < 0.87:
        return "".join(rng.choice(LETTERS) for _ in range(rng.randint(2, 9)))
    if kind < 0.93:
        return "".join(c.upper() if rng.random() < 0.3 else c for c in rng.choice(Vocabulary.words))
    if kind < 0.99:
        return f"{rng.choice(Vocabulary.words)}{rng.randint(0, 999)}"
    return "".join(chr(rng.choice((rng.randint(0x3B1, 0x3C9), rng.randint(0x430, 0x44F)))) for _ in range(rng.randint(2, 7)))


def word(rng: Rng) -> str:
    """A word, common, rare or made up."""
    kind = rng.random()
    if kind < 0.2 and Vocabulary.favourites:
        return rng.choice(Vocabulary.favourites)
    if Vocabulary.wild and kind > 0.74:
        return wild(rng) if kind > 0.8 else pseudo(rng)
    return rng.choice(Vocabulary.words) if kind < 0.8 else pseudo(rng)


def proper(rng: Rng) -> str:
    """A word as a name."""
    w = word(rng)
    return w[:1].upper() + w[1:]


def phrase(rng: Rng, low: int = 2, high: int = 6) -> str:
    """Several words."""
    if Vocabulary.wild and rng.random() < 0.45:
        return sentence(rng)
    return " ".join(word(rng) for _ in range(rng.randint(low, high)))


SENTENCES = ("the W W is W|W the W|I am W|W W to the W|do not W the W|it is a W W|no W today|our W was W by W|they W it|all W are W|W for you and me|see you at the W|"
             "a W of W|W is not W|what a W|more W than W|the W of the W|W with W in it|this W is W|has the W been W|please W W|he said W|she has W W|is it W|W or W|when the W W|you can W|W again|"
             "if W then W|W, W and W|the old W|my W and your W|too W to W|W from W|we are W|not W|there is a W on the W|that was W|who W the W|an W in the W|W W W|W up|W down the W|"
             "W on W|hello W|thank you, W|W is W because of W|his W W|her W|W it!|W?|go to W|I W it all|W will be W|as W as W|W by W|W's W").split("|")


def sentence(rng: Rng) -> str:
    """Words among the small words of real sentences, which must be copied too."""
    text = re.sub(r"\bW\b", lambda _: word(rng), rng.choice(SENTENCES))
    return text[:1].upper() + text[1:] if rng.random() < 0.25 else text


def person(rng: Rng) -> str:
    if Vocabulary.wild and rng.random() < 0.25:
        return unusual_person(rng)
    first = rng.choice(FIRST) if rng.random() < 0.6 else word(rng).capitalize()
    if rng.random() < 0.5:
        return first
    return f"{first} {rng.choice(LAST) if rng.random() < 0.6 else word(rng).capitalize()}"


def city(rng: Rng) -> str:
    if Vocabulary.wild and rng.random() < 0.25:
        return unusual_place(rng)
    return rng.choice(CITIES) if rng.random() < 0.55 else word(rng).capitalize()


def email(rng: Rng) -> str:
    if Vocabulary.wild and rng.random() < 0.35:
        return unusual_email(rng)
    return f"{person(rng).lower().replace(' ', rng.choice('._'))}@{word(rng)}.{rng.choice(('com', 'org', 'net', 'io', 'de'))}"


def integer(rng: Rng) -> int:
    if Vocabulary.wild and rng.random() < 0.2:
        return rng.choice((rng.randint(0, 9), rng.randint(10, 99), rng.randint(100, 9999), rng.randint(10_000, 9_999_999)))
    return rng.choice((rng.randint(0, 20), rng.randint(0, 100), rng.randint(0, 1000), rng.randint(1000, 99999)))


def number(rng: Rng) -> float | int:
    if Vocabulary.wild and rng.random() < 0.35:
        return unusual_number(rng)
    kind = rng.random()
    if kind < 0.3:
        return rng.randint(-50, 500)
    return round(rng.uniform(-10, 10) if kind < 0.5 else rng.uniform(0, 1000), rng.choice((1, 2)))


def date(rng: Rng) -> str:
    if Vocabulary.wild and rng.random() < 0.4:
        return unusual_date(rng)
    y, m, d = rng.randint(2020, 2030), rng.randint(1, 12), rng.randint(1, 28)
    return rng.choice((f"{y}-{m:02}-{d:02}", f"{y}-{m:02}-{d:02}", f"{d} {MONTHS[m - 1]}", f"{MONTHS[m - 1]} {d}", "tomorrow", "today",
                       rng.choice(DAYS), f"next {rng.choice(DAYS)}", f"the {d}th of {MONTHS[m - 1]}", f"{d:02}.{m:02}.{y}"))


def time(rng: Rng) -> str:
    if Vocabulary.wild and rng.random() < 0.35:
        return unusual_time(rng)
    h, m = rng.randint(0, 23), rng.choice((0, 0, 15, 30, 45, rng.randint(0, 59)))
    return rng.choice((f"{h:02}:{m:02}", f"{h:02}:{m:02}", f"{h % 12 + 1} {rng.choice(('am', 'pm'))}", f"{h % 12 + 1}{rng.choice(('am', 'pm'))}", "noon", f"half past {rng.choice('one two three four five six seven eight ten'.split())}"))


def path(rng: Rng) -> str:
    if Vocabulary.wild and rng.random() < 0.4:
        return unusual_path(rng)
    name = f"{word(rng)}{rng.choice(('', '', '_' + word(rng), '-' + str(rng.randint(1, 99))))}.{rng.choice(EXTENSIONS)}"
    kind = rng.random()
    if kind < 0.35:
        return name
    folders = "/".join(word(rng) for _ in range(rng.randint(1, 3)))
    return f"{rng.choice(('/', '/', '~/', './', '/home/', '/tmp/', 'src/'))}{folders}/{name}"


def folder(rng: Rng) -> str:
    return f"{rng.choice(('/', '~/', './', '/home/', '/tmp/', '/var/'))}{'/'.join(word(rng) for _ in range(rng.randint(1, 3)))}"


def url(rng: Rng) -> str:
    if Vocabulary.wild and rng.random() < 0.45:
        return unusual_url(rng)
    tail = rng.choice(("", f"/{word(rng)}", f"/{word(rng)}/{rng.randint(1, 999)}"))
    return f"https://{rng.choice(('', 'www.', 'api.'))}{word(rng)}.{rng.choice(('com', 'org', 'net', 'dev'))}{tail}"


def code(rng: Rng) -> str:
    """An identifier such as `A-1042` or `x7f3`."""
    if Vocabulary.wild and rng.random() < 0.45:
        return unusual_code(rng)
    letters = "ABCDEFGHJKLMNPQRSTUVWXYZ"
    return rng.choice((f"{rng.choice(letters)}{rng.choice(letters)}-{rng.randint(10, 9999)}", f"{rng.choice(letters)}{rng.randint(100, 99999)}",
                       f"{word(rng)}-{rng.randint(1, 999)}", f"{word(rng)}_{word(rng)}", "".join(rng.choice("abcdef0123456789") for _ in range(8)),
                       f"#{rng.randint(1, 9999)}", f"{word(rng)}/{rng.randint(1, 9999)}", f"{rng.choice(letters)}{rng.choice(letters)}{rng.choice(letters)}-{rng.randint(100, 99999)}-{rng.choice(letters)}",
                       f"{word(rng)[:2]}_{rng.randint(100, 9999)}", "".join(rng.choice("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789") for _ in range(rng.randint(4, 12))), f"{word(rng)}-{rng.randint(1, 99)}{rng.choice('abcd')}"))


def unusual_person(rng: Rng) -> str:
    """A name with initials, titles, accents, hyphens or several parts."""
    first, last = rng.choice(FIRST), rng.choice(LAST)
    return rng.choice((
        lambda: f"{proper(rng)} {proper(rng)}", lambda: f"{first} {accented(last.lower(), rng).capitalize()}", lambda: accented(first.lower(), rng).capitalize(),
        lambda: f"{rng.choice(('Dr.', 'Mr.', 'Mrs.', 'Ms.', 'Prof.', 'Aunt', 'Captain', 'Sir'))} {rng.choice((last, proper(rng)))}",
        lambda: f"{first[0]}. {last}", lambda: f"{first[0]}. {rng.choice(LETTERS).upper()}. {last}", lambda: f"{first}-{rng.choice(FIRST)} {last}",
        lambda: f"{first} {rng.choice(('van', 'de', 'von', 'di', 'bin', 'la', 'van der'))} {proper(rng)}", lambda: f"{rng.choice(('O', 'D'))}'{proper(rng)}",
        lambda: f"Mc{proper(rng)}", lambda: f"{first} {rng.choice(FIRST)} {last}", lambda: f"{proper(rng)} {last}", lambda: f"{first} {proper(rng)}", lambda: proper(rng)))()


def unusual_place(rng: Rng) -> str:
    """A place with a name of several words, accents or marks."""
    w = proper(rng)
    return rng.choice((
        lambda: f"{rng.choice(('San', 'Santa', 'Saint', 'St.', 'Port', 'New', 'North', 'South', 'Upper', 'Old', 'Fort', 'Lake', 'Mount', 'Bad', 'El', 'La', 'Le'))} {w}",
        lambda: f"{w} {rng.choice(('Hills', 'Bay', 'Beach', 'City', 'Falls', 'Park', 'Springs', 'Square', 'Street', 'Island', 'Point', 'Heath'))}",
        lambda: f"{w}-{rng.choice(('on', 'upon', 'am', 'sur', 'an der', 'by'))}-{proper(rng)}".replace("an der", "an-der"), lambda: accented(rng.choice(CITIES).lower(), rng).title(),
        lambda: f"{w}{rng.choice(('burg', 'ville', 'ton', 'stad', 'berg', 'ford', 'heim', 'grad', 'by', 'ow', 'pur', 'mouth', 'stein'))}", lambda: f"{w} {proper(rng)}",
        lambda: accented(pseudo(rng), rng).capitalize(), lambda: pseudo(rng).capitalize(), lambda: f"{w}, {rng.choice(('Ohio', 'Texas', 'Spain', 'Kenya', 'Peru', 'Japan', 'Italy'))}", lambda: w))()


def unusual_email(rng: Rng) -> str:
    end = rng.choice(("com", "org", "net", "io", "de", "fr", "es", "it", "nl", "ch", "co.uk", "eu", "info", "edu", "me", "tv", "no", "cz", "jp", "shop", "cloud"))
    w, x = word(rng), word(rng)
    name = rng.choice((w, f"{w}.{x}", f"{w[:1]}.{x}", f"{w}_{x}", f"{w}-{x}", f"{w}{rng.randint(1, 999)}", f"{w}+{x}", f"{w[:1]}{x}"))
    return f"{name}@{rng.choice((word(rng), f'{word(rng)}.{word(rng)}', f'{word(rng)}-{word(rng)}', f'{word(rng)}{rng.randint(1, 99)}'))}.{end}"


def unusual_number(rng: Rng) -> float:
    """Decimals of every length."""
    return round(rng.choice((rng.random(), rng.uniform(0, 3), rng.uniform(0, 10), rng.uniform(0, 100), rng.uniform(0, 500), rng.uniform(-100, 100), rng.uniform(0, 20_000))),
                 rng.choice((1, 1, 2, 2, 3, 3, 4)))


def ordinal(n: int) -> str:
    """`1st`, `2nd`, `13th`."""
    return f"{n}{'th' if n % 100 in (11, 12, 13) else {1: 'st', 2: 'nd', 3: 'rd'}.get(n % 10, 'th')}"


def unusual_date(rng: Rng) -> str:
    y, m, d = rng.randint(1960, 2060), rng.randint(1, 12), rng.randint(1, 28)
    month, day = MONTHS[m - 1], rng.choice(DAYS)
    return rng.choice((f"{y}-{m:02}-{d:02}", f"{y}-{m:02}-{d:02}", f"{d} {month} {y}", f"{month} {ordinal(d)}", f"the {ordinal(d)} of {month}", f"the {ordinal(d)}", f"{d}/{m}/{y}",
                       f"{m:02}/{d:02}/{y}", f"{d}.{m}.", f"{month} {y}", f"{y}", f"{rng.choice(('next', 'last', 'this'))} {rng.choice(('week', 'month', 'year', 'weekend', month, day))}",
                       "yesterday", "tonight", f"{day} {rng.choice(('morning', 'evening', 'night', 'afternoon'))}", day[:3], f"{y}-{m:02}", "the day after tomorrow",
                       f"{rng.choice(('Christmas', 'Easter', 'Halloween'))} {y}", f"{y}-{m:02}-{d:02}T{rng.randint(0, 23):02}:{rng.randint(0, 59):02}"))


def unusual_time(rng: Rng) -> str:
    h, m = rng.randint(0, 23), rng.randint(0, 59)
    hour = rng.choice("one two three four five six seven eight ten eleven twelve".split())
    return rng.choice((f"{h:02}:{m:02}", f"{h}:{m:02}", f"{h % 12 + 1}:{m:02} {rng.choice(('am', 'pm'))}", f"{h % 12 + 1}:{m:02}{rng.choice(('am', 'pm'))}", f"{h:02}:{m:02}:{rng.randint(0, 59):02}",
                       f"quarter {rng.choice(('past', 'to'))} {hour}", f"{hour} o'clock", "midnight", "dawn", "lunchtime", f"{h:02}h{m:02}", f"{hour} in the {rng.choice(('morning', 'evening', 'afternoon'))}"))


def file_name(rng: Rng) -> str:
    end = rng.choice((*EXTENSIONS, "wav", "mp3", "mp4", "jpg", "jpeg", "gif", "svg", "doc", "xlsx", "pptx", "tar.gz", "bin", "db", "sql", "sh", "js", "ts", "c", "h", "ini", "cfg", "xml", "epub", "ogg", "mov", "bak", "iso"))
    w, x, n = word(rng), word(rng), rng.randint(0, 99999)
    return rng.choice((w, f"{w}_{x}", f"{w}-{x}", f"{w}_{n}", f"{w}{n}", f"{w}-{n}", f"{w}.{n % 100}", f"{w}_v{n % 10}", f"{n}_{w}", f"{w.upper()}", f"{w}_{n % 100:02}_{x}", f"{proper(rng)}{proper(rng)}")) + "." + end


def unusual_path(rng: Rng) -> str:
    folders = [rng.choice((word(rng), word(rng), f"{word(rng)}{rng.randint(1, 20)}", f"{word(rng)}-{word(rng)}", f".{word(rng)}")) for _ in range(rng.randint(0, 4))]
    start = rng.choice(("", "", "/", "/", "~/", "../", f"{rng.choice('DEFGHXZ')}:/", "/mnt/", "/opt/", "/etc/", "/usr/", "//"))
    return start + "/".join([*folders, file_name(rng)])


def unusual_url(rng: Rng) -> str:
    end = rng.choice(("com", "org", "net", "io", "dev", "de", "fr", "co.uk", "ai", "app", "cloud", "xyz", "example", "local", "edu"))
    w = word(rng)
    host = rng.choice((f"{w}.{end}", f"{w}.{end}", f"{word(rng)}.{w}.{end}", f"{w}-{word(rng)}.{end}", f"localhost:{rng.randint(1000, 9999)}", f"{w}.{end}:{rng.randint(80, 9999)}",
                       ".".join(str(rng.randint(1, 254)) for _ in range(4)), ".".join(str(rng.randint(1, 254)) for _ in range(4)) + f":{rng.randint(80, 9999)}"))
    tail = "".join("/" + rng.choice((word(rng), word(rng), str(rng.randint(1, 9999)), f"{word(rng)}-{word(rng)}", f"v{rng.randint(1, 9)}")) for _ in range(rng.choice((0, 1, 1, 2, 3))))
    if rng.random() < 0.15:
        tail += rng.choice((f"?{word(rng)}={rng.randint(1, 99)}", f"#{word(rng)}", f"/{file_name(rng)}", "/"))
    return f"{rng.choice(('https', 'https', 'http'))}://{host}{tail}"


def unusual_code(rng: Rng) -> str:
    """Runs of letters and digits with marks between."""
    capitals = rng.random() < 0.6
    runs = []
    for _ in range(rng.choice((1, 2, 2, 2, 3, 4))):
        kind = rng.random()
        if kind < 0.4:
            run = "".join(rng.choice("0123456789") for _ in range(rng.randint(1, 6)))
        elif kind < 0.65:
            run = "".join(rng.choice(LETTERS) for _ in range(rng.randint(1, 4)))
        elif kind < 0.85:
            run = "".join(rng.choice(LETTERS + "0123456789" * 2) for _ in range(rng.randint(2, 8)))
        else:
            run = word(rng)
        runs.append(run.upper() if capitals else run)
    if len(runs) == 1 and runs[0].isdigit():
        runs.append(rng.choice(LETTERS))
    return rng.choice(("-", "-", "-", "_", "/", ".", "", ":")).join(runs)


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
