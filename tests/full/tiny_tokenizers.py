"""Tokenizers of the library's own classes, trained on a few words on the spot."""

import string
from pathlib import Path
from typing import Any

import sentencepiece
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import CLIPTokenizerFast, GemmaTokenizerFast, SiglipTokenizer
from transformers.convert_slow_tokenizer import SpmConverter

SENTENCES = [
    "a red summer dress of wool",
    "black leather boots with a zip",
    "the blue shirt with a white collar",
    "green trousers, and a hat!",
    "a photo of 2 winter coats & bags",
    "T-shirt: 50% off",
] * 20
START, END = "<|startoftext|>", "<|endoftext|>"


def clip_tokenizer(folder: Path) -> CLIPTokenizerFast:
    """Train the byte pair encoding of CLIP."""
    trained = Tokenizer(models.BPE(unk_token=END, end_of_word_suffix="</w>"))
    trained.normalizer = normalizers.Lowercase()
    trained.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=700, initial_alphabet=alphabet, end_of_word_suffix="</w>", show_progress=False
    )
    trained.train_from_iterator(SENTENCES, trainer)
    vocabulary = trained.get_vocab()
    # each byte also exists as the end of a word, and the special tokens have the highest numbers, as in OpenAI's file
    for token in [*(f"{byte}</w>" for byte in alphabet), START, END]:
        vocabulary.setdefault(token, len(vocabulary))
    trained.model.save(str(folder))
    merges = (folder / "merges.txt").read_text().splitlines()[1:]
    (folder / "merges.txt").unlink()
    (folder / "vocab.json").unlink()
    pairs = [tuple(line.split(" ")) for line in merges]
    return CLIPTokenizerFast(tokenizer_object=_clip_backend(vocabulary, pairs))


def _clip_backend(vocabulary: dict[str, int], merges: list[Any]) -> Tokenizer:
    """Return what `CLIPConverter` of transformers makes of vocabulary and merges."""
    backend = Tokenizer(models.BPE(vocabulary, merges, end_of_word_suffix="</w>", unk_token=END))
    backend.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    pattern = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    ends = [(token, vocabulary[token]) for token in (END, START)]
    backend.post_processor = processors.RobertaProcessing(*ends, add_prefix_space=False, trim_offsets=False)
    return backend


def siglip_tokenizer(folder: Path) -> SiglipTokenizer:
    """Train the sentence pieces of SigLIP, whose tokenizer is Python code, and write `tokenizer.json` for it."""
    text = folder / "sentences.txt"
    text.write_text("\n".join(SENTENCES))
    sentencepiece.SentencePieceTrainer.train(
        input=str(text),
        model_prefix=str(folder / "spiece"),
        vocab_size=100,
        model_type="unigram",
        **{"pad_id": -1, "bos_id": -1, "eos_id": 1, "unk_id": 2},
        hard_vocab_limit=False,
        minloglevel=2,
    )
    tokenizer = SiglipTokenizer(str(folder / "spiece.model"))
    _SiglipConverter(tokenizer).converted().save(str(folder / "tokenizer.json"))
    return tokenizer


class _SiglipConverter(SpmConverter):
    """Converts the sentence pieces. As exporters do, the result removes neither case nor punctuation."""

    def post_processor(self) -> Any:
        ends = [("</s>", self.original_tokenizer.eos_token_id)]
        return processors.TemplateProcessing(single=["$A", "</s>"], pair=["$A", "$B", "</s>"], special_tokens=ends)


def gemma_tokenizer() -> GemmaTokenizerFast:
    """Train byte pairs as Gemma has them, with an end token and no start token, as SigLIP 2 uses them."""
    backend = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    backend.normalizer = normalizers.Replace(" ", "▁")
    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=[*special, *(f"<0x{byte:02X}>" for byte in range(256))],
        initial_alphabet=list(string.printable.strip()),
        show_progress=False,
    )
    backend.train_from_iterator([sentence.lower() for sentence in SENTENCES], trainer)
    options = {"add_bos_token": False, "add_eos_token": True, "padding_side": "right"}
    return GemmaTokenizerFast(tokenizer_object=backend, **options)
