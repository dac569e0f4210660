"""Tools, words and requests that the training text never shows, for measuring exact calls.

Names of tools and parameters, wordings and values are disjoint from ../domains.py, ../values.py and ../tools.py.
"""

from __future__ import annotations

import random
from typing import Any

Json = dict[str, Any]

VALUES: dict[str, list[Any]] = {
    "town": ["Graz", "Leipzig", "Bordeaux", "Valencia", "Tallinn", "Ottawa", "Kigali", "Salzburg", "Bristol", "San Jose", "Ulm", "Malmö"],
    "human": ["Beatrix", "Otto Lang", "Ingrid Thorne", "Marcus", "Fatima Zahra", "Leonhard", "Siobhan Kelly", "Yannick", "Dolores"],
    "term": ["lighthouse", "marzipan", "gravel", "tractor", "barometer", "saxophone", "thistle", "velcro", "pumice", "lantern"],
    "text": ["the ferry leaves at dawn", "bring two blankets", "rehearsal moved upstairs", "we ran out of staples", "call the plumber back",
             "the blue folder is missing", "congratulations on the award", "fix the squeaky hinge"],
    "count": [2, 3, 5, 7, 14, 26, 48, 120, 365, 1500, 20480],
    "decimal": [0.5, 2.75, 13.2, 99.9, 1.125, 250.4, 37.8],
    "moment": ["2031-11-05", "2019-06-30", "Friday", "the 3rd of May", "07:20", "18:55", "next Tuesday", "half past nine"],
    "file": ["/srv/audio/take_03.flac", "holiday-photos.zip", "~/thesis/chapter2.tex", "logs/boot.1.gz", "C:/data/grid.dat", "invoice_8812.docx"],
    "reference": ["ZK-20417", "bx_1188", "order/5521", "9f3e1c", "INV-2207-B", "room-12c"],
    "link": ["https://docs.kestrel.io/start", "https://shop.umbrella.test/item/42", "http://10.0.0.12:3000/status"],
    "post": ["otto.lang@fjord.se", "help@tinkerbox.app", "m.dupont@lycee.fr"],
}

# Description, tool name, parameters (name, kind, schema extras), requests with {parameter}. Kinds in capitals have their own values.
SPECIFICATIONS: list[tuple[str, str, list[tuple[str, str]], list[str]]] = [
    ("Look up the tide at a harbour", "tide_table", [("harbour", "town")], ["when is high tide at {harbour}?", "I sail from {harbour}, check the tides", "tides {harbour}"]),
    ("Air quality of a town", "airQuality", [("municipality", "town")], ["can I jog in {municipality} or is the air bad", "pollution level for {municipality}"]),
    ("Pollen forecast", "pollen_count", [("region", "town"), ("allergen", "ENUM:birch,hazel,grass")], ["how bad is {allergen} pollen around {region}", "my nose itches in {region}, check {allergen}"]),
    ("Ring the bell of a classroom", "ring_bell", [("classroom", "reference"), ("times", "count")], ["ring in {classroom}, {times} times", "let the bell of {classroom} ring {times} times"]),
    ("Print labels", "print_labels", [("caption", "text"), ("copies", "count")], ["print {copies} labels reading \"{caption}\"", "I need \"{caption}\" on {copies} labels"]),
    ("Transcribe a recording", "transcribe", [("recording", "file")], ["turn {recording} into text", "what is being said in {recording}?", "transcribe {recording}"]),
    ("Compress a file", "gzip_compress", [("archive", "file"), ("strength", "count")], ["squeeze {archive} with strength {strength}", "compress {archive}, strength {strength}"]),
    ("Water a plant", "water_plant", [("plant", "term"), ("millilitres", "count")], ["give the {plant} {millilitres} ml", "pour {millilitres} millilitres on the {plant}"]),
    ("Move a robot arm", "moveArm", [("joint", "count"), ("degrees", "decimal")], ["bend joint {joint} by {degrees} degrees", "joint {joint} to {degrees}, please"]),
    ("Book a squash court", "reserve_court", [("player", "human"), ("slot", "moment")], ["a court for {player}, {slot}", "{player} would like to play at {slot}"]),
    ("Open a support conversation", "open_case", [("customer_mail", "post"), ("complaint", "text")], ["{customer_mail} complains: \"{complaint}\"", "file a case for {customer_mail}: \"{complaint}\""]),
    ("Shorten a link", "shortenLink", [("long_link", "link")], ["make {long_link} shorter", "I need a short version of {long_link}"]),
    ("Check whether a site answers", "ping_site", [("site", "link")], ["is {site} reachable?", "does {site} respond"]),
    ("Find a book", "library_catalogue", [("writer", "human"), ("keyword", "term")], ["books by {writer} that mention {keyword}", "has {writer} written on {keyword}?"]),
    ("Rent a bicycle", "rent_bicycle", [("station", "town"), ("hours", "count")], ["I need a bike in {station} for {hours} hours", "bike, {hours} hours, {station}"]),
    ("Charge an electric vehicle", "charge_vehicle", [("plug", "reference"), ("kilowatt_hours", "decimal")], ["charge {kilowatt_hours} kWh at {plug}", "plug {plug}: {kilowatt_hours} kWh"]),
    ("Tune a radio", "tuneRadio", [("frequency", "decimal")], ["radio on {frequency} MHz", "I want to hear {frequency}"]),
    ("Subscribe to a newsletter", "newsletter_signup", [("subscriber", "post"), ("weekly", "BOOL:every week;not every week")], ["sign up {subscriber}, {weekly}", "subscribe {subscriber} {weekly}"]),
    ("Mute a participant", "mute_participant", [("participant", "human")], ["{participant} is too loud, mute them", "silence {participant}"]),
    ("Assign a seat", "assignSeat", [("passenger", "human"), ("seat", "reference")], ["{passenger} sits on {seat}", "give {passenger} the seat {seat}"]),
    ("Start the dishwasher", "dishwasher", [("programme", "ENUM:eco,intense,glass,rinse")], ["dishes on {programme} please", "run the dishwasher, {programme} programme"]),
    ("Close the blinds", "blinds", [("side", "ENUM:north,south,east,west"), ("closed_percent", "count")], ["blinds {side} {closed_percent} percent", "close the {side} blinds to {closed_percent}%"]),
    ("Log a blood pressure reading", "log_pressure", [("systolic", "count"), ("diastolic", "count")], ["my blood pressure is {systolic} over {diastolic}", "note {systolic}/{diastolic} mmHg"]),
    ("Vote in a poll", "cast_vote", [("poll", "reference"), ("choice", "term")], ["in {poll} I vote {choice}", "vote for {choice} in {poll}"]),
    ("Donate money", "donate", [("charity", "term"), ("euros", "decimal")], ["give {euros} euros to {charity}", "donate {euros} to {charity}"]),
    ("Blend two paints", "blend_paint", [("base", "term"), ("tint", "term"), ("millilitres", "count")], ["blend {base} with {tint}, {millilitres} ml in all", "{millilitres} ml of {base} tinted with {tint}"]),
    ("Cut wood", "saw_board", [("board", "reference"), ("centimetres", "decimal")], ["saw {board} at {centimetres} cm", "cut {board} after {centimetres} centimetres"]),
    ("Rate a film", "rateFilm", [("film", "text"), ("stars", "count")], ["\"{film}\" gets {stars} stars", "I give \"{film}\" {stars} stars"]),
    ("Fetch sensor data", "readSensor", [("sensor", "reference"), ("since", "moment")], ["sensor {sensor} since {since}", "what did {sensor} record since {since}"]),
    ("Validate an IBAN", "validate_iban", [("iban", "reference")], ["is {iban} a valid account?", "check the account {iban}"]),
    ("Make a QR code", "qr_code", [("payload", "link"), ("pixels", "count")], ["a QR code for {payload}, {pixels} pixels", "{payload} as QR, {pixels} px"]),
    ("Pause a subscription", "pause_subscription", [("subscription", "reference"), ("months", "count")], ["pause {subscription} for {months} months", "hold {subscription}, {months} months"]),
    ("Tell the phase of the moon", "moon_phase", [("night", "moment")], ["what does the moon look like {night}", "moon phase for {night}"]),
    ("Take attendance", "attendance", [("pupil", "human"), ("present", "BOOL:is here;is missing")], ["{pupil} {present}", "attendance: {pupil} {present}"]),
    ("Feed the fish", "feed_fish", [], ["the fish are hungry", "feed the fish, please"]),
    ("Flush the printer queue", "flush_printer_queue", [], ["clear out the printer jobs", "the printer queue is stuck, flush it"]),
    ("Ship a parcel", "ship_parcel", [("addressee", "human"), ("destination_town", "town"), ("kilograms", "decimal")], ["ship {kilograms} kg to {addressee} in {destination_town}", "parcel for {addressee}, {destination_town}, {kilograms} kg"]),
    ("Paginate the archive", "archive_page", [("page_number", "count"), ("newest_first", "BOOL:newest first;oldest first")], ["archive page {page_number}, {newest_first}", "show page {page_number} of the archive {newest_first}"]),
    ("Write on the blackboard", "chalk", [("sentence", "text")], ["chalk up \"{sentence}\"", "the blackboard should read \"{sentence}\""]),
    ("Play a sound", "sound_effect", [("effect", "ENUM:thunder,applause,doorbell,whistle"), ("loudness", "count")], ["{effect} at loudness {loudness}", "I want {effect}, loudness {loudness}"]),
    ("Look up a train", "train_departure", [("platform_town", "town"), ("earliest", "moment")], ["trains leaving {platform_town} after {earliest}", "departures {platform_town}, {earliest} or later"]),
    ("Grant access to a door", "grantAccess", [("visitor", "human"), ("door", "reference"), ("until", "moment")], ["let {visitor} through {door} until {until}", "{visitor} may use {door} until {until}"]),
]


def draw_value(kind: str, rng: random.Random) -> tuple[str, Any, Json]:
    """A value as spoken, as argument, and its schema."""
    if kind.startswith("ENUM:"):
        options = kind[5:].split(",")
        v = rng.choice(options)
        return v, v, {"type": "string", "enum": options}
    if kind.startswith("BOOL:"):
        yes, no = kind[5:].split(";")
        v = rng.random() < 0.5
        return yes if v else no, v, {"type": "boolean"}
    v = rng.choice(VALUES[kind])
    schema = {"type": "integer" if kind == "count" else "number" if kind == "decimal" else "string"}
    return str(v), v, schema


def cases(number: int, seed: int = 7) -> list[Json]:
    """Requests with the offered tools and the call that is right."""
    rng = random.Random(seed)
    made = []
    for i in range(number):
        doc, name, plan, asks = SPECIFICATIONS[i % len(SPECIFICATIONS)]
        ask, arguments, properties = rng.choice(asks), {}, {}
        for parameter, kind in plan:
            said, arguments[parameter], schema = draw_value(kind, rng)
            ask = ask.replace("{" + parameter + "}", said)
            properties[parameter] = {**schema, "description": parameter.replace("_", " ").capitalize()}
        tools = [schema_of(name, doc, properties)]
        for other in rng.sample([s for s in SPECIFICATIONS if s[1] != name], rng.choice((0, 1, 2, 4))):
            tools.append(schema_of(other[1], other[0], {p: draw_value(k, rng)[2] for p, k in other[2]}))
        rng.shuffle(tools)
        made.append({"ask": ask, "tools": tools, "name": name, "arguments": arguments})
    return made


def schema_of(name: str, doc: str, properties: Json) -> Json:
    """The tool in OpenAI's form."""
    return {"type": "function", "function": {"name": name, "description": doc, "parameters": {
        "type": "object", "properties": properties, "required": list(properties)}}}


# What a tool returned, and what an answer made from it has to contain.
RESULTS: list[tuple[str, str, list[str]]] = [
    ("how deep is the lake at Graz", '{"depth_metres": 41}', ["41"]),
    ("is the ferry on time", '{"ferry": "Aurora", "delay_minutes": 12}', ["Aurora", "12"]),
    ("who is on call tonight", '{"on_call": "Siobhan Kelly"}', ["Siobhan Kelly"]),
    ("list the lockers that are free", '["locker 3", "locker 17", "locker 22"]', ["locker 3", "locker 17", "locker 22"]),
    ("start the dishwasher on eco", '{"status": "ok"}', ["Done"]),
    ("mute Marcus", "ok", ["Done"]),
    ("read the meter", "48213", ["48213"]),
    ("check the account INV-2207-B", '{"error": "unknown account"}', ["unknown account"]),
    ("open gate 7", "Error: gate is jammed", ["gate is jammed"]),
    ("what did the sensor record", '{"lux": 812, "noise": 44.5, "door": "closed"}', ["812", "44.5", "closed"]),
    ("which boats are in the harbour", "Aurora\nSeagull\nTern", ["Aurora", "Seagull", "Tern"]),
    ("how many tickets were sold", '{"result": 1288}', ["1288"]),
    ("what is the moon like on Friday", "The moon is waning.", ["The moon is waning"]),
    ("give me the ride details", '{"driver": "Yannick", "plate": "GZ-118", "eta": 6}', ["Yannick", "GZ-118", "6"]),
    ("ship the parcel", '{"success": true}', ["Done"]),
    ("which rooms are booked", '{"rooms": 4, "guests": 9}', ["4", "9"]),
    ("take attendance for 3b", '{"present": 21, "missing": 2}', ["21", "2"]),
    ("what is the pH of the pool", "7.4", ["7.4"]),
    ("is the oven hot", '{"hot": true, "celsius": 180}', ["180"]),
    ("restart the pump", "permission denied: pump is locked", ["locked"]),
    ("find the owner of plot 12", '{"owner": "Ingrid Thorne"}', ["Ingrid Thorne"]),
    ("which trains leave after nine", '["09:12 Ulm", "09:40 Bristol"]', ["09:12 Ulm", "09:40 Bristol"]),
    ("fetch the reading list", "Dune\nEmma\nUlysses", ["Dune", "Emma", "Ulysses"]),
    ("what's the battery level of the mower", '{"battery": 63}', ["63"]),
]
