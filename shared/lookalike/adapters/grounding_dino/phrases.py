"""Which words of the prompt a score names, and which garment kind that is."""

from bisect import bisect_left

from torch import Tensor

from lookalike.adapters.grounding_dino.text import Prompt, Words

PROMPT = "shirt . jacket . coat . dress . trousers . shorts . skirt . shoes . bag . hat . scarf ."
"""A phrase a garment kind, two for outerwear."""
TEXT_THRESHOLD = 0.25
KINDS = {
    "top": "top shirt t-shirt tee blouse sweater sweatshirt hoodie jumper vest polo bodysuit",
    "outerwear": "outerwear jacket coat blazer cardigan cape parka suit anorak",
    "dress": "dress gown romper jumpsuit swimsuit swimwear",
    "trousers": "trousers pants jeans leggings chinos joggers",
    "shorts": "shorts",
    "skirt": "skirt",
    "shoes": "shoes shoe boots boot sneakers sandals heels pumps loafers flats trainers footwear",
    "bag": "bag handbag purse backpack wallet tote clutch",
    "hat": "hat cap beanie beret headwear",
    "scarf": "scarf shawl",
}
KIND_OF = {word: kind for kind, words in KINDS.items() for word in words.split()}


def best_phrase(scores: Tensor, prompt: Prompt, words: Words, threshold: float = TEXT_THRESHOLD) -> str:
    """The words with scores (t,) above the threshold, of the one phrase with the best; all of it where none is good enough.

    As GroundingDINO's own `predict` has it with `remove_combined=True`, but that it says nothing then.
    """
    number = bisect_left(prompt.ends, int(scores.argmax()))
    before, end = prompt.ends[max(0, number - 1)], prompt.ends[number]
    return joined(scores, prompt, words, threshold, before, end) or joined(scores, prompt, words, -1, before, end)


def joined(scores: Tensor, prompt: Prompt, words: Words, threshold: float, before: int, end: int) -> str:
    """Of the pieces between two places, both left out."""
    chosen = [place for place in range(before + 1, min(end, len(scores))) if scores[place] > threshold]
    return words.decode(prompt.ids[chosen].tolist()).replace(".", "")


def label(found: str) -> str:
    """The garment kind that a phrase speaks of, or else the phrase."""
    kinds = [KIND_OF[word] for word in found.split() if word in KIND_OF]
    return kinds[-1] if kinds else found
