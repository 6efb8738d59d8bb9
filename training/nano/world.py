"""What can be said and asked: kinds of things, their attributes, sentences, questions and values.

An attribute is (value maker, verb phrases, whole sentences, questions). A verb phrase follows its
subject ("Marta" + "works as a baker"), so phrases can be joined or continued with a pronoun.
`{e}` is the entity, `{v}` the value.
"""

from dataclasses import dataclass
from random import Random
from typing import Callable

import words as w

Maker = Callable[[Random], str]


def pick(*lists: list[str]) -> Maker:
    pool = [x for words in lists for x in words]
    return lambda r: r.choice(pool)


def number(low: int, high: int) -> Maker:
    return lambda r: str(r.randint(low, high))


RARE_STARTS = "wh qu str ch cl fl gl pl sc sk sl sm sn sw sp bl j y x ph Mc De La Van O Al El In Un Over".split()
RARE_MIDDLES = "ee oo au ay ow y io ia eigh ar er or an en in on al il".split()
RARE_ENDS = "field ton ham ley son man well worth ford berg a o ia ella ine ett ley er en is us y ez ov ski aki ing ment tion ware net fi".split()


def coined(r: Random) -> str:
    """A made-up proper name, so that the model must copy spelling and not only known words."""
    if r.random() < 0.5:  # plain syllables
        out = ""
        for _ in range(r.choice((1, 2, 2, 2, 3))):
            out += r.choice(w.SYLLABLE_STARTS) + r.choice(w.SYLLABLE_VOWELS)
        return (out + r.choice(w.SYLLABLE_ENDS)).capitalize()
    out = r.choice(RARE_STARTS + w.SYLLABLE_STARTS)  # the look of real names: Whitfield, McArton, Inella
    for _ in range(r.choice((0, 1, 1, 2))):
        out += r.choice(RARE_MIDDLES + w.SYLLABLE_VOWELS) + r.choice(w.SYLLABLE_STARTS + w.SYLLABLE_ENDS)
    out += r.choice(RARE_ENDS)
    return out[0].upper() + out[1:]


def or_coined(pool: list[str], share: float = 0.2) -> Maker:
    return lambda r: coined(r) if r.random() < share else r.choice(pool)


def person(r: Random) -> str:
    first = r.choice(w.FEMALE + w.MALE) if r.random() < 0.85 else coined(r)
    if r.random() < 0.3:
        return f"{first} {r.choice(w.SURNAMES) if r.random() < 0.8 else coined(r)}"
    return first


def date(r: Random) -> str:
    day, month, year = r.randint(1, 28), r.choice(w.MONTHS), r.randint(1850, 2030)
    return r.choice((f"{day} {month} {year}", f"{day} {month} {year}", f"{day} {month}", f"{month} {day}", f"{month} {day}, {year}"))


def clock(r: Random) -> str:
    return f"{r.randint(5, 23)}:{r.choice(('00', '15', '30', '45', '10', '20', '50', '05'))}"


LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"


def code(r: Random) -> str:
    """Mixed codes of three to seven signs: K7Q2, BX-204, 4F91, TR-58-K."""
    shape = r.choice(("L9L9", "LL-999", "9L99", "LL99", "L-999", "L99-L", "999L", "LLL9", "LL9L9", "99-LL", "L9-L99", "9999-L"))
    return "".join(r.choice(LETTERS) if s == "L" else r.choice("0123456789") if s == "9" else s for s in shape)


def pin(r: Random) -> str:
    return "".join(r.choice("0123456789") for _ in range(r.choice((3, 4, 4, 4, 5, 6))))


def money(r: Random) -> str:
    return r.choice((f"{r.randint(3, 950)} euros", f"${r.randint(3, 950)}", f"{r.randint(2, 99)}.{r.choice(('50', '20', '75', '99'))} euros", f"{r.randint(2, 90)} dollars"))


def population(r: Random) -> str:
    return r.choice((f"{r.randint(1, 99)},{r.randint(0, 999):03}", str(r.randint(200, 9999))))


def measure(unit: str, low: int, high: int) -> Maker:
    return lambda r: f"{r.randint(low, high)} {unit}"


year = number(1700, 2029)
town = or_coined(w.TOWNS)
colour, thing, month, weekday = pick(w.COLOURS), pick(w.THINGS), pick(w.MONTHS), pick(w.DAYS)


@dataclass(frozen=True)
class Attribute:
    value: Maker
    phrases: tuple[str, ...]
    sentences: tuple[str, ...]
    questions: tuple[str, ...]


@dataclass(frozen=True)
class Kind:
    """name: maker of entity names; pronoun: None for people (by first name); weight: how often it appears."""

    name: Maker
    pronoun: str | None
    weight: float
    attributes: dict[str, Attribute]


def A(value: Maker, phrases: str, sentences: str, questions: str) -> Attribute:
    split = lambda text: tuple(x.strip() for x in text.split("|") if x.strip())
    return Attribute(value, split(phrases), split(sentences), split(questions))


KINDS: dict[str, Kind] = {
    "person": Kind(person, None, 5, {
        "age": A(number(6, 98), "is {v} years old | turned {v} this year", "The age of {e} is {v}. | {e} is now {v} years of age.", "How old is {e}? | What is the age of {e}? | What is {e}'s age?"),
        "job": A(pick(w.JOBS), "works as a {v} | is a {v} | earns a living as a {v}", "By profession, {e} is a {v}. | {e}'s job is that of a {v}.", "What is the job of {e}? | What does {e} do for a living? | What is {e}'s job? | What does {e} work as?"),
        "home": A(town, "lives in {v} | has a house in {v} | moved to {v}", "The home of {e} is in {v}.", "Where does {e} live? | In which town does {e} live? | Where is the home of {e}?"),
        "origin": A(town, "was born in {v} | comes from {v}", "The birthplace of {e} is {v}.", "Where was {e} born? | What is the birthplace of {e}? | Where does {e} come from?"),
        "birthday": A(date, "was born on {v} | has a birthday on {v}", "{e}'s birthday is {v}. | The birthday of {e} is on {v}.", "When was {e} born? | When is {e}'s birthday? | What is the birthday of {e}?"),
        "phone": A(pin, "can be reached at extension {v} | has the phone number {v}", "The phone number of {e} is {v}. | {e}'s phone number is {v}. | To call {e}, dial {v}.", "What is the phone number of {e}? | What is {e}'s phone number? | Which number reaches {e}?"),
        "badge": A(code, "wears badge {v} | was given the badge {v}", "The badge of {e} is {v}. | {e}'s badge code is {v}.", "What is the badge code of {e}? | Which badge does {e} wear? | What is {e}'s badge?"),
        "password": A(or_coined(w.ANIMALS, 0.3), "uses the password {v}", "The password of {e} is {v}. | {e}'s password is {v}.", "What is the password of {e}? | What is {e}'s password? | Which password does {e} use?"),
        "room": A(number(1, 450), "works in room {v} | sleeps in room {v}", "The room of {e} is number {v}. | {e}'s room is {v}.", "Which room is {e} in? | What is the room of {e}? | What is {e}'s room number?"),
        "colour": A(colour, "likes the colour {v} best | loves the colour {v}", "The favourite colour of {e} is {v}. | {e}'s favourite colour is {v}.", "What is the favourite colour of {e}? | What is {e}'s favourite colour? | Which colour does {e} like best?"),
        "pet": A(or_coined(w.ANIMALS, 0.15), "keeps a {v} as a pet | owns a {v}", "The pet of {e} is a {v}.", "What pet does {e} have? | What is the pet of {e}? | Which pet does {e} keep?"),
        "food": A(pick(w.FOODS), "likes to eat {v} | cannot live without {v}", "The favourite food of {e} is {v}.", "What does {e} like to eat? | What is the favourite food of {e}? | What is {e}'s favourite food?"),
        "instrument": A(pick(w.INSTRUMENTS), "plays the {v} | is learning the {v}", "The instrument of {e} is the {v}.", "What instrument does {e} play? | Which instrument does {e} play?"),
        "sport": A(pick(w.SPORTS), "is fond of {v} | is very good at {v}", "The sport of {e} is {v}. | {e}'s favourite sport is {v}.", "What is the sport of {e}? | What is {e}'s favourite sport? | Which sport is {e} good at?"),
        "language": A(pick(w.LANGUAGES), "speaks {v} | is learning {v} | teaches {v}", "The language of {e} is {v}.", "What language does {e} speak? | Which language does {e} speak?"),
        "spouse": A(person, "is married to {v}", "{e}'s partner is {v}. | The partner of {e} is called {v}.", "Who is {e} married to? | Who is the partner of {e}? | Who is {e}'s partner?"),
        "friend": A(person, "is a close friend of {v}", "The best friend of {e} is {v}. | {e}'s best friend is {v}.", "Who is the best friend of {e}? | Who is {e}'s best friend?"),
        "boss": A(person, "reports to {v} | works for {v}", "The boss of {e} is {v}. | {e}'s boss is {v}.", "Who is the boss of {e}? | Who does {e} work for? | Who is {e}'s boss?"),
        "car": A(colour, "drives a {v} car | has a {v} car", "The car of {e} is {v}. | {e}'s car is {v}.", "What colour is the car of {e}? | What colour is {e}'s car?"),
        "locker": A(code, "has locker {v}", "The locker of {e} is {v}. | {e}'s locker is marked {v}.", "Which locker does {e} have? | What is the locker of {e}?"),
    }),
    "town": Kind(town, "It", 1.6, {
        "population": A(population, "has {v} inhabitants | is home to {v} people", "The population of {e} is {v}.", "How many people live in {e}? | What is the population of {e}? | How many inhabitants does {e} have?"),
        "mayor": A(person, "is governed by {v} | has elected {v} as mayor", "The mayor of {e} is {v}. | {e}'s mayor is {v}.", "Who is the mayor of {e}? | What is the name of {e}'s mayor?"),
        "founded": A(year, "was founded in {v} | goes back to the year {v}", "The year of the founding of {e} is {v}.", "When was {e} founded? | In which year was {e} founded?"),
        "river": A(or_coined(w.RIVERS), "lies on the river {v} | was built by the river {v}", "The river that flows through {e} is the {v}. | Through {e} flows the river {v}.", "Which river flows through {e}? | What is the river of {e}? | On which river does {e} lie?"),
        "market": A(weekday, "holds its market on {v}", "The market in {e} is held on {v}. | Market day in {e} is {v}.", "On which day is the market in {e}? | When is market day in {e}?"),
        "known": A(pick(w.CARGO, w.FOODS), "is known for its {v} | sells a great deal of {v}", "The people of {e} make {v}.", "What is {e} known for? | What does {e} sell?"),
        "postcode": A(code, "has the postcode {v}", "The postcode of {e} is {v}. | {e}'s postcode is {v}.", "What is the postcode of {e}? | What is {e}'s postcode?"),
    }),
    "ship": Kind(lambda r: "the " + or_coined(w.SHIPS)(r), "It", 1.2, {
        "captain": A(person, "sails under captain {v} | is commanded by {v}", "The captain of {e} is {v}.", "Who is the captain of {e}? | Who commands {e}?"),
        "cargo": A(pick(w.CARGO), "carries {v} | is loaded with {v}", "The cargo of {e} is {v}.", "What is the cargo of {e}? | What does {e} carry?"),
        "port": A(town, "sailed to {v} | is bound for {v}", "The home port of {e} is {v}. | The port of {e} is {v}.", "What is the port of {e}? | Where is {e} bound for? | Where did {e} sail to?"),
        "built": A(year, "was built in {v}", "The building of {e} was finished in {v}.", "When was {e} built? | In which year was {e} built?"),
        "crew": A(number(4, 240), "has a crew of {v} | carries {v} sailors", "The crew of {e} counts {v}.", "How large is the crew of {e}? | How many sailors does {e} have?"),
        "callsign": A(code, "answers to the call sign {v}", "The call sign of {e} is {v}.", "What is the call sign of {e}?"),
        "length": A(measure("metres", 8, 190), "is {v} long", "The length of {e} is {v}.", "How long is {e}? | What is the length of {e}?"),
    }),
    "project": Kind(lambda r: "project " + or_coined(w.PLANETS)(r), "It", 1.4, {
        "leader": A(person, "is led by {v} | is in the hands of {v}", "The leader of {e} is {v}. | The person in charge of {e} is {v}.", "Who leads {e}? | Who is the leader of {e}? | Who is in charge of {e}?"),
        "deadline": A(date, "must be finished by {v} | is due on {v}", "The deadline of {e} is {v}. | The deadline for {e} is {v}.", "When is {e} due? | What is the deadline of {e}? | What is the deadline for {e}?"),
        "budget": A(money, "has a budget of {v} | costs {v}", "The budget of {e} is {v}.", "What is the budget of {e}? | How much does {e} cost?"),
        "code": A(code, "is filed under the code {v}", "The code of {e} is {v}. | The access code for {e} is {v}.", "What is the code of {e}? | What is the access code for {e}?"),
        "meeting": A(clock, "has its meeting at {v}", "The meeting of {e} begins at {v}. | The meeting about {e} is at {v}.", "When is the meeting of {e}? | At what time is the meeting about {e}?"),
        "room": A(number(1, 450), "meets in room {v}", "The room of {e} is {v}.", "In which room does {e} meet? | What is the room of {e}?"),
        "team": A(number(2, 60), "has {v} members", "The team of {e} counts {v} people.", "How many members does {e} have? | How many people are in the team of {e}?"),
    }),
    "shop": Kind(lambda r: f"the {r.choice(w.BUSINESSES)} in {r.choice(w.STREETS)} Street", "It", 1.2, {
        "owner": A(person, "belongs to {v} | is run by {v}", "The owner of {e} is {v}.", "Who owns {e}? | Who is the owner of {e}? | Who runs {e}?"),
        "opens": A(clock, "opens at {v}", "The doors of {e} open at {v}.", "When does {e} open? | At what time does {e} open?"),
        "closes": A(clock, "closes at {v}", "The doors of {e} close at {v}.", "When does {e} close? | At what time does {e} close?"),
        "closed": A(weekday, "stays closed on {v}", "On {v}, {e} is closed.", "On which day is {e} closed?"),
        "founded": A(year, "was founded in {v} | opened its doors in {v}", "", "When was {e} founded? | In which year was {e} founded?"),
        "phone": A(pin, "has the phone number {v}", "The phone number of {e} is {v}.", "What is the phone number of {e}?"),
        "door": A(colour, "has a {v} door", "The door of {e} is {v}.", "What colour is the door of {e}? | What is the colour of the door of {e}?"),
    }),
    "thing": Kind(lambda r: f"the {r.choice(w.COLOURS) if r.random() < 0.6 else r.choice(w.MATERIALS)} {r.choice(w.THINGS)}", "It", 1.6, {
        "price": A(money, "costs {v} | was sold for {v}", "The price of {e} is {v}.", "How much does {e} cost? | What is the price of {e}?"),
        "serial": A(code, "bears the serial number {v} | is marked {v}", "The serial number of {e} is {v}. | The code of {e} is {v}.", "What is the serial number of {e}? | What is the code of {e}? | How is {e} marked?"),
        "owner": A(person, "belongs to {v} | was a gift from {v}", "The owner of {e} is {v}.", "Who owns {e}? | Who is the owner of {e}? | Whose is {e}?"),
        "place": A(lambda r: r.choice(("kitchen", "cellar", "garden", "office", "garage", "bedroom", "hall", "attic", "library", "kitchen cupboard", "barn", "school", "tower", "shed", "church")), "is kept in the {v} | stands in the {v} | was left in the {v}", "You can find {e} in the {v}.", "Where is {e}? | Where is {e} kept? | Where can I find {e}?"),
        "weight": A(measure("grams", 20, 990), "weighs {v}", "The weight of {e} is {v}.", "How much does {e} weigh? | What is the weight of {e}?"),
        "made": A(year, "was made in {v} | dates from {v}", "", "When was {e} made? | From which year is {e}?"),
        "maker": A(or_coined(w.SURNAMES, 0.4), "was made by {v}", "The maker of {e} is {v}.", "Who made {e}? | Who is the maker of {e}?"),
    }),
    "train": Kind(lambda r: f"the train to {town(r)}", "It", 0.9, {
        "platform": A(number(1, 29), "leaves from platform {v}", "The platform of {e} is {v}.", "From which platform does {e} leave? | What is the platform of {e}?"),
        "leaves": A(clock, "leaves at {v} | departs at {v}", "The departure of {e} is at {v}.", "When does {e} leave? | At what time does {e} depart?"),
        "number": A(code, "has the number {v}", "The number of {e} is {v}.", "What is the number of {e}?"),
        "fare": A(money, "costs {v} | has a fare of {v}", "The fare for {e} is {v}.", "What is the fare for {e}? | How much does {e} cost?"),
        "driver": A(person, "is driven by {v}", "The driver of {e} is {v}.", "Who drives {e}? | Who is the driver of {e}?"),
        "delay": A(measure("minutes", 2, 90), "is late by {v}", "The delay of {e} is {v}.", "How late is {e}? | What is the delay of {e}?"),
    }),
    "parcel": Kind(lambda r: f"{r.choice(('parcel', 'order', 'box', 'file', 'crate'))} {r.randint(1, 99)}", "It", 1.2, {
        "recipient": A(person, "is addressed to {v} | goes to {v}", "The person who will receive {e} is {v}.", "Who will receive {e}? | Who does {e} go to? | Who is {e} addressed to?"),
        "content": A(pick(w.CARGO, w.FOODS), "contains {v} | is full of {v}", "Inside {e} there is {v}.", "What does {e} contain? | What is inside {e}?"),
        "weight": A(measure("kilos", 2, 95), "weighs {v}", "The weight of {e} is {v}.", "How much does {e} weigh? | What is the weight of {e}?"),
        "arrival": A(date, "will arrive on {v} | was delivered on {v}", "The delivery of {e} is on {v}.", "When will {e} arrive? | When is the delivery of {e}?"),
        "code": A(code, "carries the code {v} | was sealed with the code {v}", "The code of {e} is {v}.", "What is the code of {e}? | Which code does {e} carry?"),
        "origin": A(town, "was sent from {v} | comes from {v}", "The origin of {e} is {v}.", "Where was {e} sent from? | Where does {e} come from?"),
    }),
    "book": Kind(lambda r: f"the book \"{r.choice(('The', 'A', 'My', 'One'))} {r.choice(w.COLOURS + ['Last', 'First', 'Lost', 'Old', 'New']).capitalize()} {r.choice(w.THINGS + w.ANIMALS + w.TREES).capitalize()}\"", "It", 0.7, {
        "author": A(person, "was written by {v}", "The author of {e} is {v}.", "Who wrote {e}? | Who is the author of {e}?"),
        "pages": A(number(40, 980), "has {v} pages", "The number of pages in {e} is {v}.", "How many pages does {e} have?"),
        "year": A(year, "was printed in {v} | appeared in {v}", "", "When did {e} appear? | In which year was {e} printed?"),
        "shelf": A(code, "stands on shelf {v}", "The shelf of {e} is {v}.", "On which shelf is {e}? | What is the shelf of {e}?"),
        "price": A(money, "costs {v}", "The price of {e} is {v}.", "How much does {e} cost? | What is the price of {e}?"),
    }),
    "animal": Kind(lambda r: f"the {r.choice(w.ANIMALS)} {coined(r) if r.random() < 0.5 else r.choice(w.PLANETS)}", "It", 0.8, {
        "age": A(number(1, 40), "is {v} years old", "The age of {e} is {v}.", "How old is {e}? | What is the age of {e}?"),
        "food": A(pick(w.FOODS), "likes to eat {v} | eats {v} every day", "The favourite food of {e} is {v}.", "What does {e} eat? | What is the favourite food of {e}?"),
        "keeper": A(person, "is cared for by {v}", "The keeper of {e} is {v}.", "Who cares for {e}? | Who is the keeper of {e}?"),
        "weight": A(measure("kilos", 1, 400), "weighs {v}", "The weight of {e} is {v}.", "How much does {e} weigh? | What is the weight of {e}?"),
        "tag": A(code, "wears the tag {v}", "The tag of {e} is {v}.", "What is the tag of {e}? | Which tag does {e} wear?"),
    }),
    "event": Kind(lambda r: f"the {r.choice(('concert', 'meeting', 'wedding', 'party', 'exam', 'fair', 'lecture', 'race', 'dinner', 'festival'))} in {town(r)}", "It", 1.2, {
        "date": A(date, "takes place on {v} | will be held on {v}", "The date of {e} is {v}.", "When is {e}? | What is the date of {e}? | When does {e} take place?"),
        "time": A(clock, "starts at {v} | begins at {v}", "The start of {e} is at {v}.", "At what time does {e} start? | At what time does {e} begin?"),
        "price": A(money, "costs {v} a person", "A ticket for {e} costs {v}. | The price of {e} is {v}.", "How much does {e} cost? | How much is a ticket for {e}?"),
        "guests": A(number(5, 900), "expects {v} guests", "The number of guests at {e} is {v}.", "How many guests are expected at {e}? | How many guests does {e} expect?"),
        "host": A(person, "is organised by {v}", "The host of {e} is {v}.", "Who is the host of {e}? | Who organised {e}?"),
        "code": A(code, "has the entry code {v}", "The entry code for {e} is {v}.", "What is the entry code for {e}?"),
    }),
    "place": Kind(lambda r: r.choice((f"the {r.choice(w.TREES)} gate", f"the {r.choice(w.COLOURS)} tower", f"the {r.choice(w.COLOURS)} house", f"the {r.choice(('north', 'south', 'east', 'west'))} {r.choice(('gate', 'wing', 'bridge', 'tower', 'door'))}", f"laboratory {r.randint(1, 40)}", f"room {r.randint(1, 400)}", "the old mill", "the castle", "the safe", "the cellar", "the lighthouse", "the office", "the workshop")), "It", 1.4, {
        "code": A(lambda r: code(r) if r.random() < 0.6 else pin(r), "opens with the code {v} | is locked with the code {v}", "The code of {e} is {v}. | The code for {e} is {v}. | The secret code of {e} is {v}.", "What is the code of {e}? | What is the code for {e}? | Which code opens {e}?"),
        "height": A(measure("metres", 2, 190), "is {v} high", "The height of {e} is {v}.", "How high is {e}? | What is the height of {e}?"),
        "guard": A(person, "is guarded by {v}", "The guard of {e} is {v}. | The person who keeps the key to {e} is {v}.", "Who guards {e}? | Who keeps the key to {e}?"),
        "built": A(year, "was built in {v}", "The building of {e} was finished in {v}.", "When was {e} built? | In which year was {e} built?"),
        "material": A(pick(w.MATERIALS), "is made of {v}", "The walls of {e} are made of {v}.", "What is {e} made of?"),
    }),
}



# Loose notes, as people write them: "The wifi code is QZ-8841. My hotel is called Miramare."
NOTE_THINGS = """wifi printer alarm garage kitchen office garden hotel bank school gate door safe server laptop phone car boat
bicycle cellar archive library pool parking membership customer invoice ticket order flight train guest staff project
backup router website email gas water heating insurance passport booking lab shed studio""".split()
NOTE_EVENTS = """report lunch dinner breakfast meeting flight lesson exam concert invoice rent application party delivery
appointment inspection call interview tour show match bus ferry parcel repair visit talk class review""".split()
NOTE_NAMES = "hotel cat dog boat teacher neighbour office restaurant company band team street school farm doctor dentist horse manager landlord club".split()


def note_word(pool: list[str]) -> Maker:
    return lambda r: (coined(r).lower() if r.random() < 0.2 else r.choice(w.MATERIALS + w.COLOURS + w.PLANETS) + " " + r.choice(pool) if r.random() < 0.2 else r.choice(pool))


def secret(r: Random) -> str:
    """A password or code of any look: BX-204, 4821, Falcon92, Thubel."""
    return r.choice((code, code, pin, coined, lambda r: coined(r) + pin(r)[:2], lambda r: r.choice(w.SHIPS + w.PLANETS) + pin(r)[:2], lambda r: r.choice(w.ANIMALS)))(r)


EVENT: Maker = lambda r: r.choice(("the ", "the ", "my ", "our ")) + note_word(NOTE_EVENTS)(r)
EVENT_ATTRIBUTES = {
    "price": A(money, "costs {v} | cost me {v}", "I paid {v} for {e}.", "How much does {e} cost? | How much did {e} cost? | What is the price of {e}?"),
    "place": A(or_coined(w.TOWNS, 0.4), "is in {v} | takes place in {v}", "", "Where is {e}?"),
}

KINDS |= {
    "code note": Kind(lambda r: f"the {note_word(NOTE_THINGS)(r)} {r.choice(('code', 'code', 'password', 'number', 'key'))}", None, 1.0, {
        "is": A(secret, "is {v} | is now {v} | has been changed to {v}", "Use {v} as {e}. | We set {e} to {v}.", "What is {e}?"),
    }),
    "time note": Kind(EVENT, "It", 0.6, {
        "time": A(clock, "is at {v} | starts at {v} | leaves at {v} | is served at {v}", "", "When is {e}? | At what time is {e}? | When does {e} start? | When does {e} leave?"),
    } | EVENT_ATTRIBUTES),
    "date note": Kind(EVENT, "It", 0.6, {
        "due": A(date, "is due on {v} | was moved to {v} | is planned for {v} | is on {v}", "", "When is {e}? | When is {e} due? | On which date is {e}?"),
    } | EVENT_ATTRIBUTES),
    "name note": Kind(lambda r: r.choice(("the ", "my ", "our ", "the ")) + note_word(NOTE_NAMES)(r), None, 1.0, {
        "name": A(lambda r: coined(r) if r.random() < 0.4 else f"{coined(r)} {coined(r)}" if r.random() < 0.3 else person(r), "is called {v} | has the name {v}", "The name of {e} is {v}. | They call {e} {v}.", "What is {e} called? | What is the name of {e}?"),
        "who": A(person, "belongs to {v}", "", "Who does {e} belong to?"),
    }),
}

ABSENT = "The document does not say."
