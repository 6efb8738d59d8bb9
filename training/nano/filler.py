"""Filler: plain sentences that state nothing that is ever asked."""

from random import Random

import words as w

PEOPLE = ["the old man", "the children", "a young woman", "the neighbours", "my uncle", "the visitors", "a stranger", "the workers", "her sister", "his brother", "the guests", "the students", "nobody", "everyone", "a few people", "the family", "my grandmother", "the travellers"]
PLACES = ["near the river", "behind the church", "in the garden", "at the market", "on the hill", "by the sea", "along the road", "under the trees", "in the old town", "across the bridge", "at the harbour", "in the village", "by the window", "in the kitchen", "at the station", "in the forest", "at the edge of the field"]
VERBS = ["walked", "waited", "sat", "talked", "worked", "slept", "played", "sang", "stood", "rested", "laughed", "read", "stayed"]
WHEN = ["in the morning", "in the evening", "after lunch", "before sunset", "last summer", "for a long time", "until late", "every spring", "during the winter", "at night", "that day", "all afternoon", "from time to time", "once again"]
HOW = ["slowly", "quietly", "gladly", "without a word", "with great care", "as usual", "together", "in peace", "again and again", "happily"]
WEATHER = ["rain", "snow", "wind", "fog", "sunshine", "thunder"]
ADJECTIVES = ["old", "quiet", "small", "bright", "cold", "warm", "heavy", "strange", "narrow", "empty", "beautiful", "simple", "long", "soft", "dark", "clean", "famous", "ordinary"]
NOUNS = ["house", "street", "road", "door", "window", "field", "garden", "river", "hill", "story", "song", "day", "night", "wall", "roof", "path", "bridge", "village", "morning", "evening", "forest", "room", "lake", "sky"]
CROWD = ["birds", "clouds", "leaves", "boats", "flowers", "stars", "trees", "lights", "horses", "waves", "bells", "shadows", "roofs", "cows"]

PATTERNS = [
    "{People} {verb} {place} {when}.", "{People} {verb} {how} {place}.", "{When}, {people} {verb} {place}.",
    "The {noun} was {adj} and {adj2}.", "The {noun} looked {adj} {when}.", "There was {weather} {when}.",
    "The {crowd} moved {how} over the {noun}.", "{People} had seen the {adj} {noun} before.",
    "It was a {adj} {noun}, and {people} {verb} there {how}.", "Nobody knew why the {noun} was so {adj}.",
    "The {weather} came {when}, and {people} {verb} {place}.", "{People} spoke about the {weather} {when}.",
    "From the {noun} one could see the {crowd} {place}.", "The {crowd} were {adj} {when}.", "{Person} {verb} {place} {when}.",
    "{Person} and {person} {verb} {place}.", "{When}, {person} looked at the {crowd}.", "{Person} told a {adj} story about the {noun}.",
    "A {adj} {thing} lay {place}.", "{People} carried a {thing} to the {noun}.", "Some of the {crowd} could be seen {place}.",
    "In {town}, the {noun} was {adj} {when}.", "The road to {town} was {adj} because of the {weather}.",
    "{Person} wrote a letter {when}.", "People from {town} often {verb} {place}.", "It is said that the {noun} is {adj}.",
    "On {day}, {people} {verb} {place}.", "In {month}, the {crowd} are {adj}.", "There were {n} {crowd} {place}.",
    "About {n} people {verb} {place} {when}.", "The {animal} {verb} {place}.", "A {colour} {thing} was seen {place}.",
    "{People} cooked {food} {when}.", "The smell of {food} came from the {noun}.", "Perhaps the {noun} will be {adj} again.",
    "Not much happened {when}.", "The {noun} and the {noun2} were both {adj}.", "{Person} asked {people} about the {noun}.",
    "No one could say how {adj} the {noun} had been.", "Then the {crowd} were gone, and the {noun} was {adj}.",
    "The walk took longer than {people} thought.", "{People} never forgot the {adj} {noun}.", "All this was part of an ordinary {day}.",
    "The {job} {verb} {place} {how}.", "A {job} from {town} {verb} {place}.", "The {tree} {place} was {adj}.",
    "{People} closed the {noun}'s {adj} gate {how}.", "Everything else is well known.", "The rest of the story is {adj}.",
]


def up(text: str) -> str:
    return text[:1].upper() + text[1:]


def sentence(r: Random, names: list[str]) -> str:
    """One filler sentence; `names` are people of the document, so that names alone give nothing away."""
    c = r.choice
    known = c(names) if names and r.random() < 0.3 else c(w.FEMALE + w.MALE)
    people, when = c(PEOPLE), c(WHEN)
    return c(PATTERNS).format(
        People=up(people), people=people, verb=c(VERBS), place=c(PLACES), when=when, When=up(when), how=c(HOW),
        noun=c(NOUNS), noun2=c(NOUNS), adj=c(ADJECTIVES), adj2=c(ADJECTIVES), weather=c(WEATHER), crowd=c(CROWD),
        Person=known, person=c(w.FEMALE + w.MALE), thing=c(w.THINGS), town=c(w.TOWNS), day=c(w.DAYS), month=c(w.MONTHS),
        n=r.randint(2, 99), animal=c(w.ANIMALS), colour=c(w.COLOURS), food=c(w.FOODS), job=c(w.JOBS), tree=c(w.TREES))
