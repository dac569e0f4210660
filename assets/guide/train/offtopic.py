"""Questions about everything else, which the guide declines while pointing to larger models."""

from __future__ import annotations

import values
from facts import Facts
from grammar import Rng, expand
from lexicon import VERBS
from product import Qa
from words import foreign

SUBJECTS = (
    "photosynthesis|black holes|gravity|the moon|the sun|dinosaurs|evolution|DNA|vaccines|atoms|quantum mechanics|relativity|volcanoes|earthquakes|"
    "climate change|the ozone layer|magnets|electricity|lightning|rainbows|the periodic table|oxygen|acids|enzymes|bacteria|viruses|cancer|diabetes|"
    "headaches|a cold|the heart|the liver|sleep|dreams|vitamins|proteins|keto diets|yoga|meditation|marathons|football|the World Cup|tennis|chess|"
    "basketball|the Olympics|baseball|cricket|golf|Formula 1|cycling|swimming|the Roman Empire|the French Revolution|World War II|the Cold War|"
    "Napoleon|Cleopatra|Julius Caesar|the Vikings|the Middle Ages|ancient Egypt|the Berlin Wall|the Renaissance|Columbus|the pyramids|"
    "Shakespeare|Goethe|Tolstoy|Harry Potter|Hamlet|the Bible|poetry|haikus|opera|Mozart|Beethoven|Bach|jazz|the Beatles|guitar chords|painting|"
    "Picasso|Van Gogh|the Mona Lisa|architecture|philosophy|Plato|Kant|Nietzsche|stoicism|religion|Buddhism|ethics|psychology|Freud|inflation|"
    "taxes|mortgages|bitcoin|stocks|bonds|insurance|the stock market|interest rates|economics|marketing|startups|law|contracts|divorce|elections|"
    "democracy|the president|the parliament|the constitution|the United Nations|NATO|the European Union|France|Japan|Brazil|Australia|Canada|"
    "Iceland|Mount Everest|the Amazon|the Sahara|the Pacific Ocean|Antarctica|penguins|elephants|whales|sharks|bees|spiders|cats|dogs|horses|birds|"
    "parrots|hamsters|goldfish|roses|tomatoes|trees|mushrooms|gardening|compost|cooking|pasta|pizza|bread|sourdough|chocolate cake|pancakes|sushi|"
    "curry|coffee|tea|wine|beer|cheese|eggs|soup|salad|barbecue|cars|engines|electric cars|bicycles|trains|airplanes|rockets|satellites|Mars|"
    "NASA|telescopes|galaxies|the big bang|time travel|aliens|ghosts|unicorns|movies|Star Wars|Titanic|the Oscars|Netflix|TikTok|Instagram|Facebook|"
    "Twitter|YouTube|video games|Minecraft|Fortnite|Mario|Pokemon|Python decorators|JavaScript promises|React hooks|CSS grid|SQL joins|regular "
    "expressions in Perl|Java generics|C++ templates|Haskell monads|Rust lifetimes|Go channels|Kubernetes|Docker|git rebase|nginx|PostgreSQL|"
    "Excel formulas|Photoshop|WordPress|Windows 11|iPhones|Android phones|printers|wifi routers|laptops|graphics drivers|blockchain|encryption|"
    "passwords|phishing|love|happiness|friendship|marriage|parenting|babies|school|homework|exams|university|job interviews|salaries|résumés|"
    "holidays|Christmas|birthdays|weddings|gifts|fashion|shoes|haircuts|makeup|tattoos|furniture|houses|plumbing|painting walls|cleaning|laundry|"
    "the weather|hurricanes|snow|algebra|calculus|geometry|prime numbers|pi|the Pythagorean theorem|integrals|matrices|probability|statistics|"
    "logarithms|Latin|Spanish grammar|English tenses|French verbs|Chinese characters|etymology|linguistics|Esperanto").split("|")
PEOPLE = ("Einstein|Newton|Marie Curie|Darwin|Leonardo da Vinci|Gandhi|Mandela|Lincoln|Obama|Picasso|Elvis|Madonna|Messi|Ronaldo|Taylor Swift|"
          "Elon Musk|Bill Gates|Steve Jobs|Ada Lovelace|Alan Turing|Tesla|Edison|Galileo|Socrates|Aristotle|Homer|Dante|Mozart|Chopin|Kafka").split("|")
COUNTRIES = ("France Germany Italy Spain Portugal Norway Sweden Finland Denmark Poland Greece Turkey Egypt Kenya Nigeria Morocco India China Japan "
             "Vietnam Thailand Indonesia Australia Canada Mexico Brazil Argentina Chile Peru Colombia Austria Switzerland Belgium Hungary "
             "Ireland Iceland Russia Ukraine Israel Iran Pakistan Nepal Mongolia Cuba Ghana").split()
THINGS = ("a cake|an omelette|bread|rice|a garden|a chair|a table|a shed|a bike|a tyre|a tap|a sink|a shirt|a tie|a car|a house|a dog|a cat|a baby|a party|a "
          "wedding|a trip|a holiday|a website|a database|a spreadsheet|a resume|a letter to my boss|a novel|an essay|a business plan|a budget|money|weight|"
          "muscles|a language|the piano|the guitar|chess|golf|a rash|a fever|a wound|a broken leg|my taxes|my landlord|my boss|my girlfriend|a passport|a "
          "visa|a flight|a train ticket|a hotel|a horse|an ant colony|a snake|fish|a fire|a tent|a boat|a kite|a snowman|a phone|a printer|a router|a Windows "
          "PC|an Excel sheet|a Word document|a python list|a javascript array|a git branch|a docker container|a linux kernel module|an SQL table|a java "
          "class|a CSS layout|a react app|a wordpress blog|a facebook account|my email password|an instagram post|a youtube video|a photo in photoshop|a "
          "PDF in acrobat|a contract|a lawsuit|a company|an election|a war|a rocket|a bridge|a cow|a fence|paint|wine|beer|cheese|soup|a steak|sushi").split("|")
DEEDS = ("bake|cook|grow|build|repair|paint|wash|feed|train|buy|sell|rent|plan|organise|celebrate|learn|play|treat|cure|lose|earn|win|fight|invite|marry|"
         "avoid|catch|draw|knit|sew|fry|boil|peel|plant|cut|iron|fold|drive|park|fly|sail|climb|dig|ride|clean|decorate|polish|sharpen|melt|freeze").split("|")
FORMS = (
    "{what is|what's|what are|explain|tell me about|tell me something about|describe|who invented|who discovered|what do you know about|how does one "
    "explain|give me facts about|I want to know about|summarise|teach me about|write about|what causes|why do people like|what's the history of|"
    "what is the meaning of|define|do you know|can you explain|I have a question about|let's talk about|talk to me about|what do you think "
    "about|how do I learn about|recommend a book about|what's new in|why is everyone talking about|how important is} $SUBJECT",
    "how {do|does} $SUBJECT work", "{are|is} $SUBJECT {good|bad|dangerous|healthy|important|expensive|real|old}", "$SUBJECT",
    "{write|compose|make up|tell me|give me|create|invent} {a|me a} {poem|story|song|joke|haiku|essay|limerick|speech|short story|rap|fairy tale|slogan|letter} about $SUBJECT",
    "{who is|who was|when was|when did|where was|what did|how old is|tell me about|is|why is|how tall is} $PERSON{| born| die| famous| invent| alive| write|}",
    "{what is|what's|tell me|name} the {capital|population|currency|president|flag|national anthem|king|biggest city|area|language|history} of $COUNTRY",
    "{how many people live|what language do they speak|what can I visit|is it cold|how is the food|when did people arrive} in $COUNTRY",
    "how {do I|can I|should I|to} $DEED $THING", "how {do I|to|can I} $VERB $THING", "{I want to|help me|can you help me|please help me to} $DEED $THING", "what do I need to $DEED $THING",
    "{where can I|when should I|who can} {buy|find|get|see} $THING", "{how much|how expensive} {is|does} $THING{| cost}",
    "{translate|say} \"$PHRASE\" {to|in|into} $LANGUAGE", "{how do you say|what is} \"$PHRASE\" in $LANGUAGE", "what's the weather {like |}in $CITY{| today| tomorrow}", "what time is it in $CITY",
    "{best|good} {restaurants|hotels|museums|beaches|bars|schools} in $CITY", "how {far is|do I get to|long does it take to} $CITY from $CITY2", "what {should I|can I} {cook|eat|wear|watch|read|play|buy} {tonight|today|tomorrow|this weekend}",
    "{write|create|show me|give me} {a|me a|some} {python|javascript|java|c++|rust|bash|sql|html|go|ruby} {function|script|program|class|code|query} {to|that|for|which} {sort a list|reads a file|reverses a string|computes primes|parses json|scrapes a website|sends an email|does fibonacci|connects to a database|prints hello world|draws a circle}",
    "{fix|debug|explain|review|refactor|optimise} {this|my} {python|javascript|java|c++|rust|bash|sql} {code|function|script|program|class}",
    "{is|are|was|were} $SUBJECT {better than|older than|bigger than|related to|the same as} $SUBJECT2", "{difference between|compare} $SUBJECT and $SUBJECT2",
    "{who|which team} {won|wins|will win} {the world cup|the election|the game|the nobel prize|the oscar|the super bowl|the war|the match yesterday|the championship}{| in 1998| in 2010| last year| this year|}",
    "{what's|what is} the {meaning of life|speed of light|answer to everything|square root of 144|boiling point of water|distance to the moon|tallest mountain|longest river|largest animal|fastest car|richest man|best movie|news today|date today|stock price of Apple}",
    "{I feel|I am|I'm} {sad|tired|lonely|sick|hungry|angry|bored|in love|depressed|stressed|cold|thirsty|nervous}{|, what should I do}", "my {head|back|knee|tooth|stomach|cat|dog|car|phone|printer|washing machine|neighbour|boss|wife|son|daughter} {hurts|is broken|is sick|annoys me|does not work|left me|makes noise}",
    "{tell me a joke|sing a song|make me laugh|tell me a story|give me advice|write a poem|recommend a movie|recommend a book|play a game with me|tell me something interesting|what day is it|what's the date|give me a recipe|surprise me|tell me a secret|do my homework|predict the future|flip a coin|who will win}",
    "{what|who|where|when} {is|was} {the|a} $PSEUDO{| $PSEUDO}", "{how|why} {does|do} {the|a} $PSEUDO $PSEUDO", "{what do you think of|have you heard of|tell me about|explain} $PSEUDO $PSEUDO",
    "{why is|why are|why do} {the sky blue|grass green|leaves red in autumn|we sleep|cats purr|people yawn|planes fly|ships float|the sea salty|onions make us cry|birds sing|stars twinkle}",
    "{does|do|will} {the |my |}$PSEUDO {need|like|want|contain|hurt|love} {a |the |}$PSEUDO", "{describe|outline|sketch} $PSEUDO {in simple words|to a child|briefly|for beginners}", "{when|where} did {the |}$PSEUDO {begin|end|happen|appear}",
    "{who|what|where|when} {was|is|were} {the |}$PSEUDO of {the |}$PSEUDO", "{how long|how often|how hot|how old} {does|do|must|can} {a |the |}$PSEUDO $PSEUDO", "{write|compose} {an|my} {email|invitation|toast|obituary|review} {about|to|for} {a |the |my |}$PSEUDO $PSEUDO",
    "{which|what kind of} $PSEUDO {belongs to|comes from} {the |a |}$PSEUDO", "{my|our|his|her} $PSEUDO {and|with} {my|our|the} $PSEUDO {again|today|at night|every week}{|, any advice}",
    "how many {legs does a spider have|planets are there|countries are there|days are in a year|bones are in the body|states are in the US|moons has Jupiter|people live on earth|strings has a violin|players are in a football team|calories are in an apple|seconds are in a day}",
)


class OffTopic:
    """Draws questions that the guide cannot answer."""

    def __init__(self, facts: Facts) -> None:
        where = facts.pane_key("Library")
        self.answer = (f"That lies outside what I know: I am only the guide to Maquette. A larger model can help: download one in the "
                       f"library pane (**{where}**) and load it there.")

    def draw(self, rng: Rng) -> Qa:
        """A question about something else, with the refusal."""
        ask = expand(rng.choice(FORMS), rng)
        fill = {"$SUBJECT2": lambda: rng.choice(SUBJECTS), "$SUBJECT": lambda: rng.choice(SUBJECTS), "$PERSON": lambda: rng.choice(PEOPLE),
                "$COUNTRY": lambda: rng.choice(COUNTRIES), "$THING": lambda: rng.choice(THINGS), "$DEED": lambda: rng.choice(DEEDS),
                "$VERB": lambda: rng.choice(list(VERBS)), "$PHRASE": lambda: values.phrase(rng), "$LANGUAGE": lambda: rng.choice(values.LANGUAGES),
                "$CITY2": lambda: values.city(rng), "$CITY": lambda: values.city(rng), "$PSEUDO": lambda: values.pseudo(rng) if rng.random() < 0.3 else rng.choice(foreign())}
        for mark, draw in fill.items():
            while mark in ask:
                ask = ask.replace(mark, draw(), 1)
        return Qa(ask, self.answer, "This is not about Maquette, and no tool is offered for it.")
