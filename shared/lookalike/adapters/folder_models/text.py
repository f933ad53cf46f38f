"""Text model of a folder: tokenizer and network. Needs the extra `text` (tokenizers)."""

import re
import string
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lookalike.adapters.folder_models.embedder_files import EmbedderFiles, TextFamily
from lookalike.adapters.folder_models.files import TOKENIZER_CONFIG_FILE, TOKENIZER_FILE, read_json
from lookalike.adapters.folder_models.network import FolderNetwork
from lookalike.adapters.onnx import RunCounter
from lookalike.domain.cancel import CancelToken
from lookalike.domain.errors import Misconfigured

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MISSING_EXTRA = "A model folder with a text model needs the extra `text`: pip install 'lookalike[text]'"
IDS, MASK = "input_ids", "attention_mask"
GPU_BATCH = 16
"""Texts per run on a GPU."""
WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


class TextEncoder:
    """Maps texts to vectors of the network's own length. Safe to use from several threads."""

    def __init__(self, network: FolderNetwork, tokenizer: "Tokenizer", family: TextFamily, is_gemma: bool) -> None:
        network.check_inputs({IDS, MASK})
        self._network, self._tokenizer, self._family, self._is_gemma = network, tokenizer, family, is_gemma
        self._batch = network.batch_size(IDS, GPU_BATCH)

    def encode(self, texts: Sequence[str], cancel: CancelToken) -> NDArray[np.float32]:
        """Return the embeddings (n, dim) of texts, not normalized."""
        starts = range(0, len(texts), self._batch)
        batches = [self._run(texts[start : start + self._batch], cancel) for start in starts]
        return np.concatenate(batches) if batches else np.zeros((0, 0), np.float32)

    def _run(self, texts: Sequence[str], cancel: CancelToken) -> NDArray[np.float32]:
        encodings = self._tokenizer.encode_batch([self._clean(text) for text in texts])
        ids = np.array([one.ids for one in encodings], np.int64)
        mask = np.array([one.attention_mask for one in encodings], np.int64)
        return self._network.run({IDS: ids, MASK: mask if self._family.has_mask else np.ones_like(mask)}, cancel)

    def _clean(self, text: str) -> str:
        if not self._family.is_canonicalized:
            return text
        # SigLIP 2 was trained on lower case, too, but its tokenizer of Gemma keeps punctuation
        return text.lower() if self._is_gemma else canonicalize(text)


def canonicalize(text: str) -> str:
    """Remove case, ASCII punctuation and repeated spaces, as `SiglipTokenizer.canonicalize_text` does."""
    return re.sub(r"\s+", " ", text.lower().translate(WITHOUT_PUNCTUATION)).strip()


def open_text_encoder(files: EmbedderFiles, threads: int, runs: RunCounter) -> TextEncoder:
    """Open tokenizer and network of the text model.

    Raises `Misconfigured` if a file is invalid, or the package `tokenizers` is not installed.
    """
    family = files.family.text
    assert family is not None and files.text_network is not None
    network = FolderNetwork(files.folder / files.text_network, family.outputs, threads, runs)
    has_config = (files.folder / TOKENIZER_CONFIG_FILE).is_file()
    config = read_json(files.folder, TOKENIZER_CONFIG_FILE) if has_config else {}
    is_gemma = str(config.get("tokenizer_class", "")).startswith("Gemma")
    padding_side = str(config.get("padding_side") or ("left" if is_gemma else "right"))
    tokenizer = open_tokenizer(files, _max_tokens(files, network, family), _pad_token(config, family), padding_side)
    return TextEncoder(network, tokenizer, family, is_gemma)


def open_tokenizer(files: EmbedderFiles, max_tokens: int, pad_token: str, padding_side: str) -> "Tokenizer":
    """Open the tokenizer, which cuts off and pads every text to `max_tokens`. Raises `Misconfigured`."""
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise Misconfigured(f"{MISSING_EXTRA} ({error})") from error
    path = files.folder / TOKENIZER_FILE
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:
        # tokenizers raises plain exceptions
        raise Misconfigured(f"{path} cannot be loaded: {error}") from error
    pad_id = tokenizer.token_to_id(pad_token)
    if padding_side not in ("left", "right"):
        raise Misconfigured(f"{TOKENIZER_CONFIG_FILE}: padding_side must be left or right, and is {padding_side!r}")
    if pad_id is None:
        raise Misconfigured(f"{path} does not contain the padding token {pad_token} of {TOKENIZER_CONFIG_FILE}")
    tokenizer.enable_truncation(max_tokens)
    tokenizer.enable_padding(length=max_tokens, pad_id=pad_id, pad_token=pad_token, direction=padding_side)
    return tokenizer


def _max_tokens(files: EmbedderFiles, network: FolderNetwork, family: TextFamily) -> int:
    """Return the number of tokens of every text. The exporters leave out values that are a family's default."""
    text_config = files.config.get("text_config") or {}
    fixed = network.input_shape(IDS)[1]
    return fixed if isinstance(fixed, int) else int(text_config.get("max_position_embeddings") or family.max_tokens)


def _pad_token(config: dict[str, Any], family: TextFamily) -> str:
    token = config.get("pad_token") or family.pad_token
    return str(token["content"] if isinstance(token, dict) else token)
