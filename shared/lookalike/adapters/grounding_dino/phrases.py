"""Labels of detections: from token scores to a phrase of the prompt, and from the phrase to a garment kind."""

from bisect import bisect_left

from torch import Tensor

from lookalike.adapters.grounding_dino.text import Prompt, Tokenizer

PROMPT = "shirt . jacket . coat . dress . trousers . shorts . skirt . shoes . bag . hat . scarf ."
"""The default prompt: one phrase for each garment kind, two for outerwear."""
TEXT_THRESHOLD = 0.25
"""Minimum score of a token that becomes part of the phrase: the original system's value."""
KIND_WORDS = {
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
KIND_OF_WORD = {word: kind for kind, words in KIND_WORDS.items() for word in words.split()}


def best_phrase(scores: Tensor, prompt: Prompt, tokenizer: Tokenizer, threshold: float = TEXT_THRESHOLD) -> str:
    """Return the words of the prompt's best phrase, given the scores (t,) of a query.

    These are the words above the threshold, as in `predict` of IDEA-Research/GroundingDINO with `remove_combined=True`.
    If there are none, `predict` returns an empty text and this function the whole phrase.
    """
    number = bisect_left(prompt.boundaries, int(scores.argmax()))
    before, end = prompt.boundaries[max(0, number - 1)], prompt.boundaries[number]
    phrase = join_words(scores, prompt, tokenizer, threshold, before, end)
    return phrase or join_words(scores, prompt, tokenizer, -1, before, end)


def join_words(scores: Tensor, prompt: Prompt, tokenizer: Tokenizer, threshold: float, before: int, end: int) -> str:
    """Return the words above the threshold between the token positions `before` and `end`, without these two."""
    positions = [position for position in range(before + 1, min(end, len(scores))) if scores[position] > threshold]
    return tokenizer.decode(prompt.token_ids[positions].tolist()).replace(".", "")


def garment_kind(phrase: str) -> str:
    """Return the garment kind of the phrase's last known word ("red shirt dress" is a dress), or else the phrase."""
    kinds = [KIND_OF_WORD[word] for word in phrase.split() if word in KIND_OF_WORD]
    return kinds[-1] if kinds else phrase
