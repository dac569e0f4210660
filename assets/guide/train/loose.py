"""Tools that are asked for loosely: by a synonym, a hint or the values alone, without the names of the parameters.

A request is put together from the values, each in a phrase that fits its kind ("for Anna", "until noon", "12 rows"),
in a sentence or as fragments. Whoever answers has to tell by kind, by unit or by order which value is which.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Callable

import values
from grammar import Rng, expand
from hints import HINTS
from lexicon import gerund

# Words for one thing. A tool is called by one of them and asked for by another.
OBJECTS = tuple(tuple(group.split("|")) for group in (
    "invoice|bill|receipt", "photo|picture|image|snapshot", "song|track|tune|melody", "movie|flick|motion picture", "car|vehicle|automobile|auto", "house|home|building",
    "apartment|flat|condo", "street|road|lane", "shop|store|boutique", "job|task|work item|chore", "employee|worker|colleague|staff member", "doctor|physician|clinic visit",
    "medicine|drug|pill|medication", "illness|disease|sickness", "meal|dinner|lunch|food", "drink|beverage|cocktail", "recipe|cooking instructions|dish", "garden|yard|lawn",
    "flower|rose|bouquet", "tree|oak|wood", "dog|puppy|hound", "cat|kitten|pet", "bird|sparrow|budgie", "horse|pony|stable", "child|kid|toddler", "parent|mother|father",
    "friend|buddy|pal", "boss|manager|supervisor", "meeting|conference|get-together", "party|celebration|festivity", "holiday|vacation|trip|journey", "hotel|inn|hostel|lodging",
    "flight|plane|airplane", "bus|coach|shuttle", "ship|boat|vessel", "taxi|cab|ride", "map|atlas|chart", "letter|mail|post|correspondence", "package|box|crate",
    "book|novel|volume", "newspaper|gazette|paper", "story|tale|anecdote", "poem|verse|rhyme", "lesson|class|course|lecture", "exam|test|quiz", "grade|mark|school report",
    "lamp|light|bulb", "heater|radiator|heating|stove", "fan|ventilator|cooling|air conditioning", "window|pane|shutter", "roof|ceiling", "kitchen|cooking area", "bed|mattress|bedroom", "sofa|couch|armchair",
    "clock|watch|timer", "alarm|siren|alert|warning", "camera|webcam|lens", "phone|telephone|mobile|handset", "computer|laptop|machine|pc", "screen|monitor|display", "keyboard|keys|typing",
    "battery|charge|power cell", "robot|droid|bot", "drone|quadcopter", "server|host|node", "database|data store|records", "table|spreadsheet|grid", "folder|directory", "backup|safety copy|spare copy",
    "password|passphrase|secret", "account|profile|login", "message|note|memo", "comment|remark|reply", "picture frame|photo frame", "document|file|text", "report|summary|overview", "budget|spending|finances",
    "salary|wage|pay", "tax|duty|levy", "loan|credit|mortgage", "bank transfer|wire|payment", "price|cost|rate|quote", "discount|rebate|coupon", "order|purchase|delivery", "stock|inventory|supplies|warehouse",
    "customer|client|buyer", "contract|agreement|deal", "lawyer|attorney|legal advice", "insurance|coverage|policy", "accident|crash|collision", "fire|blaze|smoke", "rain|downpour|shower|wet weather",
    "snow|blizzard|ice", "wind|gale|breeze", "storm|thunderstorm|hurricane", "sunrise|dawn|daybreak", "sunset|dusk|nightfall", "temperature|heat|warmth", "humidity|moisture|dampness", "noise|sound level|racket",
    "traffic|congestion|jam", "parking|garage|parking spot", "fuel|petrol|gasoline|diesel", "tyre|wheel", "engine|motor", "bridge|viaduct", "river|stream|creek", "lake|pond", "mountain|peak|summit",
    "beach|shore|coast", "forest|woods", "field|meadow|pasture", "farm|ranch", "cow|cattle|milk", "crop|harvest|wheat", "honey|bees|hive", "egg|hen|chicken coop", "coffee|espresso|latte", "tea|chai|infusion",
    "cake|pastry|dessert", "pizza|pie", "soup|broth|stew", "salad|greens|lettuce", "fruit|apple|banana", "laundry|washing|clothes|washer", "shirt|blouse|garment", "shoe|boot|sneaker", "jewel|necklace|ring box",
    "haircut|hairdresser|barber", "gym|workout|training|exercise", "match|game|fixture", "score|result|standings", "ticket|admission|entry", "concert|gig|show", "museum|gallery|exhibition", "theatre|stage|drama play",
    "painting|canvas|portrait", "statue|sculpture", "church|chapel|cathedral", "university|college|campus", "library card|reader card", "dictionary|glossary|vocabulary", "translation|interpreter", "survey|questionnaire|form",
    "election|campaign", "law|regulation|statute", "police|officer|patrol", "prison|jail|cell", "hospital|ward|emergency room", "patient|sick person", "nurse|caregiver", "tooth|dentist|dental check", "eye|glasses|vision",
    "heart|pulse|heartbeat", "weight|scale|body mass", "sleep|nap|rest", "dream|nightmare", "diet|calories|nutrition", "water meter|water usage", "electricity|current|power usage", "gas|methane", "trash|garbage|waste|rubbish",
    "recycling|bottles|scrap", "factory|plant floor|production", "conveyor|belt|assembly line", "drill|boring machine", "pump|compressor", "valve|tap|faucet", "pipe|tube|duct", "tank|reservoir|cistern", "lift|elevator", "stairs|staircase",
    "gate|barrier", "fence|hedge", "pool|swimming|basin", "sauna|steam bath", "oven|baking|roast", "fridge|refrigerator|freezer", "toaster|toast", "vacuum|hoover|cleaner", "mower|grass cutter", "sprinkler|irrigation",
    "branch|git branch|line of work", "commit|change set", "bug|defect|error|crash report", "log|trace|journal", "container|docker image", "cluster|pods", "release|version|build", "cache|buffer", "queue|backlog|waiting list", "thread|process|running program",
    "token|api key|credential", "certificate|tls|ssl", "domain|dns|hostname", "packet|network traffic", "firewall|port rule", "cron|schedule|timetable", "metric|gauge|dashboard", "chart|graph|plot|diagram", "model|neural network|weights file", "dataset|corpus|training data"))
ACTS = tuple(tuple(group.split("|")) for group in (
    "show|display|see|view", "find|look up|search|locate", "get|fetch|bring|give me", "check|inspect|examine|look at", "create|make|add|set up", "delete|remove|erase|get rid of", "start|launch|run|begin", "stop|halt|end|cancel",
    "open|unlock", "close|shut|lock", "send|mail|forward|pass on", "book|reserve|arrange", "buy|order|purchase", "sell|offer", "move|shift|transfer", "copy|duplicate|clone", "rename|relabel", "save|store|keep|archive it", "load|read", "write|note down|jot down",
    "print|put on paper", "scan|digitise", "convert|turn", "measure|gauge|determine", "count|tally", "compare|contrast", "repair|fix|mend", "clean|wash|wipe", "paint|colour", "cook|prepare|heat", "cut|slice|chop", "mix|stir|combine", "fill|top up|refill",
    "empty|drain|clear", "turn on|switch on|enable", "turn off|switch off|disable", "raise|lift|increase|turn up", "lower|reduce|decrease|turn down", "record|log|track|write down", "play|put on", "call|ring|phone", "invite|ask over", "greet|welcome", "thank|praise",
    "block|ban|exclude", "approve|accept|allow", "reject|refuse|deny", "assign|give|hand", "schedule|plan", "postpone|delay|push back", "remind|nudge", "translate|put into words", "summarise|shorten", "explain|describe", "review|judge", "publish|post|release",
    "upload|put online", "download|pull down", "install|put in", "update|refresh|renew", "restart|reboot|bounce", "deploy|roll out|ship", "test|try out", "sort|put in order|arrange", "merge|join|unite", "split|divide|separate", "lend|loan out", "return|give back",
    "pay|settle|cover", "refund|pay back", "track|follow|trace", "watch|observe|keep an eye on", "guard|protect|secure", "hide|conceal", "tag|label|mark"))

# How a number is counted: names of the parameter, and the words that follow the number.
UNITS = tuple((tuple(names.split("|")), tuple(units.split("|"))) for names, units in (line.split(" / ") for line in (
    "minutes|duration|length|duration minutes|time limit / minutes|min|mins|minute", "seconds|timeout|delay|interval / seconds|s|sec|secs", "days|period|num days|day count / days|d", "weeks|duration weeks / weeks|wks", "years|age|age years / years",
    "people|guests|group size|party size|persons / people|persons|guests|of us", "grams|weight|mass / grams|g|gr", "litres|volume|amount litres / litres|l|liters", "metres|distance|length m|height / metres|m|meters", "kilometres|distance km|range / kilometres|km",
    "percent|share|level|ratio / percent|%", "watts|power|wattage / watts|W", "volts|voltage / volts|V", "points|score|rating / points|pts", "items|quantity|count|number / items|pieces|units|pcs", "rows|limit|max rows / rows|lines", "dollars|price|amount usd / dollars|bucks|USD",
    "pounds|amount gbp / pounds|quid|GBP", "miles|distance miles / miles|mi", "inches|width in / inches|in", "steps|step count / steps", "rounds|repetitions|laps / rounds|laps|reps", "floors|storeys / floors|storeys", "tickets|ticket count / tickets", "megabytes|size|size mb / megabytes|MB|megs",
    "gigabytes|disk size / GB|gigs|gigabytes", "cups|servings|portions / cups|portions|servings", "spoons|sugar / spoons|spoonfuls", "bottles|bottle count / bottles", "boxes|box count / boxes", "sheets|paper count / sheets", "square metres|area / square metres|m2|sqm",
    "bar|pressure / bar", "newtons|force / newtons|N", "amperes|current / amps|A", "hectares|field size / hectares|ha", "knots|wind speed / knots", "kelvin|temperature / kelvin|K", "tons|load / tons|t", "feet|altitude / feet|ft", "nights|stay / nights", "chapters|chapter count / chapters", "turns|rotations / turns|rotations")))
# Yes and no: names of the parameter, what is said for true, what for false.
BOOLS = tuple((tuple(n.split("|")), tuple(y.split("|")), tuple(f.split("|"))) for n, y, f in (line.split(" / ") for line in (
    "recursive|deep|subfolders / with subfolders|recursively|all levels / without subfolders|only the top level|not recursively", "public|visible|shared / publicly|for everyone|visible to all / privately|just for me|hidden|not public",
    "private|secret|hidden / in private|secretly|hidden / in public|openly|not hidden", "urgent|express|priority / it's urgent|as fast as possible|express / no rush|it can wait|not urgent", "silent|quiet|muted / quietly|without a sound|silently / with sound|out loud|loudly",
    "daily|every day|repeat daily / every day|daily / not every day|only once|just this once", "monthly|recurring / every month|monthly / not every month|only once", "yearly|annual / every year|yearly / not every year|just once", "open|opened / open|wide open / closed|shut|not open",
    "locked|secured / locked|secured / unlocked|not locked", "enabled|active|on|power / on|switched on|enabled|active / off|switched off|disabled|inactive", "available|free|reachable / is around|is available|is free / is away|is gone|is busy|is unavailable",
    "paid|settled / is paid|has been paid|has paid / is not paid|has not paid|still owes|is unpaid", "done|finished|complete|completed / is done|is finished|is complete / is not done|is unfinished|is incomplete", "ascending|smallest first|low to high / smallest first|from low to high|ascending / largest first|from high to low|descending",
    "descending|largest first|reverse / largest first|from high to low|descending / smallest first|from low to high|ascending", "cheapest first|by price / cheapest first|the cheap ones first / the most expensive first|the expensive ones first", "ask first|confirm|with confirmation / ask first|ask me before / don't ask|without asking",
    "overwrite|replace|force / overwrite it|replace what is there|by force / keep what is there|don't overwrite|without force", "round trip|both ways / there and back|round trip / one way|only there", "gift|gift wrap|wrapped / as a gift|wrapped|gift wrapped / not as a gift|unwrapped",
    "vegetarian|meatless|vegan / vegetarian|without meat|meatless / with meat|not vegetarian", "insured|insurance / insured|with insurance / uninsured|without insurance", "encrypted|encrypt / encrypted|with encryption / unencrypted|in the clear|without encryption",
    "dry run|simulate|preview only / just pretend|as a dry run|only simulate / for real|really do it|not as a dry run", "verbose|detailed|full / in detail|with all details|the long version / in short|briefly|without details|the short version", "approved|accepted|agree / I agree|approved|yes / I refuse|rejected|no|not approved",
    "heated|warm|hot / heated|warm|hot / cold|unheated|not heated", "indoor|inside|indoors / inside|indoors / outside|outdoors|in the open", "member|is member|registered / is a member|is registered / is no member|is not registered|is not a member",
    "attending|coming|joins / is coming|will be there|comes / is not coming|can't come|stays home", "on time|punctual / on time|punctual / late|delayed|not on time", "fragile|delicate / fragile|handle with care / robust|not fragile", "alive|healthy / is alive|is well|is healthy / is dead|is ill|is not well",
    "full|filled / full|filled up / empty|not full", "clean|washed / clean|washed / dirty|unwashed|not clean", "new|brand new / new|brand new / used|second hand|old", "automatic|auto / automatically|by itself|automatic / manually|by hand|manual", "left|left side / left|on the left / right|on the right",
    "upward|up|rising / up|upwards / down|downwards", "fast|quick|high speed / fast|quickly / slow|slowly|not fast", "with sugar|sweet|sweetened / with sugar|sweet / without sugar|unsweetened|no sugar", "notify|send mail|tell them / tell them|with a notice|let them know / don't tell them|without a notice|keep it quiet")))
# Opposites, as adjective and as superlative: what is true of one is false of the other.
OPPOSITES = tuple(tuple(tuple(word.split(",")) for word in pair.split("|")) for pair in (
    "big,biggest|small,smallest", "long,longest|short,shortest", "high,highest|low,lowest", "near,nearest|far,farthest", "light,lightest|heavy,heaviest", "fast,fastest|slow,slowest", "cheap,cheapest|expensive,most expensive",
    "strong,strongest|weak,weakest", "bright,brightest|dark,darkest", "young,youngest|aged,eldest", "early,earliest|late,latest", "hot,hottest|cold,coldest", "easy,easiest|hard,hardest", "loud,loudest|soft,softest",
    "thick,thickest|thin,thinnest", "good,best|bad,worst", "wide,widest|narrow,narrowest", "rich,richest|poor,poorest", "deep,deepest|shallow,shallowest", "clean,cleanest|dirty,dirtiest", "safe,safest|risky,riskiest",
    "warm,warmest|cool,coolest", "popular,most popular|rare,rarest", "simple,simplest|complex,most complex", "dry,driest|wet,wettest", "busy,busiest|idle,idlest", "active,most active|quiet,quietest", "strict,strictest|lax,laxest"))
# Two numbers that belong together: the names of the parameters.
PAIRS = tuple(tuple(p.split("|")) for p in (
    "width|height", "min|max", "low|high", "lower|upper", "first|second", "home|away", "x|y", "rows|columns", "wins|losses", "numerator|denominator", "left|right", "top|bottom", "start|end", "from|to", "inner|outer", "front|back",
    "hits|misses", "adults|children", "pounds|ounces", "feet|inches", "days|nights", "mine|yours", "sold|bought", "passed|failed", "done|planned", "current|target", "used|total", "right answers|questions", "page|pages"))
# Who or which one comes before where, what and when: how people who write tools put parameters whose names do not tell.
RANKS = {kind: rank for rank, kind in enumerate(("person", "email", "url", "file", "code", "place", "folder", "term", "colour", "language", "text", "date", "time"))}
# Kinds of strings that look alike.
LOOKS = {"person": "name", "place": "name", "language": "name", "term": "word", "colour": "word", "file": "path", "folder": "path", "date": "when", "time": "when"}
SETS = tuple(tuple(s.split(",")) for s in (
    "small,medium,large", "slow,normal,fast", "low,medium,high", "cheap,standard,premium", "spring,summer,autumn,winter", "morning,noon,evening,night", "red,green,blue", "cat,dog,rabbit", "pdf,html,markdown", "json,csv,xml", "easy,hard,extreme", "draft,final",
    "cash,card,transfer", "train,bus,plane,car", "left,right,center", "top,bottom", "circle,square,triangle", "wood,metal,plastic,glass", "cotton,silk,wool", "rock,pop,jazz,folk", "adult,child,senior", "single,double,suite", "hourly,daily,weekly report,monthly",
    "debug,info,warning,error", "dev,staging,production", "linux,windows,macos", "bug,feature,question", "open,closed,pending", "apple,pear,cherry,plum", "milk,dark,white", "mild,spicy,hot", "raw,rare,medium rare,well done", "gold,silver,bronze", "male,female,other",
    "mono,stereo,surround", "portrait,landscape", "forward,backward", "clockwise,counterclockwise", "inside,outside", "lion,tiger,bear", "oak,pine,birch tree", "breakfast,lunch,dinner", "manual,auto,sport", "heat,cool,dry,ventilate", "jpg,png,webp", "mp3,ogg,wav", "admin,editor,viewer", "daily,never,always"))


@dataclass(frozen=True)
class Role:
    """A kind of value: how its parameter may be called, how it is drawn, and how it is worked into a request.

    `$V` stands for the value, `$T` for what the tool is about, `$R` for the other values, `$W` for any word.
    """

    kind: str
    names: tuple[str, ...]
    value: Callable[[Rng], Any]
    chunks: tuple[str, ...]
    leads: tuple[str, ...]


def role(kind: str, names: str, value: Callable[[Rng], Any], chunks: str, *leads: str) -> Role:
    # Bars inside braces belong to the grammar.
    return Role(kind, tuple(names.split("|")), value, tuple(re.findall(r"(?:\{[^}]*\}|[^|{])+", chunks)), leads)


ANY_LEADS = ("$V$R", "$T $V$R", "$V $T$R", "$T: $V$R", "$T, $V$R", "$V: $T$R", "$V, $T$R", "$A $T $V$R", "$A $V$R", "$A $V $T$R", "$T {of|for|with|on|at} $V$R", "{I want|I need|I'd like|we need} $T {for|with|on} $V$R", "what about $V$R{|, $T}",
             "{do|try|take|use|now} $V$R", "{this time|now|next|again} $V$R", "$A $T{:|,|} $V$R", "{can you|could you|will you|please} $A $V$R", "{let's|we should|I have to|I must} $A $V$R", "$V {next|first|now|please}$R", "it {is|was|should be|must be} $V$R", "$T {is|=|->|-} $V$R",
             "{how about|maybe} $T $V$R", "{we|they|you} {said|agreed on|wanted} $V$R, $A $T", "$V {is|was} what {I|we|they} {want|need|ordered}$R", "{and|also|then} $V$R")
ROLES = (
    role("place", "city|town|place|location|where|destination|origin|area|district|village|airport|port|stop|venue|start point|target place|home town|country|suburb|county|resort|valley|bay|border|camp|canyon|capital|castle|coast|colony|crossing|hamlet|hometown|island|junction|market|neighbourhood|oasis|outpost|park|peak|pier|plaza|province|quarter|reserve|settlement|shore|square|stadium|"
         "state|street|summit|territory|arrival city|departure city|birthplace|residence|holiday spot|base city|field site|last stop|landing place|meeting point|town hall|nearest city", values.city,
         "in $V|in $V|near $V|around $V|at $V|from $V|to $V|for $V|$V|over $V|outside $V", "how is $T in $V$R", "{is it|was it|will it be|does it get} $W in $V$R", "{I am|I'm|we are|she is} {in|going to|travelling to|near|driving to|leaving} $V$R, {$A|what about} $T", "$T {in|near|around|at|for} $V$R",
         "{will|does|did|can} $V {have|get|see|offer} $T$R", "{any|some|is there|are there} $T {in|around|near|at} $V$R", "{I|we} {live|work|land|arrive|stay|wait} in $V$R, $T", "what {is|was|will be} $T like {in|around|near} $V$R", "{can|should|may} {I|we|one} $W in $V$R", "{how|where} {do|can} I $W $T in $V$R",
         "$V has $T, {right|hasn't it}$R", "$V's $T$R", "which $T {are|is|were} {in|near} $V$R", "{tell me|say} how $W $V is$R", "{going|moving|off} to $V$R, $T"),
    role("person", "name|person|user|guest|owner|author|driver|sender|contact|member|employee|patient|student|teacher|artist|singer|host|manager|client|buyer|seller|speaker|reviewer|assignee|friend|tenant|who|customer|neighbour|lawyer|chef|actor|winner|baker|banker|barber|builder|butcher|captain|carpenter|clerk|climber|coach|composer|cook|dancer|dealer|delegate|dentist|designer|detective|director|diver|editor|engineer|farmer|firefighter|"
         "gardener|golfer|guide|heir|hunter|inspector|inventor|judge|knight|leader|lecturer|lodger|mayor|mechanic|mentor|miner|musician|narrator|novelist|officer|painter|pilot|plumber|poet|postman|president|priest|producer|professor|"
         "programmer|prisoner|ranger|referee|reporter|rider|runner|sailor|salesman|scholar|scientist|secretary|senator|sheriff|shepherd|soldier|sponsor|supplier|surgeon|swimmer|tailor|trainee|trainer|translator|traveller|treasurer|tutor|"
         "vendor|volunteer|waiter|walker|witness|lover|payer|caller|opponent|successor|husband|wife|bride|groom|aunt|cousin|nephew|roommate|shareholder|candidate|speaker name|tester|technician|courier|artist name", values.person,
         "for $V|for $V|with $V|by $V|to $V|$V|from $V|of $V", "$V {wants|needs|asks for|would like|gets|takes|has|ordered} $T$R", "$V is $W$R, $A {them|him|her}", "$V {should|must|may|can|will|wants to} $A $T$R", "$A {this for|that for|} $V$R", "it is for $V$R: $T", "$T {for|by|of|with|from} $V$R",
         "{has|did|does|will} $V $W $T$R", "$V's $T$R", "{give|hand|bring|get} $V $T$R", "$V {$W|just $W|said $W}, $A $T$R", "{what|where|when} {did|does|has} $V $W$R", "{I am|this is|my name is} $V$R, $T", "{let|have|make} $V $A $T$R", "{tell|ask|help} $V {about|with} $T$R", "$V {and|or} nobody else$R: $T", "{is|was} $V $W$R"),
    role("text", "text|message|title|subject|note|comment|headline|body|content|reason|remark|slogan|greeting|label|question|summary|description|heading|motto|wish|answer", lambda r: values.phrase(r, 1, 7),
         "\"$V\"|\"$V\"|'$V'|saying \"$V\"|that says \"$V\"|with \"$V\"|called \"$V\"|: \"$V\"", "$A \"$V\"$R", "$A $T \"$V\"$R", "$A $T {saying|that says|with|called|titled|named} \"$V\"$R", "\"$V\"$R", "{I want|we need|there should be|put} \"$V\" {on|in|as|for} $T$R", "$T {should|must|has to|is to|will} {say|be|read as|become} \"$V\"$R",
         "\"$V\" {is|was|goes|belongs|should go} {on|in|to} $T$R", "the $W {says|is called|is named} \"$V\"$R", "{somebody|he|she|the boss} {said|wrote|asks}: \"$V\"$R", "what {do|does} \"$V\" {mean|say|need}$R", "$A '$V'$R", "\"$V\", {that's|this is|as} $T$R", "$V$R"),
    role("file", "file|path|document|image|picture|video|input|output|attachment|source file|log file|target file|file name|script|song file|clip|scan|backup file|sheet", values.path,
         "$V|in $V|from $V|into $V|to $V|with $V|as $V", "$A $V$R", "{what|who|how much} {is|was} in $V$R", "$V {is|was|looks|got} {too $W|$W|not $W}$R, $A it", "{take|use|open|grab} $V$R", "$T {of|for|from|in} $V$R", "{make|turn|bring|put} $V {into|to|as} $T$R", "{can|could} you $A $V$R", "I {need|want|have} $V {as $T|$W}$R", "is $V $W$R", "does $V {have|contain|need} $T$R",
         "{how|why} $W is $V$R", "$V {needs|wants|has} $T$R"),
    role("folder", "folder|directory|dir|root|where|base dir|workspace|target folder", values.folder, "in $V|in $V|under $V|into $V|$V|from $V", "$A $V$R", "what {is|lies} in $V$R", "{go through|look through|use|in|under} $V$R", "$V {is|has|needs} $T$R"),
    role("url", "url|link|address|page|website|feed|endpoint|source url|web page|target url|callback|homepage", values.url, "$V|from $V|at $V|to $V|for $V|on $V", "$A $V$R", "{is|was|does|will} $V $W$R", "{what|who} is {at|on|behind} $V$R", "I {need|want|have} $T {of|for|from} $V$R", "{go to|take|open|try|use} $V$R", "$V {is|was|seems|looks} $W$R, $A it", "{make|turn} $V {into $T|$W}$R",
         "$T {for|of|from|at} $V$R", "{how|why} $W is $V$R", "$V {answers|loads|fails|works}$R", "put $V {in|into|on} $T$R"),
    role("email", "email|address|recipient|mail|contact|to|sender|email address|reply to|account mail|owner mail", values.email, "to $V|for $V|$V|from $V|at $V", "$A $V$R", "$V {wants|needs|asks for|gets|would like|is waiting for} $T$R", "{write|reach|tell|inform|add|remove} $V$R", "$T {to|for|from} $V$R", "$V {writes|says|wrote|asks|reports}$R", "put $V {on|in|into} $T$R", "{is|was} $V $W$R", "{send|give} $V $T$R"),
    role("code", "id|code|order|ticket|reference|room|flat|gate|table number|badge|account|serial|device|machine|locker|shelf|key|item|invoice|order id|part|sku|vehicle|batch|unit|track|case number|container|branch|bay|slot id|rack|node|aisle|article|bed|bench|berth|booth|cabin|cage|carriage|cart|cell|chamber|channel|circuit|compartment|contract|counter|crate|cubicle|deck|desk|drawer|hangar|house number|lane|licence plate|lot|module|parcel number|"
         "passport|permit|pin|policy|receipt|record|registration|reservation|router|row|sample|section|sector|socket|switch|terminal|tower|trolley|truck|turbine|van|vault|voucher|wagon|wing|coupon|tent|cupboard|pump number|boiler|fuse", values.code, "$V|in $V|at $V|for $V|on $V|from $V|to $V|of $V|with $V",
         "$A $V$R", "$V {is|was|looks|got} $W$R{|, $A it}", "{is|was|does|will|did} $V $W$R", "{what|how|where} {is|was|about} $V$R", "$T {of|for|in|at|on} $V$R", "{where|how} {does|did} $V $W$R", "$V {needs|wants|gets|has|takes} $T$R", "{who|what} {has|is in|was at|uses} $V$R", "{take|use|in|at|on|for} $V$R: $T", "the $W $V$R", "$W {number|no.|} $V$R", "{put|set|bring} $T {on|to|into|in} $V$R"),
    role("term", "topic|product|thing|material|tool|subject|ingredient|dish|animal|category|tag|word|query|term|plant name|flavour|brand|species|theme|cargo|snack|toy|instrument|metal", lambda r: values.word(r) if r.random() < 0.93 else f"{values.word(r)} {values.word(r)}",
         "$V|with $V|of $V|for $V|on $V|about $V|in $V|from $V|{that|which|who} {contain|use|like|have|include|need|mean|taste of|look like|deal with|$W}{|s} $V|{made|filled|covered|mixed|painted|topped|dyed|decorated|lined|$Wed} {with|by|in|for} $V|and $V", "$A the $V$R", "$A $V$R", "{the|my|our|this} $V {is|was|looks|got} $W$R", "{is|does|will} the $V $W$R", "{I|we|they} {like|want|need|have|bought|saw|picked} $V$R", "$T {of|for|with|about|on} $V$R", "{give|get|bring} {me|us|them} $V$R", "{how|why|when} {is|was} the $V$R", "{some|more|less|enough|no more} $V$R",
         "{what|who} {is|was|has} $V$R", "$T \"$V\"$R", "{mixed|made|filled} with $V$R"),
    role("count", "", values.integer, "$V", "$V$R", "$A $V$R", "$A $T {by|to|for|at} $V$R", "{make it|set it to|let it be} $V$R", "{I|we|they} {want|need|have|took|did} $V$R", "$V {more|is enough|should do|are left|will do}$R", "{give|get|bring} {me|us|it} $V$R", "{after|within|for|about} $V$R", "$T {for|of|at|to|by} $V$R", "{no more than|at most|exactly|up to} $V$R", "$T {is|was|has|reached|shows} $V$R"),
    role("date", "date|day|when|on|deadline|due date|start date|day off|birthday|arrival|due", values.date, "on $V|for $V|until $V|since $V|after $V|before $V|by $V|from $V|$V", "{what|who} {is|was} {on|planned} $V$R", "{is|was|will} $T $W {on|until|since|before|} $V$R", "$T {on|for|of|since|until} $V$R", "$V {is|was|works|suits me|fits}$R", "$A $T {on|by|until|before|for|} $V$R",
         "{I|we} {leave|arrive|start|meet|return} {on|after|before|} $V$R", "{how|what} {was|is|will be} $T {on|} $V$R"),
    role("time", "time|at|start time|when|wake time|departure time|opening|moment|start|end time", values.time, "at $V|at $V|until $V|after $V|by $V|before $V|from $V|$V|around $V", "{at|by|around|before|after} $V$R", "$T {at|by|until|for} $V$R", "$A $T {at|by|until|for} $V$R", "{I|we|they} {leave|start|arrive|meet|come} {at|before|after} $V$R", "{is|will} $T $W {at|by|until} $V$R", "$V {is|works|suits me} {fine|best|}$R"),
    role("colour", "colour|color|shade|paint|ink|background|accent", lambda r: r.choice(values.COLOURS), "in $V|$V|to $V|with $V", "{make|paint|turn} {it|$T} $V$R", "$V $T$R", "$T in $V$R", "{I|we} {like|want|prefer} $V$R"),
    role("language", "language|lang|target language|locale|tongue|into", lambda r: r.choice(values.LANGUAGES), "in $V|to $V|into $V|from $V|$V", "$T in $V$R", "{in|into} $V$R", "{I|we|they} {speak|read|learn|want} $V$R", "{say|put|write} $T in $V$R"),
    role("enum", "mode|type|kind|size|speed|level|style|category|format|priority|program|quality|season|class|sort|state|method|variant|setting|option|shape|target|direction|plan|role", values.word, "$V|in $V|on $V|$V|to $V|as $V|the $V one|{the |}$V $N|with $V",
         "$V $T$R", "$T {on|in|to|as|with|:} $V$R", "$V$R", "{make it|set it to|I want|I prefer|go for|choose|take} $V$R", "$A {it|$T} {on|in|to|as} $V$R", "{is it|was it|it's} $V$R", "$A the $V {one|$T}$R", "$V, please$R", "{how|what} {is|about|are} the $V $T$R", "the $V $N$R", "{how $W|how good} is $V $T$R"),
    role("bool", "", values.word, "$V", "$V$R", "$T $V$R", "$A $T $V$R", "$A $V$R", "$A {it|this|that} $V$R", "$T, $V$R", "{make it|I want it|we need it} $V$R"),
)
ROLE = {r.kind: r for r in ROLES}
WEIGHTS = {"place": 12, "person": 11, "text": 10, "file": 8, "folder": 2, "url": 7, "email": 6, "code": 13, "term": 12, "count": 20, "date": 8, "time": 7, "colour": 2, "language": 2, "enum": 11, "bool": 8}
LINKS = ("", "", "", "", "", ",", ",", " and", ";", " -")
ASIDES = ("{I'm in a hurry|no time|it's late|I'm tired|as usual|as always|like yesterday|you know why|sorry to bother you|finally|my boss asked|I forgot|just like before|the $W again|I think|if possible|if you can|before I forget|quick one|good news|bad luck|"
          "my $W is $W|the $W needs it|this is $W|it's about the $W|don't ask why|the $W is waiting}")
DOCS = ("{N}", "{N}", "{N}", "The {n}", "{n} to use", "", "", "Which {n}", "{n} of the request", "{N} ({k})", "The {k}", "The {n} that is meant", "{N}, required")
SPOKEN_KIND = {"place": "place", "person": "name", "text": "text", "file": "path", "folder": "folder", "url": "URL", "email": "email address", "code": "identifier", "term": "word", "date": "date", "time": "time", "colour": "colour", "language": "language", "enum": "choice", "bool": "yes or no"}


def clear_names() -> frozenset[str]:
    """Names of parameters that belong to one kind only."""
    every = [n for r in ROLES for n in r.names]
    return frozenset(n for n in every if every.count(n) == 1)


CLEAR = clear_names()


@dataclass
class Slot:
    """One parameter of a tool."""

    role: Role
    name: str
    decimal: bool = False
    units: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    yes: tuple[str, ...] = ()
    no: tuple[str, ...] = ()
    typed: bool = True
    """Whether the name tells the kind."""
    alias: tuple[str, ...] = ()
    """Words that people use for the name."""

    @property
    def type(self) -> str:
        if self.role.kind == "count":
            return "number" if self.decimal else "integer"
        return "boolean" if self.role.kind == "bool" else "string"

    def schema(self, rng: Rng) -> dict[str, Any]:
        made: dict[str, Any] = {"type": self.type}
        if self.options and rng.random() < 0.92:
            made["enum"] = list(self.options)
        return made


def draw_slot(rng: Rng, taken: set[str]) -> Slot:
    """A parameter whose name is not taken yet."""
    while True:
        chosen = rng.choices(ROLES, [WEIGHTS[r.kind] for r in ROLES])[0]
        slot = make_slot(chosen, rng)
        if slot.name not in taken:
            taken.add(slot.name)
            return slot


def draw_slots(number: int, rng: Rng) -> list[Slot]:
    """The parameters of a tool."""
    taken: set[str] = set()
    slots: list[Slot] = []
    if number > 1 and rng.random() < 0.07:
        number -= 2
        names = rng.choice(PAIRS) if rng.random() < 0.5 else (values.word(rng), values.word(rng))
        units = rng.choice(UNITS)[1] if rng.random() < 0.3 else ()
        decimal = rng.random() < 0.3
        slots = [Slot(ROLE["count"], name, decimal, units) for name in dict.fromkeys(names)]
        taken.update(names)
    slots += [draw_slot(rng, taken) for _ in range(number)]
    if len(slots) > 2 and slots[0].role.kind == slots[1].role.kind == "count" and rng.random() < 0.6:
        slots.append(slots.pop(rng.randrange(2, len(slots))))
        slots = slots[2:] + slots[:2]
    # The values of these can be told by their looks alone, as long as the parameters come in their usual order.
    plain = [s for s in slots if s.role.kind in RANKS and not s.typed]
    ranked = iter(sorted(plain, key=lambda s: RANKS[s.role.kind]))
    return [next(ranked) if s in plain else s for s in slots]


def antonym_slot(chosen: Role, rng: Rng) -> Slot:
    """A yes or no that is worded by what it is, or by what it is not."""
    if rng.random() < 0.3:
        pair = [(w, f"most {w}") for w in (values.word(rng), values.word(rng))]
    else:
        pair = list(rng.choice(OPPOSITES))
        rng.shuffle(pair)
    (yes, yes_most), (no, no_most) = pair
    form = rng.choice(("{m} first", "{m} first", "{a} first", "{a}", "{a} only", "only {a}", "prefer {a}", "{m} only", "{m}", "is {a}"))
    said = ("{m} first", "{m} first", "the {m} first", "{m} ones first", "start with the {m}", "first the {m}") if "first" in form else (
        ("{m} only", "only the {m}", "just the {m}", "the {m} ones", "{m}") if "{m}" in form else ("{a}", "{a} ones", "only {a} ones", "a {a} one", "the {a} ones", "{a} please"))
    if form == "{a} first":
        said = ("{a} first", "the {a} ones first", "{a} ones first", "first the {a} ones")
    return Slot(chosen, form.format(a=yes, m=yes_most), yes=tuple(x.format(a=yes, m=yes_most) for x in said), no=tuple(x.format(a=no, m=no_most) for x in said))


def make_slot(chosen: Role, rng: Rng) -> Slot:
    odd = values.word(rng)
    if chosen.kind == "count":
        kind = rng.random()
        decimal = rng.random() < 0.4
        if kind < 0.6:
            names, units = rng.choice(UNITS)
            return Slot(chosen, rng.choice(names), decimal, units)
        if kind < 0.8:
            return Slot(chosen, rng.choice((odd, f"{odd}s", f"{odd} count", f"num {odd}s")), decimal, (f"{odd}s", f"{odd}s", odd))
        return Slot(chosen, rng.choice((odd, f"{odd} level", f"{odd} value", "level", "number", "value", "amount", "x", "size")), decimal)
    if chosen.kind == "bool":
        style = rng.random()
        if style < 0.25:
            return antonym_slot(chosen, rng)
        if style < 0.7:
            names, yes, no = rng.choice(BOOLS)
            return Slot(chosen, rng.choice(names), yes=yes, no=no)
        yes = (odd, f"with {odd}", f"make it {odd}", f"{odd} on", f"{odd}, yes", f"is {odd}", f"please {odd}")
        no = (f"not {odd}", f"without {odd}", f"no {odd}", f"{odd} off", f"{odd}, no", f"is not {odd}", f"don't {odd}")
        return Slot(chosen, odd, yes=yes, no=no)
    typed, clear, alias = rng.random() < 0.5, False, ()
    if typed:
        name = rng.choice(chosen.names)
        clear = name in CLEAR
        if rng.random() < 0.2:
            name = f"{odd} {name}"
    elif (style := rng.random()) < 0.22:
        # Called by one word, and by another when people ask.
        group = rng.choice(OBJECTS)
        name = rng.choice(group)
        alias = group
    elif style < 0.4:
        # The same stem with another ending.
        name = odd + rng.choice(("er", "or", "ed", "ing", "ment", "s", "ion", "al", "ist", "ee"))
        alias = tuple(odd + end for end in ("", "s", "ed", "ing", "er"))
    else:
        name = odd if rng.random() < 0.75 else f"{odd} {values.word(rng)}"
    options: tuple[str, ...] = ()
    if chosen.kind == "enum":
        options = rng.choice(SETS) if rng.random() < 0.45 else tuple(dict.fromkeys(values.word(rng) for _ in range(rng.randint(2, 6))))
    return Slot(chosen, name, options=options, typed=clear, alias=alias)


@dataclass
class Said:
    """A value in a request."""

    slot: Slot
    text: str
    value: Any
    anchored: bool = False
    """Whether its unit or its name stands with it."""


def say(slot: Slot, rng: Rng, bare: bool) -> Said:
    """Draws a value, and how it is said; numbers are `bare` when nothing is to tell them apart."""
    kind = slot.role.kind
    if kind == "count":
        v = values.number(rng) if slot.decimal and rng.random() < 0.85 else values.integer(rng)
        if rng.random() < 0.25 and not slot.decimal:
            v = rng.randint(1, 30)
        style = 1.0 if bare else rng.random()
        if slot.units and style < 0.7:
            unit = rng.choice(slot.units)
            return Said(slot, f"{v}{'' if rng.random() < 0.2 and len(unit) < 3 or unit == '%' else ' '}{unit}", v, True)
        if style < 0.85:
            return Said(slot, rng.choice(("{n} {v}", "{n} {v}", "{n} of {v}", "{n} = {v}", "{v} {n}", "a {n} of {v}", "{n}: {v}", "the {n} at {v}")).format(n=slot.name, v=v), v, True)
        return Said(slot, str(v), v)
    if kind == "bool":
        v = rng.random() < 0.5
        return Said(slot, rng.choice(slot.yes if v else slot.no), v)
    v = rng.choice(slot.options) if slot.options else slot.role.value(rng)
    return Said(slot, v, v)


def tellable(said: list[Said]) -> bool:
    """Whether the values could come in any order: no two that might be mistaken for each other."""
    seen: dict[str, list[Slot]] = {}
    for s in said:
        kind = s.slot.role.kind
        if s.anchored:
            continue
        alike = seen.setdefault(LOOKS.get(kind, kind), [])
        # Names tell a person from a place; else only looks do, since the parameters come in their usual order.
        if any(kind == other.role.kind or not (s.slot.typed and other.typed) for other in alike):
            return False
        alike.append(s.slot)
    return True


def anchor(said: list[Said], rng: Rng) -> None:
    """Puts the names of some parameters, or other words for them, beside their values."""
    for s in said:
        kind = s.slot.role.kind
        if kind in RANKS and kind != "text" and rng.random() < (0.5 if s.slot.alias else 0.06):
            name = rng.choice(s.slot.alias or (s.slot.name,))
            s.text = rng.choice(("{n} {v}", "{n} {v}", "the {n} {v}", "the {n} {v}", "our {n} {v}", "{v} as {n}", "{v} as the {n}", "{n}: {v}", "{n} is {v}", "the {n} is {v}")).format(n=name, v=s.text)
            s.anchored = True


def chunk(s: Said, rng: Rng) -> str:
    """The value in a phrase that fits into a longer sentence."""
    if rng.random() < 0.06 and s.slot.role.kind not in ("count", "bool") and not s.anchored:
        s.anchored = True
        return f"{s.slot.name}{rng.choice((' ', ': ', ' = ', ' is '))}{quoted(s, rng)}"
    if s.slot.role.kind == "count":
        return rng.choice(("", "", "", "for ", "at ", "with ", "by ", "to ", "up to ", "in ", "after ")) + s.text
    if s.slot.role.kind == "bool":
        return s.text
    form = expand(rng.choice(s.slot.role.chunks), rng).replace("$W", values.word(rng))
    return form.replace("$N", s.slot.name).replace("$V", s.text)


def quoted(s: Said, rng: Rng) -> str:
    return f'"{s.text}"' if s.slot.role.kind == "text" or rng.random() < 0.1 else s.text


@dataclass
class Topic:
    """What a tool is about: words for its act and its object. The first of each is what the tool is called."""

    acts: tuple[str, ...]
    objects: tuple[str, ...]
    hints: tuple[str, ...] = ()
    """Sentences that ask for it without naming it."""

    def thing(self, rng: Rng, exact: bool) -> str:
        w = self.objects[0] if exact else rng.choice(self.objects)
        return rng.choice(("{}", "{}", "the {}", "the {}", "a {}", "my {}", "{}s", "some {}", "this {}", "our {}")).format(w)

    def act(self, rng: Rng, exact: bool) -> str:
        return self.acts[0] if exact else rng.choice(self.acts)


def draw_topic(rng: Rng) -> Topic:
    if rng.random() < 0.1:
        names, hints = rng.choice(HINTS)
        return Topic((rng.choice(("get", "show", "check", "find", "start", "open", "call", "ask", "request", "use", "control", "look up")),), tuple(rng.sample(names, len(names))), hints)
    acts = list(rng.choice(ACTS)) if rng.random() < 0.7 else [values.word(rng)]
    objects = list(rng.choice(OBJECTS)) if rng.random() < 0.55 else [values.word(rng) if rng.random() < 0.7 else f"{values.word(rng)} {values.word(rng)}"]
    rng.shuffle(acts)
    rng.shuffle(objects)
    return Topic(tuple(acts), tuple(objects))


def describe(topic: Topic, slots: list[Slot], rng: Rng) -> tuple[str, str]:
    """Name in words and description of a tool."""
    act, thing = topic.acts[0], topic.objects[0]
    of = slots[0].name if slots else values.word(rng)
    if rng.random() < 0.12:
        # The name alone may tell everything, or the description alone.
        return f"{act} {thing}", ""
    name = rng.choice((f"{act} {thing}", f"{act} {thing}", f"{act} {thing}", thing, f"{thing} {act}", act, values.word(rng), f"{thing} {rng.choice(('info', 'service', 'tool', 'data', 'lookup', 'control', 'manager', 'status'))}"))
    doc = rng.choice((f"{act} the {thing}", f"{act} a {thing}", f"{act} {thing}", f"{thing} {rng.choice(('of', 'for', 'in', 'at', 'by'))} a {of}", f"{act} a {thing} {rng.choice(('with', 'for', 'at', 'by', 'in'))} {of}", f"{act} the {thing} of the {values.word(rng)}",
                      f"Use this to {act} a {thing}", f"{gerund(act)} of a {thing}", f"{thing}"))
    return name, doc[:1].upper() + doc[1:]


QUESTIONS = ("what", "how", "who", "where", "when", "why", "which", "is ", "does", "did", "will", "has", "can", "{what", "{how", "{who", "{where", "{is", "{does", "{will", "{has", "{can", "{tell", "{any")
PLAIN = ("term", "place", "person", "date", "time", "count", "colour", "language")


def loose_request(topic: Topic, told: str, slots: list[Slot], optional: set[str], rng: Rng) -> tuple[str, dict[str, Any], bool]:
    """A request, the arguments it needs, and whether it hints at the tool at all, whose schema `told` sums up."""
    chosen = [s for s in slots if s.name not in optional or rng.random() < 0.5]
    bare = sum(s.role.kind == "count" for s in chosen) > 1 and rng.random() < 0.45
    said = [say(s, rng, bare) for s in chosen]
    arguments = {s.slot.name: s.value for s in said}
    if rng.random() < 0.8:
        anchor(said, rng)
    order = list(said)
    if tellable(said) and rng.random() < 0.4:
        rng.shuffle(order)
    hint = rng.random()
    exact = hint < 0.45
    hinted = hint < 0.84
    if topic.hints and hint > 0.3:
        return hinted_request(topic, order, rng), arguments, True
    thing, act = topic.thing(rng, exact), topic.act(rng, exact)
    if not order:
        form = rng.choice(("$A $T", "$T", "$T, please", "{can you|could you|please|it's time to|I want to|we should|go and} $A $T", "$A {it|them|} {now|please|} $T", "{the|our|my} $W {is|are} $W, $A $T", "{what about|how about|how is|what is} $T", "$T {is|are} $W", "I {need|want|would like} $T", "{is|are} $T $W",
                           "{show|tell} me $T", "{time|ready} to $A $T", "somebody should $A $T", "let's $A $T", "$T {needs it|must be $W|again}"))
        return finish(form, thing, act, "", "", "", rng), {}, True
    first, rest = order[0], order[1:]
    pieces = [chunk(s, rng) for s in rest]
    numbers = [s for s in order if s.slot.role.kind == "count" and not s.anchored]
    if rest and first in numbers and rest[0] in numbers and rng.random() < 0.75:
        # Two plain numbers side by side: 3 by 4, 3/4, from 3 to 4.
        pair = rng.choice(("{a} by {b}", "{a}/{b}", "{a}/{b}", "{a}/{b}", "{a}/{b}", "{a} / {b}", "{a} and {b}", "{a} against {b}", "{a} on {b}", "{a} x {b}", "{a} over {b}", "{a} to {b}", "{a} and {b}", "{a}, {b}", "{a} {b}", "{a} - {b}", "{a}:{b}")).format(a=first.text, b=rest[0].text)
        if rng.random() < 0.3:
            pair += f" {values.word(rng)}"
        first, pieces = Said(first.slot, pair, None), pieces[1:]
    tail = ""
    link = rng.choice(LINKS)
    for p in pieces:
        tail += p if p.startswith(":") else f"{link if rng.random() < 0.8 else rng.choice(LINKS)} {p}"
    leads = first.slot.role.leads
    form = rng.choice(leads if rng.random() < 0.68 else ANY_LEADS)
    if not hinted:
        form = rng.choice(("$V$R", "{use|take|with|for|try} $V$R", "$V$R, please", "{do it|go ahead|please do} {for|with} $V$R", "{I have|here is|it's} $V$R", "$V$R {now|again|, thanks}",
                           "{my|the|our|his} $W $W, $V$R", "$V is $W$R", "{too|so} $W, $V$R", "the $W of $V$R", "I $W $V$R", "$V $W$R", "$V, {I want it|they want it|it must be} $W$R"))
    if "$T" not in form and "$A" not in form and first.slot.role.kind in PLAIN and form.startswith(QUESTIONS):
        # Else it would be a question about the world.
        form = rng.choice((f"{form}, $T", f"$T: {form}", f"{form}, {{I need|it's about|check}} $T"))
    if first.slot.role.kind == "text" and '"' not in form and "'" not in form:
        form = form.replace("$V", '"$V"')
    elif isinstance(first.value, str) and "$V's" not in form and not first.anchored and first.slot.role.kind != "text" and rng.random() < 0.07:
        form = form.replace("$V", rng.choice(('"$V"', "'$V'", "`$V`", "($V)")), 1)
    text = finish(form, thing, act, first.slot.name, first.text, tail, rng)
    # Without any word of the tool, the kinds of the values alone must tell.
    return text, arguments, "$T" in form and topic.objects[0] in told or "$A" in form and topic.acts[0] in told


def hinted_request(topic: Topic, order: list[Said], rng: Rng) -> str:
    """A sentence that hints at the tool, and the values."""
    hint = rng.choice(topic.hints)
    if not order:
        return finish(rng.choice((hint, hint, f"{hint}, {{can you do something|please help|what now}}", f"{{oh no|hm|well|look}}, {hint}")), "", "", "", "", "", rng)
    pieces = [chunk(s, rng) for s in order]
    link = rng.choice((" ", " ", ", ", " and "))
    joined = link.join(pieces)
    return finish(rng.choice(("$H $V", "$H, $V", "$H, $V", "$H: $V", "$V: $H", "$V, $H", "$H. {Take|Use|It's|Check|Try} $V", "$H ($V)")).replace("$H", hint).replace("$V", joined), "", "", "", "", "", rng)


def finish(form: str, thing: str, act: str, name: str, value: str, tail: str, rng: Rng) -> str:
    """Puts words and values into a form."""
    text = expand(form, rng)
    if rng.random() < 0.12:
        aside = expand(ASIDES, rng)
        text = rng.choice((f"{aside}, {text}", f"{aside}: {text}", f"{aside}. {text}", f"{text}, {aside}", f"{text} - {aside}", f"{text}. {aside}"))
    while "$W" in text:
        text = text.replace("$W", values.word(rng), 1)
    if "$R" not in text:
        text += "$R"
    return text.replace("$T", thing).replace("$A", act).replace("$N", name).replace("$V", value).replace("$R", tail).strip()
