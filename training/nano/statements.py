"""Statements of everyday documents, each with questions about it: clauses of `clauses.py`, and the things that notes are made of, such as measures, appointments,
roles, prices, opening times, amounts, places, calls, results and careers.
"""

from random import Random
from typing import Callable

import words as w
import world
from clauses import clause, day, hour, MODIFIERS, money, NUMBER_WORDS, person, place_name, PLACES, ROLES, split, Statement, story, together, up, when

UNITS = {"long": "metres | kilometres | miles | feet | centimetres", "high": "metres | feet | floors", "wide": "metres | feet", "deep": "metres | feet", "tall": "metres | centimetres | feet", "old": "years"}
BUILT = split("bridge | tower | tunnel | wall | church | lighthouse | canal | ship | pier | statue | dam | hall | road | mast | street | garden | mine | well | ditch | river | fjord | trail | runway | reef | gorge | pyramid | column")
PARTS = split("floors | rooms | windows | seats | pages | bells | arches | members | beds | tables | rooms | shelves | steps | towers | doors | chapters | players | passengers | teachers | pupils | employees | bedrooms | parking spaces | lifts | cabins | wheels | engines | strings")
HOLDERS = split("hotel | school | library | bus | ferry | club | theatre | castle | orchestra | book | team | village | hospital | museum | company | camp | restaurant | office | train | choir | barn | palace | station | stadium | flat | cinema")
EVENTS = split("lunch | dinner | breakfast | the flight | the flight home | the ferry | the meeting | the next meeting | the match | the show | the bus to the airport | the lesson | the interview | the exam | the tour | the film | the summer fair | the night train | the service | the auction | the first shift | the yoga class | the debate | the fireworks | the workshop | the guided walk | the board meeting | the concert | the night bus | the opera | the briefing | the seminar")
GOING = [("leaves", "leave"), ("starts", "start"), ("begins", "begin"), ("ends", "end"), ("arrives", "arrive"), ("departs", "depart"), ("is", ""), ("takes place", "take place"), ("will be held", "held"), ("is served", "served"), ("opens", "open"), ("closes", "close"), ("was", ""), ("is planned", "planned"), ("is due", "due")]
WHICH = split("quarterly | annual | weekly | monthly | final | second | third | spring | autumn | winter | evening | morning | afternoon | last | big | new | daily | public | extra | early | late")
NUMBERED = split("room | table | seat | gate | locker | flight | bus | house | platform | cabin | bed | desk | box | flat | ward | lane | booth | pitch | invoice | case | policy | account | shirt | ticket")
COSTLY = split("tent | boat | hall | ticket | room | repair | dress | bus | stage | piano | trip | course | van | cake | cabin | licence | tour | projector | fee | coat | garage | sauna | guide | parking space | membership | wifi | breakfast | taxi")
COSTS = split("to rent | a day | a week | a month | to repair | for the weekend | per person | with breakfast | in total | each year | this season | for members")


def count(r: Random) -> str:
    return r.choice(NUMBER_WORDS) if r.random() < 0.35 else str(r.randint(2, 950))


def measure(r: Random) -> Statement:
    adjective = r.choice(list(UNITS))
    noun = r.choice(BUILT)
    value = f"{r.randint(2, 950)} {r.choice(split(UNITS[adjective]))}"
    where_ = f" {r.choice(('at', 'of', 'in'))} {place_name(r)}" if r.random() < 0.25 else ""
    be = r.choice(("is", "is", "was"))
    more = r.choice(("", "", "", " today", f" and {r.choice(('very', 'quite', 'rather'))} {r.choice(MODIFIERS[:8])}", " in all"))
    return Statement(f"The {noun}{where_} {be} {value} {adjective}{more}.", [(f"How {adjective} {r.choice((be, 'is'))} the {noun}?", value)], [], frozenset({noun}))


def parts(r: Random) -> Statement:
    holder, part, value = r.choice(HOLDERS), r.choice(PARTS), count(r)
    the = r.choice(("the", "the", "our", "the new"))
    if r.random() < 0.6:
        return Statement(f"{up(the)} {holder} {r.choice(('has', 'has', 'has about', 'had'))} {value} {part}.", [(r.choice((f"How many {part} does the {holder} have?", f"How many {part} are there in the {holder}?", f"How many {part} has the {holder}?")), value)], [f"How many {r.choice([p for p in PARTS if p != part])} does the {holder} have?"], frozenset({holder}))
    return Statement(f"There {r.choice(('are', 'are', 'were'))} {value} {part} in {the} {holder}.", [(r.choice((f"How many {part} are there in the {holder}?", f"How many {part} are in the {holder}?")), value)], [], frozenset({holder}))


def appointment(r: Random) -> Statement:
    """When and where something is: several adjuncts, each asked alone."""
    event = r.choice(EVENTS)
    plain = event
    if event.startswith("the ") and r.random() < 0.45:
        plain = event.removesuffix(" home").removesuffix(" to the airport").replace("the next ", "the ").replace("the first ", "the ").replace("the summer ", "the ").replace("the night ", "the ").replace("the board ", "the ").replace("the guided ", "the ")
        if plain == event:
            event = event.replace("the ", f"{r.choice(('the', 'the', 'my', 'our'))} {r.choice(WHICH)} ", 1)
    verb, base = r.choice(GOING)
    day_, at, place = day(r) if r.random() < 0.6 else r.choice(w.DAYS), hour(r), r.choice(PLACES) if r.random() < 0.6 else place_name(r)
    which = r.choice(("d", "t", "dt", "p", "tp", "dp", "dtp", "t", "d"))
    text = f"{event} {verb}" + (f" on {day_}" if "d" in which else "") + (f" at {at}" if "t" in which else "") + (f" in {place}" if "p" in which else "")
    asked = plain if " " in plain or r.random() < 0.7 else f"the {plain}"

    def ask(wh: str) -> str:
        if base == "" or (base not in ("end", "arrive", "open", "close") and r.random() < 0.2):
            return f"{wh} {'was' if verb == 'was' else 'is'} {asked}?"
        if verb.startswith("is "):
            return f"{wh} is {asked} {base}?"
        if verb.startswith("will"):
            return f"{wh} will {asked} be held?"
        return f"{wh} does {asked} {base}?"

    questions = []
    if "d" in which:
        questions.append((ask(r.choice(("When", "On which day", "On what date") if day_ not in w.DAYS else ("When", "On which day"))) if which != "dt" or r.random() < 0.5 else ask("On which day"), day_))
    if "t" in which:
        questions.append((ask("At what time" if "d" in which else r.choice(("When", "At what time"))), at))
    if "p" in which:
        questions.append((ask("Where"), place))
    unanswered = [ask("Where")] if "p" not in which else []
    return Statement(up(text) + ".", questions, unanswered, frozenset({plain.removeprefix("the ")}))


def role(r: Random) -> Statement:
    who, name = r.choice(ROLES), person(r, False)
    of = f" of {r.choice(HOLDERS)}".replace(" of ", " of the ") if r.random() < 0.3 else ""
    the = r.choice(("The", "Our", "The new", "My", "Their"))
    text = r.choice((f"{the} {who}{of} is {name.said}.", f"{name.said} is the {who}{of}.", f"{the} {who}{of} is called {name.said}.", f"{the} {who}{of}, {name.said}, was there, too.", f"{name.said} became {who}{of} in {r.randint(1900, 2025)}."))
    questions = [(r.choice((f"Who is the {who}?", f"Who is the {who}{of}?", f"What is the name of the {who}?", f"What is the {who} called?") if "became" not in text else (f"Who became {who}?", f"Who is the {who}?")), name.said)]
    return Statement(text, questions, [], frozenset({who, name.asked}))


def numbered(r: Random) -> Statement:
    noun = r.choice(NUMBERED)
    value = r.choice((world.pin, world.code, lambda r: str(r.randint(1, 400))))(r)
    mine = r.choice(("my", "our", "his", "her", "the"))
    text = r.choice((f"{mine} {noun} is {value}", f"{mine} {noun} has the number {value}", f"{mine} {noun} number is {value}", f"the number of {mine} {noun} is {value}", f"{mine} {noun} is number {value}"))
    return Statement(up(text) + ".", [(r.choice((f"What is the {noun} number?", f"What is the number of the {noun}?", f"Which number does the {noun} have?")), value)], [], frozenset({noun}))


def cost(r: Random) -> Statement:
    noun, value = r.choice(COSTLY), money(r)
    past = r.random() < 0.3
    which = f"{r.choice(WHICH)} " if r.random() < 0.2 else ""
    text = f"{r.choice(('The', 'The', 'The', 'My', 'Our'))} {which}{noun} {'cost' if past else 'costs'} {value}" + (f" {r.choice(COSTS)}" if r.random() < 0.6 else "") + "."
    return Statement(text, [(f"How much {'did' if past else 'does'} the {noun} cost?" if r.random() < 0.7 else f"What {'did' if past else 'does'} the {noun} cost?", value)], [], frozenset({noun}))


def life(r: Random) -> Statement:
    """Where somebody went, was born, lives, studied."""
    p = person(r, False)
    place = place_name(r)
    is_year = r.random() < 0.5
    value = str(r.randint(1500, 2020)) if is_year else day(r)
    at = f"in {value}" if is_year else f"on {value}"
    base, past = r.choice((("arrive in", "arrived in"), ("die in", "died in"), ("leave", "left"), ("grow up in", "grew up in"), ("study in", "studied in"), ("retire to", "retired to"), ("move to", "moved to"), ("return to", "returned to"), ("settle in", "settled in"), ("go to", "went to"), ("be born in", "was born in")))
    with_time = r.random() < 0.7
    text = f"{p.said} {past} {place}" + (f" {at}" if with_time else "") + "."
    words = base.split()
    if base.startswith("be "):
        where_q, when_q = f"Where was {p.asked} born?", f"When was {p.asked} born?"
    else:
        stem = " ".join(words[:-1]) if words[-1] in ("in", "to") else base
        where_q = f"Where did {p.asked} {stem}" + (" to?" if words[-1] == "to" and r.random() < 0.5 else "?") if stem != "leave" else f"Which town did {p.asked} leave?"
        when_q = r.choice((f"When did {p.asked} {base} {place}?", f"When did {p.asked} {stem}?"))
    return Statement(text, [(where_q, place)] + ([(when_q, value)] if with_time else []), [] if with_time else [when_q], frozenset({p.asked}))


STUFF = split("stone | wood | water | silk | marble | grain | coal | wine | milk | gold | sand | clay | timber | salt | glass | cloth | wool | fish | flour | ice | slate | clocks | bricks")


def origin(r: Random) -> Statement:
    what, place = r.choice(STUFF), place_name(r)
    near = r.choice((f"from {place}", f"from a {r.choice(('quarry', 'forest', 'farm', 'mine', 'lake', 'factory', 'village', 'port'))} near {place}", f"from the hills of {place}", f"from the port of {place}"))
    come = "come" if what.endswith("s") and what != "glass" else "comes"
    past = r.random() < 0.6
    text = f"The {what} {'came' if past else come} {near}."
    aux = "did" if past else "do" if come == "come" else "does"
    return Statement(text, [(f"Where {aux} the {what} come from?", place)], [], frozenset({what}))


def gathering(r: Random) -> Statement:
    names = [person(r, False).said for _ in range(r.choice((2, 3, 3, 4)))]
    text = ", ".join(names[:-1]) + " and " + names[-1]
    event = r.choice(("meeting", "dinner", "class", "rehearsal", "party", "trial"))
    return Statement(r.choice((f"Present were {text}.", f"Present at the {event} were {text}.", f"{text} were present.")), [(r.choice(("Who was present?", "Who were present?", f"Who was at the {event}?")), text)], [], frozenset({"present", event}))


def opening(r: Random) -> Statement:
    """Two times of one thing in one sentence."""
    noun = r.choice(split("shop | museum | pool | office | reception | library | kitchen | bar | market | clinic | park | gate | ticket desk | garden | restaurant | sauna | cafe | bank | workshop | surgery | gallery | zoo | breakfast room"))
    one, other = hour(r), hour(r)
    while other == one:
        other = hour(r)
    (a, q), (b, p) = r.choice(((("opens", "open"), ("closes", "close")), (("closes", "close"), ("opens", "open"))))
    days = r.choice(("", "", " every day", f" on {r.choice(w.DAYS)}s", " at the weekend", " in winter"))
    first, last = (one, other) if a == "opens" else (other, one)
    text = r.choice((f"The {noun} {a} at {one} and {b} at {other}{days}.", f"The {noun} {a} at {one} and {b} at {other}{days}.", f"The {noun} is open from {first} to {last}{days}.", f"The {noun} is open between {first} and {last}{days}."))
    if " is open " in text:
        one, q, other, p = first, "open", last, "close"
    return Statement(text, [(r.choice((f"When does the {noun} {q}?", f"At what time does the {noun} {q}?")), one), (r.choice((f"When does the {noun} {p}?", f"At what time does the {noun} {p}?")), other)], [], frozenset({noun}))


FOODSTUFF = split("flour | sugar | butter | milk | water | rice | cream | honey | salt | oil | cheese | yeast | chocolate | paint | glue | sand | soil | cement | vinegar | oats")
COUNTED = split("eggs | onions | apples | lemons | tomatoes | carrots | nails | screws | boards | potatoes | candles | ribbons | bolts | spoons of salt | cloves of garlic | stamps | photographs | copies | batteries | towels | blankets | sandwiches | tents | chairs | bottles of water")
VERB_OF_USE = split("Add | Take | Use | You need | You will need | Mix in | We need | Bring | Stir in | Buy")


def recipe(r: Random) -> Statement:
    """Amounts that are needed, and how long and how hot."""
    x = r.random()
    if x < 0.4:
        what = r.choice(FOODSTUFF)
        value = f"{r.randint(2, 900)} {r.choice(('grams', 'grams', 'millilitres', 'kilos', 'litres', 'cups', 'spoons'))}"
        return Statement(f"{r.choice(VERB_OF_USE)} {value} of {what}.", [(r.choice((f"How much {what} is needed?", f"How much {what} do you need?", f"How much {what} do I need?", f"How much {what} should I use?")), value)], [f"How much {r.choice([f for f in FOODSTUFF if f != what])} is needed?"], frozenset({what}))
    if x < 0.65:
        what, value = r.choice(COUNTED), r.choice(NUMBER_WORDS) if r.random() < 0.5 else str(r.randint(2, 90))
        bare = what.split(" of ")[0] if r.random() < 0.3 else what
        return Statement(f"{r.choice(VERB_OF_USE)} {value} {what}.", [(r.choice((f"How many {bare} are needed?", f"How many {bare} do you need?", f"How many {bare} do I need?")), value)], [], frozenset({what}))
    what, verb = r.choice(split("the cake | the bread | the pie | the dough | the stew | the glue | the paint | the clay | the fish | the soup | the potatoes | the mixture | the rice | the varnish")), r.choice(split("bake | cook | dry | rest | boil | cool | heat | stand"))
    value = f"{r.choice(NUMBER_WORDS) if r.random() < 0.3 else r.randint(2, 95)} {r.choice(('minutes', 'minutes', 'hours', 'days'))}"
    heat = f"{r.randint(4, 28) * 10} degrees"
    with_heat = verb in ("bake", "cook", "heat") and r.random() < 0.6
    text = r.choice((f"{verb} {what} for {value}", f"let {what} {verb} for {value}", f"{what} must {verb} for {value}")) + (f" at {heat}" if with_heat else "")
    questions = [(r.choice((f"How long should {what} {verb}?", f"How long must {what} {verb}?", f"How long does {what} {verb}?", f"For how long should {what} {verb}?")), value)]
    if with_heat:
        questions.append((r.choice((f"At what temperature should {what} {verb}?", "At what temperature?", "How hot should it be?")), heat))
    return Statement(up(text) + ".", questions, [], frozenset({what.removeprefix("the ")}))


KEPT = split("*spare keys | spare key | cat food | first-aid kit | torch | fuse box | ladder | vacuum cleaner | *towels | *blankets | post | rubbish bin | dog lead | remote control | *bicycles | car | *tools | toolbox | *glasses | coffee | fire extinguisher | *documents | tap | *boots | parcel | *photographs | piano | lawnmower | tent | iron | *dustbins | key | map | *seeds | water meter | *candles | washing machine | lost property office | nearest pharmacy | bus stop | car park | exit | meeting room")
SPOTS = split("the flowerpot | the cupboard | the drawer | the cellar | the shed | the garage | the kitchen | the hall | the wardrobe | the shelf | the stairs | the back door | the blue box | the fridge | the desk | the attic | the bathroom | the sink | the car park | the church | the main entrance | the second floor | the laundry room | the stove | the gate | the front desk | the library | the bakery | the bridge | the office")


def location(r: Random) -> Statement:
    what, spot = r.choice(KEPT), r.choice(SPOTS)
    plural, what = what.startswith("*"), what.removeprefix("*")
    be = "are" if plural else "is"
    verb = r.choice((be, be, f"{be} kept", f"{be} stored", "hang" if plural else "hangs", "stand" if plural else "stands"))
    return Statement(f"{r.choice(('The', 'The', 'My', 'Our'))} {what} {verb} {r.choice(('in', 'under', 'behind', 'next to', 'on', 'beside', 'near', 'above', 'opposite'))} {spot}.", [(r.choice((f"Where {be} the {what}?", f"Where {be} the {what}?", f"Where can I find the {what}?", f"Where {be} the {what} kept?")), spot)], [], frozenset({what}))


def contact(r: Random) -> Statement:
    name = person(r, False).said
    number = " ".join("".join(r.choice("0123456789") for _ in range(n)) for n in r.choice(((3, 4), (4, 3, 3), (5, 6), (2, 3, 4))))
    why = r.choice(("if the alarm rings", "for help", "in an emergency", "with questions", "if anything breaks", "to book a place", "if you are late", "for tickets"))
    text = r.choice((f"Call {name} on {number} {why}.", f"Please ring {name} on {number} {why}.", f"{up(why)}, call {name} on {number}.", f"{name} can be reached on {number}."))
    who = r.choice(("Who should I call?", f"Who should I call {why}?", "Who should be called?", "Whom should I ring?")) if "reached" not in text else f"Who can be reached on {number}?"
    return Statement(text, [(r.choice((f"What is the number of {name}?", f"What is {name}'s phone number?", f"On which number can {name} be reached?", "What is the phone number?")), number), (who, name)], [f"What is the email address of {name}?"], frozenset({"call", name}))


def contest(r: Random) -> Statement:
    """Who won, by how much, against whom."""
    one, other = person(r, False).said if r.random() < 0.5 else place_name(r), person(r, False).said if r.random() < 0.5 else place_name(r)
    score = r.choice((f"{r.randint(2, 9)}-{r.randint(0, 5)}", f"{r.randint(2, 9)} to {r.randint(0, 5)}", f"{r.randint(2, 5)}:{r.randint(0, 2)}"))
    what = r.choice(("match", "final", "race", "cup", "game", "chess tournament", "debate", "semi-final", "quiz"))
    when_ = when(r, True)
    if r.random() < 0.5:
        return Statement(f"{one} beat {other} {score} {when_[0]}.", [(f"Who beat {other}?", one), (f"Who did {one} beat?", other), (r.choice(("What was the score?", "What was the result?")), score), (f"When did {one} beat {other}?", when_[1])], [], frozenset({"score", one, other}))
    prize = r.choice((money(r), "a silver cup", "a medal", "a bicycle", "a trip to Rome", "a basket of fruit"))
    return Statement(f"{one} won the {what} {when_[0]} and received {prize}.", [(f"Who won the {what}?", one), (f"When did {one} win the {what}?", when_[1]), (r.choice((f"What did {one} receive?", "What was the prize?")), prize), (f"What did {one} win?", f"the {what}")], [], frozenset({what, one}))


RELATIVES = split("brothers | sisters | children | sons | daughters | cats | dogs | cousins | grandchildren | horses | pupils | employees")
TRADES = w.JOBS + split("beekeeper | surveyor | translator | weaver | postman | bookseller | journalist | midwife | ferryman | bus driver | watchmaker | fisherman | violinist | clockmaker | geologist | vet | electrician | museum guide | head teacher | tram driver | shepherd | potter | stonemason | diver")


def career(r: Random) -> Statement:
    """What a person works as, where and how long, what she studied, whom he married, how many children they have."""
    p = person(r, False)
    x = r.random()
    name = p.asked
    if x < 0.45:
        job, place = r.choice(TRADES), place_name(r)
        value = f"{r.choice(NUMBER_WORDS) if r.random() < 0.4 else r.randint(2, 45)} years"
        where_, long = r.random() < 0.6, r.random() < 0.5
        text = f"{p.said} {r.choice(('worked as', 'was', 'started as', 'trained as'))} {'an' if job[0] in 'aeiou' else 'a'} {job}" + (f" in {place}" if where_ else "") + (f" for {value}" if long else "") + "."
        questions = [(r.choice((f"What did {name} work as?", f"What was {name}'s job?", f"What was {name}'s profession?", f"What was the job of {name}?")), job)]
        if where_:
            questions.append((r.choice((f"Where did {name} work?", f"In which town did {name} work?")), place))
        if long:
            questions.append((f"How long did {name} work as {'an' if job[0] in 'aeiou' else 'a'} {job}?", value))
        return Statement(text, questions, [] if where_ else [f"Where did {name} work?"], frozenset({name}))
    if x < 0.7:
        other, value = person(r, False).said, r.randint(1600, 2024)
        return Statement(f"In {value} {p.said} married {other}.", [(f"When did {name} marry?", str(value)), (r.choice((f"Who did {name} marry?", f"Whom did {name} marry?")), other)], [f"Where did {name} marry?"], frozenset({name}))
    if x < 0.85:
        subject = r.choice(split("law | medicine | music | history | botany | chemistry | drawing | engineering | mathematics | Latin | architecture | geology | physics | theology"))
        place = place_name(r)
        return Statement(f"{p.said} studied {subject} in {place}.", [(f"What did {name} study?", subject), (f"Where did {name} study?", place)], [f"When did {name} study {subject}?"], frozenset({name}))
    value, kin = r.choice(NUMBER_WORDS) if r.random() < 0.7 else str(r.randint(2, 9)), r.choice(RELATIVES)
    return Statement(f"{p.said} {r.choice(('has', 'had'))} {value} {kin}.", [(r.choice((f"How many {kin} does {name} have?", f"How many {kin} did {name} have?")), value)], [f"How many {r.choice([k for k in RELATIVES if k != kin])} does {name} have?"], frozenset({name}))


LOWER = ("The ", "My ", "Our ", "His ", "Her ", "Their ", "A ", "An ", "It ", "There ", "In ", "On ", "At ", "She ", "He ", "They ", "Lunch ", "Dinner ", "Breakfast ", "Call ", "Please ", "Behind ", "Next ", "Some ", "Three ", "Two ")


def joined(r: Random) -> Statement:
    """Two statements in one sentence."""
    makers = [clause, appointment, role, measure, parts, numbered, cost, location, origin]
    one, other = r.choice(makers)(r), r.choice(makers)(r)
    while one.marks & other.marks or one.text.endswith("!") or other.text.endswith("!"):
        one, other = r.choice(makers)(r), r.choice(makers)(r)
    rest = other.text[0].lower() + other.text[1:] if other.text.startswith(LOWER) else other.text
    text = one.text.removesuffix(".") + r.choice((" and ", " and ", ", and ", "; ", ", but ", ", while ")) + rest
    return together(text, [one, other])


MAKE: list[tuple[Callable[[Random], Statement], float]] = [
    (clause, 6), (story, 3), (joined, 2.5), (appointment, 2.5), (role, 2), (measure, 1.2), (parts, 1.2), (numbered, 1.2), (cost, 1.3), (life, 1.5), (origin, 0.6), (gathering, 0.3),
    (opening, 0.8), (recipe, 1.2), (location, 1.2), (contact, 0.7), (contest, 0.7), (career, 1.6),
]


def statement(r: Random) -> Statement:
    return r.choices([m for m, _ in MAKE], [weight for _, weight in MAKE])[0](r)


SHORT = ("By whom", "By what", "With whom", "To whom", "For whom", "From whom", "At what time", "On which day", "In which town", "How much", "How long", "For how long", "How old", "Who", "Where", "When", "Why")


def short(question: str) -> str | None:
    """What is left of a question that follows up another one about the same clause: "And where?"."""
    start = next((start for start in SHORT if question.startswith(start + " ")), None)
    return f"And {start[0].lower()}{start[1:]}?" if start else None
