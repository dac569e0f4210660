"""Small exercises: copying, counting, sorting, comparing, reversing and sums."""

from __future__ import annotations

import values
from grammar import Rng, expand
from product import Qa
from tools import spoken_list

COUNTED = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine", 10: "ten",
           11: "eleven", 12: "twelve"}


def draw(rng: Rng) -> Qa:
    """One exercise with its answer and a short working."""
    makers = (copy, copy, copy, count_items, count_items, count_letters, count_letters, sort_numbers, sort_numbers, sort_words, sort_words,
              sort_words, add, add, add, subtract, subtract, multiply, extreme, reverse, reverse, total, total, pick)
    return rng.choice(makers)(rng)


def words(rng: Rng, low: int, high: int) -> list[str]:
    """Different words."""
    n = rng.randint(low, high)
    found: list[str] = []
    while len(found) < n:
        w = values.word(rng)
        if w not in found:
            found.append(w)
    return found


def copy(rng: Rng) -> Qa:
    text = rng.choice((values.phrase(rng, 1, 8), values.phrase(rng, 3, 12).capitalize() + ".", values.person(rng), values.code(rng), values.path(rng),
                       values.url(rng), values.email(rng), str(values.integer(rng)), f"{values.city(rng)}, {values.date(rng)}",
                       " ".join(str(rng.randint(0, 99)) for _ in range(rng.randint(2, 8))), values.phrase(rng, 4, 14), values.wild(rng),
                       ", ".join(words(rng, 2, 7)), f"{values.phrase(rng, 2, 5)}, {values.phrase(rng, 2, 5)}!", f"{values.person(rng)} {values.phrase(rng, 1, 4)} {values.code(rng)}",
                       " ".join(values.wild(rng) for _ in range(rng.randint(2, 5))), str(values.number(rng))))
    ask = expand("{repeat|say|copy|echo|write|output|print|repeat after me|say exactly|repeat exactly|type|write down|copy this|repeat this|"
                 "say this|answer with|reply with|respond with|repeat the following|copy the following text|just say|say only|"
                 "reply only with|please repeat|can you say|can you repeat|echo back|say it again|say after me|copy exactly|write exactly|just repeat|"
                 "answer only with|return|give back|please copy|could you write|can you write|type this|print this|spell out|read out|quote|"
                 "repeat word for word|repeat this text|write this down|I say|now say|please say|the text is}{:||}", rng)
    quoted = rng.choice(('"{}"', "'{}'", "{}", "{}")).format(text)
    return Qa(f"{ask} {quoted}", text, "I copy the text.")


def count_items(rng: Rng) -> Qa:
    items = words(rng, 1, 10)
    ask = expand("{how many {words|items|things|elements|entries} are {in this list|there|here|listed|in the list}|count {the words|the items|these|these words|the elements|these items}|"
                 "how many words {is that|are these|do you see|did I write}|number of {words|items|things|entries}|count these {things|words}|count them|count|how many|"
                 "{tell me|say} how many {words|items|things} {these|there} are|how long is {this|the} list|length of {this|the} list}{:|?|:}", rng)
    listed = ", ".join(items) if rng.random() < 0.6 else " ".join(items)
    thought = ", ".join(f"{i} {w}" for i, w in enumerate(items, 1)) + "."
    return Qa(f"{ask} {listed}", f"There {'is' if len(items) == 1 else 'are'} **{len(items)}**.", thought)


def count_letters(rng: Rng) -> Qa:
    w = values.word(rng)
    ask = expand("{how many letters {are in|has|does|are there in} {the word |}\"W\"{| have}|count the letters {in|of} {the word |}\"W\"|"
                 "how long is the word \"W\"|number of letters in \"W\"|length of \"W\"|spell {the word |}\"W\"{| and count the letters}|letters in \"W\"|"
                 "count letters: W|how many characters {has|does} \"W\"{| have}|how many letters in W|the letters of \"W\"}", rng).replace("W", w, 1)
    spelled = ", ".join(f"{i} {c}" for i, c in enumerate(w, 1))
    return Qa(ask, f"{', '.join(w)}: **{len(w)}** letters.", spelled + ".")


def sort_numbers(rng: Rng) -> Qa:
    top = rng.choice((9, 20, 99, 99, 999))
    numbers = rng.sample(range(top + 1), rng.randint(2, min(8, top)))
    down = rng.random() < 0.3
    way = rng.choice(("from large to small", "in descending order", "descending", "largest first", "from high to low")) if down else \
        rng.choice(("", "", "in ascending order", "from small to large", "ascending", "smallest first", "in order", "numerically"))
    ask = expand(f"{{sort|order|arrange|put in order|sort these|sort these numbers|sort the numbers|please sort|can you sort|order these numbers|sort the list|sort this list|sort this|sort these values|bring into order|put these in order|put these numbers in order|order the numbers|rank|rank these|line up}} {way}", rng)
    numbers_text = rng.choice((", ", ", ", " ", ",")).join(map(str, numbers))
    body = f"{ask}: {numbers_text}" if rng.random() < 0.7 or down else f"{ask} {numbers_text}"
    answer = ", ".join(map(str, sorted(numbers, reverse=down)))
    return Qa(body, answer, f"{'Largest' if down else 'Smallest'} first: {answer}.")


def sort_words(rng: Rng) -> Qa:
    # Capitals and accents have no order that everybody agrees on.
    items = [w for w in words(rng, 3, 7) if w.isascii() and w.islower()][:6]
    if len(items) < 2:
        return sort_words(rng)
    if rng.random() < 0.25:
        # Words that begin alike, so that later letters decide.
        start = rng.choice(items)[:2]
        items = list(dict.fromkeys([start + w[2:] if rng.random() < 0.5 else w for w in items]))
    ask = expand("{sort|order|arrange|put in order|sort these words|sort the words|please sort|alphabetise|order these words|sort these|sort the list|sort this list|can you sort|order these|bring into order|rank}"
                 "{| alphabetically| by alphabet| in alphabetical order| from a to z| by letter| by name}", rng)
    answer = ", ".join(sorted(items))
    heads = ", ".join(f"{w[:3]}" for w in items)
    ordered = ", ".join(f"{w[:3]}" for w in sorted(items))
    return Qa(f"{ask}: {', '.join(items)}", answer, f"They begin with {heads}; in order {ordered}: {answer}.")


def small(rng: Rng) -> int:
    return rng.choice((rng.randint(0, 9), rng.randint(0, 20), rng.randint(0, 99), rng.randint(0, 99), rng.randint(100, 999)))


def sum_ask(a: int, b: int, sign: str, named: str, rng: Rng) -> str:
    return rng.choice((f"what is {a} {sign} {b}", f"what's {a} {sign} {b}", f"{a} {sign} {b}", f"{a}{sign}{b}", f"{a} {sign} {b} =", f"{a}{sign}{b}=?", f"how much is {a} {sign} {b}",
                       f"compute {a} {sign} {b}", f"calculate {a} {sign} {b}", f"{a} {named} {b}", f"what is {a} {named} {b}", f"how much is {a} {named} {b}", f"solve {a} {sign} {b}",
                       f"can you tell me what {a} {sign} {b} is", f"do the sum {a} {sign} {b}", f"whats {a} {named} {b}", f"what does {a} {sign} {b} make"))


def by_columns(a: int, b: int) -> str:
    """Written addition, units first."""
    steps, carry = [], 0
    x, y = str(a)[::-1], str(b)[::-1]
    for i in range(max(len(x), len(y))):
        p, q = int(x[i]) if i < len(x) else 0, int(y[i]) if i < len(y) else 0
        s = p + q + carry
        steps.append(f"{p} + {q}{f' + {carry}' if carry else ''} = {s}")
        carry = s // 10
    return "; ".join(steps) + "."


def by_columns_down(a: int, b: int) -> str:
    """Written subtraction, units first; of the smaller from the larger when the result is below zero."""
    x, y, steps, borrow = str(max(a, b))[::-1], str(min(a, b))[::-1], [], 0
    for i in range(len(x)):
        p, q = int(x[i]), (int(y[i]) if i < len(y) else 0) + borrow
        borrow = p < q
        steps.append(f"{p + 10 * borrow} - {q} = {p + 10 * borrow - q}")
    return "; ".join(steps) + "."


def add(rng: Rng) -> Qa:
    a, b = small(rng), small(rng)
    ask = sum_ask(a, b, "+", "plus", rng)
    if rng.random() < 0.2:
        ask = expand(f"{{add|sum up|add up}} {a} {{and|to|plus}} {b}", rng)
    return Qa(ask, f"{a} + {b} = **{a + b}**", by_columns(a, b))


def subtract(rng: Rng) -> Qa:
    a, b = small(rng), small(rng)
    if rng.random() < 0.9:
        a, b = max(a, b), min(a, b)
    ask = sum_ask(a, b, "-", "minus", rng)
    if rng.random() < 0.15:
        ask = expand(f"{{subtract|take}} {b} from {a}", rng)
    return Qa(ask, f"{a} - {b} = **{a - b}**", f"{by_columns_down(a, b)} {a} minus {b} is {a - b}.")


def multiply(rng: Rng) -> Qa:
    a, b = (rng.randint(0, 12), rng.randint(0, 12)) if rng.random() < 0.8 else (rng.randint(0, 10), rng.randint(10, 50))
    sign = rng.choice(("*", "*", "x", "×"))
    ask = sum_ask(a, b, sign, "times", rng)
    return Qa(ask, f"{a} × {b} = **{a * b}**", f"{a} times {b} is {a * b}.")


def extreme(rng: Rng) -> Qa:
    numbers = rng.sample(range(rng.choice((20, 100, 1000))), rng.randint(2, 7))
    high = rng.random() < 0.5
    word = rng.choice(("largest", "biggest", "highest", "maximum", "greatest") if high else ("smallest", "lowest", "minimum", "least"))
    ask = expand(f"{{which is the {word}|what is the {word}|find the {word}|the {word} of|{word} number|{word} of|tell me the {word}}}{{| number}}", rng)
    value = max(numbers) if high else min(numbers)
    return Qa(f"{ask}: {rng.choice((', ', ' ')).join(map(str, numbers))}", f"The {word} is **{value}**.", f"{value} is the {word}.")


def reverse(rng: Rng) -> Qa:
    if rng.random() < 0.4:
        w = values.word(rng)
        w = w[:9]
        return Qa(rng.choice((f'spell "{w}" backwards', f'reverse the word "{w}"', f'write "{w}" backwards', f"reverse the letters of {w}")), w[::-1], f"Backwards: {', '.join(w[::-1])}.")
    items = words(rng, 2, 6) if rng.random() < 0.6 else [str(rng.randint(0, 99)) for _ in range(rng.randint(2, 7))]
    answer = ", ".join(reversed(items))
    return Qa(expand("{reverse|turn around|invert|write backwards|reverse the order of|put in reverse order}{| the list| this list| these}", rng) + f": {', '.join(items)}", answer, "From the last to the first.")


def total(rng: Rng) -> Qa:
    numbers = [rng.randint(0, 20) for _ in range(rng.randint(3, 5))]
    ask = expand("{add up|sum|what is the sum of|total of|add|compute the sum of|sum up|what do these add up to|add these|the total of|the sum of|how much is|add together|what is the total of}{:| these:| the numbers:|}", rng)
    listed = spoken_list([str(n) for n in numbers], rng)
    steps, running = [], numbers[0]
    for n in numbers[1:]:
        steps.append(f"{running} + {n} = {running + n}")
        running += n
    return Qa(f"{ask} {listed}", f"{' + '.join(map(str, numbers))} = **{running}**", "; ".join(steps) + ".")


def pick(rng: Rng) -> Qa:
    items = words(rng, 3, 7)
    i = rng.randrange(len(items))
    name = "first second third fourth fifth sixth seventh".split()[i]
    if i == len(items) - 1 and rng.random() < 0.5:
        name = "last"
    ask = expand(f"{{what is|which is|tell me|say|give me|name}} the {name} {{word|item|one|element|entry}}{{:| in this list:| here:| of:}}", rng)
    return Qa(f"{ask} {', '.join(items)}", f"The {name} is **{items[i]}**.", f"{', '.join(items[: i + 1])}: the {name} is {items[i]}.")
