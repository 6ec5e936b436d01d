"""A seeded generator of conversations: facts among small talk, and questions whose answers are stated once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rnnprog.latent.conversations import Conversation, Question, Turn
from rnnprog.latent.errors import LatentError

_NAMES = ("ana", "ben", "cleo", "dan", "eva", "finn", "gina", "hugo", "iris", "jon", "kim", "leo")
_VALUES = {
    "pet": "dog cat fish parrot rabbit hamster turtle horse snake goat duck lizard",
    "city": "paris rome oslo lima cairo tokyo delhi quito berlin madrid dublin seoul",
    "food": "pizza soup rice pasta salad curry bread sushi tacos cake stew noodles",
    "job": "nurse baker pilot teacher lawyer farmer painter doctor driver singer judge writer",
    "sport": "tennis golf rugby chess boxing rowing hockey judo surfing cricket archery karate",
    "car": "fiat ford honda tesla volvo audi jeep mazda skoda lada kia saab",
}
_TEMPLATES = {
    "pet": ("i have a {v} at home", "my pet is a {v}"),
    "city": ("i live in {v} now", "my home town is {v}"),
    "food": ("i love to eat {v}", "my favourite food is {v}"),
    "job": ("i work as a {v}", "my job is {v}"),
    "sport": ("i play {v} every week", "my sport is {v}"),
    "car": ("i drive a {v}", "my car is a {v}"),
}
_SMALL_TALK = (
    "how are you today",
    "the weather is nice",
    "it rains again",
    "i am a bit tired",
    "that is so funny",
    "see you soon then",
    "what a long week",
    "i slept well last night",
    "tell me more about it",
    "yes i think so too",
    "no way really",
    "we should meet again",
    "time goes by so fast",
    "i need some coffee",
)
UNKNOWN = "unknown"


@dataclass(frozen=True)
class World:
    """How large the made-up world is and how long a conversation lasts.

    ``names`` people, ``attributes`` properties with ``values`` possible values each; a conversation has ``turns``
    turns in ``sessions`` sessions, ``facts`` of them state a fact, each asked about once.

    >>> talk = World().conversation(7)
    >>> len(talk.turns), len(talk.questions)
    (40, 8)
    >>> talk == World().conversation(7)
    True
    """

    names: int = 12
    attributes: int = 6
    values: int = 12
    turns: int = 40
    facts: int = 8
    sessions: int = 4

    def __post_init__(self) -> None:
        limits = (("names", 2, 12), ("attributes", 1, 6), ("values", 2, 12), ("sessions", 1, self.turns))
        for name, low, high in limits:
            if not low <= getattr(self, name) <= high:
                raise LatentError(f"{name}={getattr(self, name)} is outside {low}..{high}")
        if not 1 <= self.facts <= min(self.turns, 2 * self.attributes):
            raise LatentError(f"facts={self.facts}: needs 1..{min(self.turns, 2 * self.attributes)} in this world")

    def conversation(self, seed: int) -> Conversation:
        """The conversation of this seed: two people, facts at random places, small talk elsewhere."""
        random = np.random.default_rng(seed)
        people = [_NAMES[index] for index in random.choice(self.names, 2, replace=False)]
        pairs = [(who, what) for who in people for what in self.attribute_names]
        stated = [pairs[index] for index in random.choice(len(pairs), self.facts, replace=False)]
        places = sorted(random.choice(self.turns, self.facts, replace=False).tolist())
        facts = dict(zip(places, stated, strict=True))
        turns, questions = [], []
        for place in range(self.turns):
            session = 1 + place * self.sessions // self.turns
            if place in facts:
                who, what = facts[place]
                value = _one_of(self.values_of(what), random)
                text = _one_of(_TEMPLATES[what], random).format(v=value)
                questions.append(Question(f"what {what} does {who} have ?", value, (place,)))
            else:
                who, text = _one_of(people, random), _one_of(_SMALL_TALK, random)
            turns.append(Turn(who, text, session, f"D{session}:{place + 1}"))
        return Conversation(f"synthetic-{seed}", tuple(turns), tuple(questions))

    def conversations(self, count: int, seed: int) -> list[Conversation]:
        """``count`` conversations; different ``seed`` ranges never share one as long as they are 1e6 apart."""
        return [self.conversation(seed * 1_000_000 + index) for index in range(count)]

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """What one can know about a person."""
        return tuple(_VALUES)[: self.attributes]

    def values_of(self, attribute: str) -> list[str]:
        """Possible values of an attribute."""
        return _VALUES[attribute].split()[: self.values]

    @property
    def chance(self) -> float:
        """Token F1 of a blind guess among the values."""
        return 1.0 / self.values

    def vocabulary(self) -> list[str]:
        """Every word of this world, in a fixed order."""
        words = [*_NAMES[: self.names], UNKNOWN, "what", "does", "have", "question", "context", ":", "?", "."]
        for what in self.attribute_names:
            words += [what, *self.values_of(what), *" ".join(_TEMPLATES[what]).replace("{v}", "").split()]
        for line in _SMALL_TALK:
            words += line.split()
        return list(dict.fromkeys(words))


def _one_of(options: Sequence[str], random: np.random.Generator) -> str:
    """What ``random.choice`` draws, from the same stream, without making an array of the options first."""
    return options[int(random.integers(len(options)))]
