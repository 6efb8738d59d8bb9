"""Everyday clauses, and questions about each of their parts: who, what, when, where, how long, how much, why.

`world.py` has fixed sentences for fixed attributes. Here a clause is put together from a verb, what it is done to, who does it and when, where, for how
much or with whom, in the active or the passive, in the past, the present or the future, and each part can be asked for in either voice. So a model must
find the clause by its words and copy the part that the question word asks for, whatever the subject is.
"""

from dataclasses import dataclass, field
from random import Random
from typing import Callable

import words as w
import world

Maker = Callable[[Random], str]


def split(text: str) -> list[str]:
    return [x.strip() for x in text.split("|")]


@dataclass(frozen=True)
class Noun:
    """`said` as it is first mentioned ("a blue vase", "the bridge at Corwen"), `asked` as a question calls it ("the vase", "the bridge")."""

    said: str
    asked: str
    plural: bool = False
    person: bool = False
    pronoun: str | None = None
    colour: str | None = None


@dataclass(frozen=True)
class Statement:
    text: str
    questions: list[tuple[str, str]]
    unanswered: list[str] = field(default_factory=list)  # questions about the same clause whose answer is not in it
    marks: frozenset[str] = frozenset()  # what no other statement of a document may be about
    leaves: "tuple[Statement, ...]" = ()  # the clauses that it was put together from


def together(text: str, leaves: "list[Statement]") -> Statement:
    """Several statements as one."""
    return Statement(text, [q for c in leaves for q in c.questions], [q for c in leaves for q in c.unanswered], frozenset().union(*(c.marks for c in leaves)), tuple(leaves))


# base | third person | past | participle
def forms(text: str) -> list[tuple[str, str, str, str]]:
    out = []
    for entry in split(text):
        parts = entry.split()
        if len(parts) == 1:
            base = parts[0]
            past = base + "d" if base.endswith("e") else base[:-1] + "ied" if base.endswith("y") and base[-2] not in "aeiou" else base + "ed"
            third = base + "es" if base.endswith(("s", "sh", "ch", "x", "o")) else base[:-1] + "ies" if base.endswith("y") and base[-2] not in "aeiou" else base + "s"
            out.append((base, third, past, past))
        else:
            base, past, participle = parts if len(parts) == 3 else (*parts, parts[1])
            third = "has" if base == "have" else base + "es" if base.endswith(("s", "sh", "ch", "x", "o")) else base + "s"
            out.append((base, third, past, participle))
    return out


@dataclass(frozen=True)
class Theme:
    verbs: list[tuple[str, str, str, str]]
    things: list[str]  # bare nouns; a plural one begins with *
    adjuncts: list[str]
    forces: list[str] = field(default_factory=list)  # subjects that are no people


T = lambda verbs, things, adjuncts, forces="": Theme(forms(verbs), split(things), adjuncts.split(), split(forces) if forces else [])
THEMES = [
    T("design | build built | finish | open | repair | restore | paint | buy bought | sell sold | visit | rebuild rebuilt | inspect | close | measure | draw drew drawn | photograph | improve",
      "bridge | mill | church | tower | school | station | town hall | lighthouse | theatre | castle | wall | tunnel | barn | chapel | windmill | fountain | hospital | farm | cottage | inn | stable | factory | canal | market hall | gate | dam | pier | monument | palace | hut | temple",
      "when when when where price duration", ""),
    T("destroy | damage | ruin | flood | bury buried | burn | cover", "mill | bridge | barn | harbour | village | orchard | roof of the church | *crops | *fields | old road | boathouse | railway | *cottages | wine cellar",
      "when when when where", "a flood | a fire | a storm | an earthquake | a fallen tree | the lightning | a landslide | heavy snow | the war | an avalanche"),
    T("buy bought | sell sold | find found | lose lost | hide hid hidden | steal stole stolen | break broke broken | clean | choose chose chosen | order | forget forgot forgotten | pack | leave left | drop | mend | borrow | paint | admire | throw threw thrown | photograph | wash | keep kept | examine | polish",
      "vase | lamp | watch | necklace | saddle | mirror | violin | carpet | suitcase | hat | painting | statue | cup | *shoes | *gloves | teapot | map | telescope | blanket | sword | purse | pen | tent | *skis | rug | *spoons | jacket | basket | kite | compass | diary | medal | ring | bicycle | typewriter | doll | drum | candle | helmet | scarf | shovel | flag | globe | crown",
      "when where price from colour with"),
    T("bake | cook | bring brought | order | make made | serve | prepare | burn | taste | deliver | eat ate eaten", "*cakes | bread | soup | pie | *biscuits | stew | breakfast | supper | *sandwiches | pizza | jam | omelette | *dumplings | birthday cake | salad | roast | pudding | *sausages | curry | *noodles",
      "when where for with price"),
    T("organise | plan | cancel | open | hold held | postpone | lead led | record | watch | announce", "summer fair | concert | meeting | flower show | race | auction | wedding | exhibition | quiz | picnic | dance | book sale | parade | tournament | lecture | excursion | harvest festival | training course | play | workshop | blood drive | reunion",
      "when when where with reason"),
    T("write wrote written | sign | send sent | copy | translate | print | publish | deliver | read read | post | type | receive | correct | lose lost | burn | file | check", "letter | report | contract | invitation | poem | novel | *invoices | diary | recipe | telegram | will | article | speech | postcard | *minutes | treaty | guidebook | newsletter | petition | *certificates | cookbook | manual | timetable",
      "when to where duration from"),
    T("feed fed | buy bought | sell sold | find found | ride rode ridden | wash | train | rescue | walk | adopt | shear sheared | weigh | paint | chase", "dog | pony | *hens | *lambs | cat | donkey | camel | *bees | calf | parrot | seal | hedgehog | bull | *geese | swan | foal | turtle | kitten",
      "when where price with from"),
    T("plant | water | cut cut | pick | grow grew grown | sell sold | sow sowed sown", "apple tree | *roses | *tulips | hedge | *pumpkins | vineyard | *beans | *cherries | lawn | oak | *herbs | *strawberries | *sunflowers | *turnips | orchard",
      "when where with for"),
    T("repair | paint | check | replace | install | fix | test | order | rent | remove | oil | switch switched", "roof | fence | boat | engine | heating | lift | pump | *brakes | printer | *windows | boiler | kitchen sink | dishwasher | alarm | front door | telephone | radio mast | *lights | cable | tractor | stage | scoreboard | projector | coffee machine | air conditioner",
      "when where price duration with"),
    T("discover | map | explore | photograph | describe | name | study | paint | draw drew drawn | cross | reach", "island | cave | comet | volcano | glacier | lake | river mouth | ruin | waterfall | desert | reef | crater | pass | coast | rare orchid | new beetle | tomb | shipwreck",
      "when when duration with"),
    T("compose | perform | record | sing sang sung | play | teach taught | learn | invent | conduct", "song | symphony | dance | opera | lullaby | card trick | waltz | hymn | new game | march | overture | melody | film music",
      "when where for with duration"),
    T("keep kept | hold held | have had | guard | collect | carry | manage | lock", "key to the shed | *keys of the office | list of guests | *tickets | spare key | *coins | *stamps | club's money | *passports | first-aid box | cash box | *uniforms | *costumes | account book | members' list | microphone | *tools | *trophies",
      "where when"),
]

PLACES = split("the canteen | the library | the harbour | the town hall | the museum | the garden | the kitchen | the gym | the airport | the main square | the old market | the cellar | the park | the village hall | the attic | the lobby | the theatre | the barn | the post office | the north wing | the lecture hall | the church | the school | the hotel bar | the conference room | the ferry terminal | the beach | the sports ground | the court | the reading room | the bus station | the city hospital | the workshop")
DURATIONS = split("days | weeks | months | years | hours")
REASONS = split("the rain | a strike | the heat | an accident | the snow | the fog | a broken pipe | illness | a power cut | the storm | the elections | a funeral | the high cost | bad weather | a lack of money | the holidays | roadworks")
FOR = split("the guests | the children | the party | the club | the winter | the festival | her sister | his mother | the neighbours | the king | the workers | the bride | the choir | the museum | the fair")
ROLES = split("mayor | manager | cook | captain | librarian | treasurer | secretary | headmaster | gardener | caretaker | chairman | porter | director | teacher | nurse | priest | blacksmith | postman | architect | goalkeeper | landlady | foreman | editor | ambassador | president | deputy | referee | accountant | vet | dentist | producer | tenant | office manager | project manager | tour guide | choir leader | head nurse | sales director | shop steward | safety officer | receptionist | chief engineer | stage manager | class teacher | team leader")
GROUPS = split("the children | the volunteers | the monks | two students | the neighbours | the villagers | three soldiers | the choir | the brothers | some fishermen | the parents | the committee | the players | a group of farmers | the scouts")
NUMBER_WORDS = split("two | three | four | five | six | seven | eight | nine | ten | eleven | twelve | fifteen | twenty | thirty")


def surname(r: Random) -> str:
    return r.choice(w.SURNAMES) if r.random() < 0.4 else world.coined(r)


def first(r: Random) -> tuple[str, str | None]:
    if r.random() < 0.3:
        return world.coined(r), None
    return (r.choice(w.FEMALE), "She") if r.random() < 0.5 else (r.choice(w.MALE), "He")


def person(r: Random, roles: bool = True) -> Noun:
    x = r.random()
    if x < 0.35:
        name, pronoun = first(r)
        return Noun(name, name, person=True, pronoun=pronoun)
    if x < 0.6:
        name, pronoun = first(r)
        return Noun(full := f"{name} {surname(r)}", full if r.random() < 0.7 else name, person=True, pronoun=pronoun)
    if x < 0.75:
        title, pronoun = r.choice((("Mr.", "He"), ("Mrs.", "She"), ("Ms.", "She"), ("Dr.", None), ("Captain", None), ("Professor", None), ("Aunt", "She"), ("Uncle", "He")))
        name = f"{title} {r.choice(w.FEMALE if title == 'Aunt' else w.MALE) if title in ('Aunt', 'Uncle') else surname(r)}"
        return Noun(name, name, person=True, pronoun=pronoun)
    if not roles or x < 0.85:
        name = f"{world.coined(r)} {world.coined(r)}"
        return Noun(name, name, person=True)
    if x < 0.95:
        name = r.choice(("the ", "the ", "our ", "the new ")) + r.choice(ROLES)
        return Noun(name, "the " + name.split(" ", 1)[1].removeprefix("new "), person=True)
    return Noun(group := r.choice(GROUPS), group, plural=True, person=True)


MODIFIERS = split("old | new | small | large | heavy | famous | broken | second | wooden | beautiful | first | tall | little | long | cheap | strange | lost | missing | early | modern")


def thing(r: Random, theme: Theme) -> Noun:
    bare = r.choice(theme.things)
    plural, bare = bare.startswith("*"), bare.removeprefix("*")
    colour = r.choice(w.COLOURS) if "colour" in theme.adjuncts and r.random() < 0.4 else None
    adjective = None if colour or r.random() < 0.7 else r.choice(MODIFIERS)
    asked = f"the {bare}"
    noun = f"{colour or adjective} {bare}" if colour or adjective else bare
    if r.random() < 0.35 and not plural and " of " not in bare and " to " not in bare:
        said = ("an " if noun[0] in "aeiou" else "a ") + noun
    else:
        said = r.choice(("the ", "the ", "the ", "his ", "her ", "my ", "our ", "their ")) + noun
    if "where" in theme.adjuncts and r.random() < 0.12 and said.startswith("the "):
        said += r.choice((" at ", " of ", " in ", " near ")) + place_name(r)
    if adjective and r.random() < 0.4:
        asked = f"the {noun}"
    return Noun(said, asked, plural, colour=colour)


def place_name(r: Random) -> str:
    return r.choice(w.TOWNS) if r.random() < 0.4 else world.coined(r)


def day(r: Random) -> str:
    return r.choice((f"{r.choice(w.DAYS)} {r.randint(1, 31)} {r.choice(w.MONTHS)}", f"{r.randint(1, 31)} {r.choice(w.MONTHS)}", f"{r.randint(1, 31)} {r.choice(w.MONTHS)}", f"{r.choice(w.MONTHS)} {r.randint(1, 31)}", f"{r.randint(1, 28)} {r.choice(w.MONTHS)} {r.randint(1850, 2030)}"))


# An adjunct: text in the sentence, answer, question words. What a question asks of an active clause is "{wh} did {s} {v} {o}".
Adjunct = tuple[str, str, list[str]]


def hour(r: Random) -> str:
    """A time of day as people write it."""
    if r.random() < 0.65:
        return world.clock(r)
    return r.choice((f"{r.randint(1, 12)}{r.choice((' ', ''))}{r.choice(('am', 'pm'))}", f"{r.randint(1, 12)}.{r.choice(('15', '30', '45'))}{r.choice(('am', 'pm'))}", f"{r.randint(1, 12)}.{r.choice(('15', '30', '45'))} {r.choice(('am', 'pm'))}", "noon", "midnight", f"{r.randint(1, 12)} o'clock", f"half past {r.choice(NUMBER_WORDS[:9])}", f"{r.randint(1, 12)}:{r.choice(('00', '15', '30', '45'))} {r.choice(('am', 'pm'))}"))


def when(r: Random, past: bool) -> Adjunct:
    x = r.random()
    if x < 0.3:
        value = str(r.randint(1400, 2025)) if past else str(r.randint(2026, 2060))
        return f"in {value}", value, ["When", "When", "In which year", "In what year"]
    if x < 0.6:
        return f"on {(value := day(r))}", value, ["When", "When", "On which date", "On what day"]
    if x < 0.75:
        return f"at {(value := hour(r))}", value, ["When", "At what time", "At what time"]
    if x < 0.88:
        return f"on {(value := r.choice(w.DAYS))}", value, ["When", "On which day", "On what day"]
    return f"in {(value := r.choice(w.MONTHS))}", value, ["When", "In which month"]


def where(r: Random) -> Adjunct:
    if r.random() < 0.5:
        return f"{r.choice(('in', 'in', 'near', 'at'))} {(value := place_name(r))}", value, ["Where", "Where", "In which town"]
    value = r.choice(PLACES)
    return f"{r.choice(('in', 'at', 'behind', 'in front of', 'next to', 'in'))} {value}", value, ["Where"]


def money(r: Random) -> str:
    return world.money(r) if r.random() < 0.6 else r.choice((f"£{r.randint(2, 900)}", f"£{r.randint(1, 90)}.{r.choice(('50', '99', '20'))}", f"£{r.randint(1, 9)},{r.randint(100, 999)}", f"{r.randint(2, 90)} pounds"))


def price(r: Random) -> Adjunct:
    return f"for {(value := money(r))}", value, ["For how much", "For what price"]


def source(r: Random) -> Adjunct:
    if r.random() < 0.6:
        value = person(r, False).said
        return f"from {value}", value, ["From whom"]
    value = r.choice((f"a shop in {place_name(r)}", "the market", "the museum", "a neighbour", "the bank", "an old sailor", "a dealer"))
    return f"from {value}", value, ["From whom" if value.startswith(("a n", "an ", "a d")) else "From where"]


def target(r: Random) -> Adjunct:
    value = person(r, False).said if r.random() < 0.7 else r.choice(("the mayor", "the bank", "the insurance company", "the court", "the newspaper", "the king", "the members", "the school board"))
    return f"to {value}", value, ["To whom"]


def company(r: Random) -> Adjunct:
    value = person(r, False).said if r.random() < 0.7 else r.choice(("his brother", "her friends", "a neighbour", "two helpers", "the pupils", "his son", "her team"))
    return f"with {value}", value, ["With whom"]


def duration(r: Random) -> Adjunct:
    count = r.choice(NUMBER_WORDS) if r.random() < 0.5 else str(r.randint(2, 60))
    value = f"{count} {r.choice(DURATIONS)}"
    return f"for {value}", f"{value}", ["For how long"]


def reason(r: Random) -> Adjunct:
    value = r.choice(REASONS)
    return f"because of {value}", value, ["Why"]


def beneficiary(r: Random) -> Adjunct:
    value = r.choice(FOR) if r.random() < 0.6 else person(r, False).said
    return f"for {value}", value, ["For whom"]


MAKERS: dict[str, Callable[[Random], Adjunct]] = {"where": where, "price": price, "from": source, "to": target, "with": company, "reason": reason, "for": beneficiary}
# The verbs that an adjunct goes with, where it does not go with all.
VERBS_OF = {
    "duration": "build rebuild restore paint repair study write draw translate teach perform explore rent record".split(),
    "price": "buy sell order rent".split(),
    "from": "buy order rent borrow steal receive".split(),
}
WHS = {"when": "When", "where": "Where", "price": "For how much", "from": "From whom", "to": "To whom", "with": "With whom", "reason": "Why", "for": "For whom", "duration": "For how long"}


def up(text: str) -> str:
    return text[:1].upper() + text[1:]


# How often a clause is in the passive, by what is known; "person first" opens a story about a person.
PASSIVE = {"": 0.45, "thing": 0.8, "person": 0.0, "person first": 0.0}


def clause(r: Random, theme: Theme | None = None, verb: tuple[str, str, str, str] | None = None, o: Noun | None = None, s: Noun | None = None, known: str = "") -> Statement:
    """One clause with its questions, of what is not given drawn anew. `known` is "thing" or "person" when the sentence before has named it, so that a pronoun may."""
    theme = theme or r.choice(THEMES)
    base, third, past, participle = verb or r.choice(theme.verbs)
    o = o or thing(r, theme)
    if s is None:
        force = r.choice(theme.forces) if theme.forces else None
        s = person(r) if force is None else Noun(force, "the " + force.split(" ", 1)[1] if force.startswith(("a ", "an ")) else force)
    it = "they" if o.plural else "it"
    subject_text = s.said if known != "person" else r.choice((s.pronoun.lower() if s.pronoun else s.said, s.said))
    passive = r.random() < PASSIVE[known]
    agent = not passive or r.random() < 0.6
    keeping = theme is THEMES[-1]
    tense = "past" if theme.forces else "present" if keeping and r.random() < 0.8 else r.choices(("past", "future"), (4, 1))[0]

    kinds: list[str] = []
    wanted = r.choices((0, 1, 2, 3), (1, 5, 3, 1))[0] if agent else r.choice((1, 1, 2))
    for kind in r.sample(theme.adjuncts, min(wanted, len(theme.adjuncts))):
        if kind not in kinds and kind != "colour" and base in VERBS_OF.get(kind, (base,)):
            kinds.append(kind)
    if "duration" in kinds and "when" in kinds:
        kinds.remove("duration")
    if passive and not agent and not kinds:
        kinds = ["when"]
    if tense == "present":
        kinds = [k for k in kinds if k == "where"]
        agent = agent or not kinds
    adjuncts = {k: when(r, tense == "past") if k == "when" else duration(r) if k == "duration" else MAKERS[k](r) for k in kinds}

    # The sentence.
    be, was = ("are", "were") if o.plural else ("is", "was")
    do_s = "do" if s.plural else "does"
    if passive:
        verb = {"past": f"{was} {participle}", "future": f"will be {participle}", "present": f"{be} {participle}"}[tense]
        core = f"{r.choice((it, o.asked)) if known == 'thing' else o.said} {verb}" + (f" by {s.said}" if agent else "")
    else:
        verb = {"past": past, "future": f"will {base}", "present": base if s.plural else third}[tense]
        core = f"{subject_text} {verb} {r.choice(('them' if o.plural else 'it', o.asked)) if known == 'thing' else o.said}"
    tail = [a[0] for a in adjuncts.values()]
    fronts = [a[0] for k, a in adjuncts.items() if k in ("when", "where")]
    if fronts and r.random() < 0.25:
        front = r.choice(fronts)
        tail.remove(front)
        text = up(front) + r.choice((" ", ", ")) + core
    else:
        text = up(core)
    age = None
    if agent and s.person and not s.plural and s.said[0].isupper() and r.random() < 0.06 and passive and not tail:
        age = str(r.randint(14, 92))
        text += r.choice((f", who was only {age} years old", f", who was {age} years old at the time", f", aged {age}", f", then {age} years old"))
    text += "".join(" " + t for t in tail) + r.choice((".", ".", ".", ".", "!") if tense == "past" else (".",))

    # Its questions, in either voice.
    questions: list[tuple[str, str]] = []
    thing_asked, who_asked = o.asked, s.asked

    def about(wh: str) -> str:
        wh_passive = {"past": f"{wh} {was} {thing_asked} {participle}?", "future": f"{wh} will {thing_asked} be {participle}?", "present": f"{wh} {be} {thing_asked} {participle}?"}[tense]
        wh_active = {"past": f"{wh} did {who_asked} {base} {thing_asked}?", "future": f"{wh} will {who_asked} {base} {thing_asked}?", "present": f"{wh} {do_s} {who_asked} {base} {thing_asked}?"}[tense]
        return wh_active if agent and r.random() < (0.25 if passive else 0.75) else wh_passive

    for k, (_, answer, whs) in adjuncts.items():
        wh = r.choice(whs)
        if k == "price" and r.random() < 0.6:
            questions.append((f"How much did {thing_asked} cost?" if r.random() < 0.6 or not agent or base != "buy" else f"How much did {who_asked} pay for {thing_asked}?", answer))
        elif k in ("from", "to", "with", "for") and wh.endswith("whom") and agent and r.random() < 0.6:
            preposition = wh.split()[0].lower()
            middle = {"past": f"did {who_asked} {base}", "future": f"will {who_asked} {base}", "present": f"{do_s} {who_asked} {base}"}[tense]
            questions.append((f"Who {middle} {thing_asked} {preposition}?", answer))
        elif k == "duration" and r.random() < 0.6:
            questions.append((about("How long"), answer))
        else:
            questions.append((about(wh), answer))
    if agent:
        wh = "Who" if s.person else "What"
        forms_of = {"past": past, "future": f"will {base}", "present": third}[tense]
        by = {"past": f"{was} {thing_asked} {participle}", "future": f"will {thing_asked} be {participle}", "present": f"{be} {thing_asked} {participle}"}[tense]
        questions.append((r.choice((f"{wh} {forms_of} {thing_asked}?", f"{wh} {forms_of} {thing_asked}?", f"{wh} {forms_of} {thing_asked}?", f"{'By whom' if s.person else 'By what'} {by}?", f"{wh} {by} by?")), s.said))
        if r.random() < 0.5 and known != "thing":
            what = {"past": f"did {who_asked} {base}", "future": f"will {who_asked} {base}", "present": f"{do_s} {who_asked} {base}"}[tense]
            questions.append((f"What {what}?", o.said))
    if o.colour and known != "thing":
        questions.append((f"What colour {be if r.random() < 0.6 else was} {thing_asked}?", o.colour))
    if age:
        questions.append((r.choice((f"How old was {who_asked}?", f"How old was {who_asked} at the time?", f"What was the age of {who_asked}?")), age))
    if theme.forces and "when" in adjuncts and r.random() < 0.4:
        questions.append((f"When was {who_asked}?", adjuncts["when"][1]))
    missing = [k for k in WHS if k not in kinds and k in theme.adjuncts and not (k == "duration" and "when" in kinds)]
    unanswered = [about(WHS[k]) for k in missing if k in ("when", "where", "reason", "with")]
    if not agent:
        unanswered.append({"past": f"Who {past} {thing_asked}?", "future": f"Who will {base} {thing_asked}?", "present": f"Who {third} {thing_asked}?"}[tense])
    return Statement(text, questions, unanswered, frozenset({o.asked.removeprefix("the "), who_asked}))


def story(r: Random) -> Statement:
    """Two or three clauses about one thing, or about one person, which the later ones may name by a pronoun."""
    theme = r.choice(THEMES)
    verbs = r.sample(theme.verbs, r.choice((2, 2, 3)))
    if theme.forces or r.random() < 0.5:
        o = thing(r, theme)
        while o.said.startswith(("his", "her", "their")):
            o = thing(r, theme)
        told = [clause(r, theme, verb, o, known="thing" if i else "") for i, verb in enumerate(verbs)]
    else:
        s = person(r, False)
        told = [clause(r, theme, verbs[0], s=s, known="person first")]
        for _ in verbs[1:]:
            told.append(clause(r, r.choice([t for t in THEMES if not t.forces and t is not theme]), s=s, known="person"))
    return together(" ".join(c.text for c in told), told)
