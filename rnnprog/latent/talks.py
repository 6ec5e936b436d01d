"""Encoded conversations: every turn through the encoder once, then any number of memories from the same latents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rnnprog.latent.backbone import Backbone, Prompts
from rnnprog.latent.bank import Bank
from rnnprog.latent.conditioning import Encoded, as_mask
from rnnprog.latent.conversations import Conversation, spoken
from rnnprog.latent.errors import EmptyConversationError
from rnnprog.latent.hebbian import Hebbian
from rnnprog.latent.model import LatentModel
from rnnprog.latent.pieces import in_pieces


@dataclass(frozen=True)
class PackedTexts:
    """Latents of many texts without padding: ``latents`` (all tokens, width), start and length of each text."""

    latents: Tensor
    starts: Tensor
    lengths: Tensor

    def gather(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """These texts padded to the longest of them, with mask; index -1 gives an empty text."""
        lengths = torch.where(index < 0, 0, self.lengths[index.clamp(min=0)])
        longest = max(1, int(lengths.max()))
        mask = as_mask(lengths, longest)
        offsets = torch.arange(longest, device=index.device)[None, :] + self.starts[index.clamp(min=0)][:, None]
        latents = self.latents[offsets.clamp(max=self.latents.shape[0] - 1)]
        return latents * mask.unsqueeze(-1), mask


def pack(backbone: Backbone, texts: Sequence[str]) -> PackedTexts:
    """Encode texts in batches of similar length, equal ones once, and keep only real tokens."""
    if not texts:
        raise EmptyConversationError("no texts to encode: pass at least one turn")
    distinct = {text: number for number, text in enumerate(dict.fromkeys(texts))}
    order: list[int] = []
    pieces, sizes = [], []
    for positions, encoded in backbone.encode_all(list(distinct)):
        order += positions
        pieces.append(encoded.latents[encoded.mask])
        sizes.append(encoded.mask.sum(1))
    flat, found = torch.cat(pieces), torch.cat(sizes)
    # Encoded by length, stored by position: the turns of a conversation must lie side by side.
    wanted = torch.tensor([distinct[text] for text in texts])
    place = torch.tensor(order).argsort()[wanted].to(found.device)
    lengths, old = found[place], (found.cumsum(0) - found)[place]
    starts = lengths.cumsum(0) - lengths
    shift = torch.repeat_interleave(old - starts, lengths)
    return PackedTexts(flat[torch.arange(len(shift), device=flat.device) + shift], starts, lengths)


@dataclass(frozen=True)
class EncodedTalks:
    """Conversations side by side: number of the first turn in ``texts`` and count of turns of each."""

    texts: PackedTexts
    first: Tensor
    counts: Tensor

    def turn(self, talks: Tensor, place: int) -> tuple[Tensor, Tensor]:
        """Turn number ``place`` of these conversations; those that are over have an empty mask."""
        index = torch.where(place < self.counts[talks], self.first[talks] + place, -1)
        return self.texts.gather(index)

    def raw(self, talks: Tensor, last: int | None = None) -> tuple[Tensor, Tensor]:
        """The latents of all turns (or the ``last`` ones) of these conversations as they are, padded."""
        begin = torch.zeros_like(self.counts[talks]) if last is None else (self.counts[talks] - last).clamp(min=0)
        first = self.texts.starts[self.first[talks] + begin]
        final = self.first[talks] + self.counts[talks] - 1
        sizes = self.texts.starts[final] + self.texts.lengths[final] - first
        return PackedTexts(self.texts.latents, first, sizes).gather(torch.arange(len(talks), device=first.device))


def encode_talks(backbone: Backbone, conversations: Sequence[Conversation], prompts: Prompts) -> EncodedTalks:
    """Every turn of every conversation through the encoder, once."""
    if not conversations:
        raise EmptyConversationError("no conversations to encode: pass at least one")
    texts = [line for talk in conversations for line in spoken(talk.turns, prompts.turn)]
    counts = torch.tensor([len(talk.turns) for talk in conversations], device=backbone.device)
    return EncodedTalks(pack(backbone, texts), counts.cumsum(0) - counts, counts)


def write_talks(model: LatentModel, talks: EncodedTalks, chosen: Tensor, *, upto: Tensor | None = None) -> Bank:
    """The banks of these conversations after their last turn, or after ``upto`` turns each (gradients if trained)."""
    counts = talks.counts[chosen] if upto is None else torch.minimum(upto, talks.counts[chosen])
    bank = model.empty(len(chosen))
    for place in range(int(counts.max())):
        latents, mask = talks.turn(chosen, place)
        bank = model.write(bank, latents, mask & (place < counts)[:, None])
    return bank


def final_banks(model: LatentModel, talks: EncodedTalks, *, upto: Tensor | None = None) -> Bank:
    """The bank of every conversation after its last turn, or after ``upto`` turns each, without gradients.

    What does not fit into the device's memory is halved, with a warning; raises ``BankError`` for one not finite.
    """
    everyone = torch.arange(len(talks.counts), device=talks.counts.device)

    def work(piece: slice) -> list[Bank]:
        with torch.no_grad():
            heard = None if upto is None else upto[piece]
            return write_talks(model, talks, everyone[piece], upto=heard).apart()

    return Bank.joined(in_pieces(len(everyone), 256, work, "conversations")).checked()


def outer_products(rule: Hebbian, talks: EncodedTalks, chosen: Tensor) -> Tensor:
    """Decayed sums of outer products, (conversations, width, width): all that unclamped Hebbian training needs."""
    outer = torch.zeros(len(chosen), rule.width, rule.width, device=talks.counts.device)
    for place in range(int(talks.counts[chosen].max())):
        outer = rule.outer_step(outer, *talks.turn(chosen, place))
    return outer


@dataclass(frozen=True)
class EncodedQuestions:
    """Questions ready for batches: ``owner`` (questions,) is the conversation of each, ``labels`` its gold answer."""

    owner: Tensor
    texts: PackedTexts
    ids: Tensor
    labels: Tensor

    def batch(self, index: Tensor) -> tuple[Encoded, Tensor]:
        """These questions and their labels, padded no more than they need."""
        latents, mask = self.texts.gather(index)
        labels = self.labels[index]
        longest = int((labels >= 0).sum(1).max())
        return Encoded(self.ids[index][:, : latents.shape[1]], mask, latents), labels[:, :longest]

    def __len__(self) -> int:
        return int(self.owner.shape[0])


def encode_questions(backbone: Backbone, conversations: Sequence[Conversation], prompts: Prompts) -> EncodedQuestions:
    """Every question of every conversation, encoded once (the encoder is frozen, so its output is a constant)."""
    owners = [place for place, talk in enumerate(conversations) for _ in talk.questions]
    questions = [question for talk in conversations for question in talk.questions]
    if not questions:
        raise EmptyConversationError("these conversations have no questions: nothing to train on or to ask")
    texts = [prompts.question.format(text=question.text) for question in questions]
    place_of = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    where = torch.tensor([place_of[text] for text in texts], device=backbone.device)
    packed = pack(backbone, list(place_of))
    ids, _ = backbone.tokens(list(place_of))
    return EncodedQuestions(
        torch.tensor(owners, device=backbone.device),
        PackedTexts(packed.latents, packed.starts[where], packed.lengths[where]),
        ids[where],
        backbone.labels([question.answer for question in questions]),
    )
