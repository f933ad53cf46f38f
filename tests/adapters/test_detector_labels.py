"""Garment kinds of the labels of published detectors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.adapters.folder_models.labels import guess_kind, map_labels, read_id2label
from lookalike.domain.errors import Misconfigured
from lookalike.domain.model import GARMENT_KINDS

FASHIONPEDIA = {
    "shirt, blouse": "top",
    "top, t-shirt, sweatshirt": "top",
    "sweater": "top",
    "cardigan": "outerwear",
    "jacket": "outerwear",
    "vest": "top",
    "pants": "trousers",
    "shorts": "shorts",
    "skirt": "skirt",
    "coat": "outerwear",
    "dress": "dress",
    "jumpsuit": "dress",
    "cape": "outerwear",
    "glasses": None,
    "hat": "hat",
    "headband, head covering, hair accessory": None,
    "tie": None,
    "glove": None,
    "watch": None,
    "belt": None,
    "leg warmer": None,
    "tights, stockings": None,
    "sock": None,
    "shoe": "shoes",
    "bag, wallet": "bag",
    "scarf": "scarf",
    "umbrella": None,
    **dict.fromkeys(["hood", "collar", "lapel", "epaulette", "sleeve", "pocket", "neckline", "buckle", "zipper"]),
    **dict.fromkeys(["applique", "bead", "bow", "flower", "fringe", "ribbon", "rivet", "ruffle", "sequin", "tassel"]),
}
DEEP_FASHION_2 = {
    "short sleeve top": "top",
    "long sleeve top": "top",
    "short_sleeved_shirt": "top",
    "short sleeve outwear": "outerwear",
    "long_sleeved_outwear": "outerwear",
    "vest": "top",
    "sling": "top",
    "shorts": "shorts",
    "trousers": "trousers",
    "skirt": "skirt",
    "short sleeve dress": "dress",
    "long sleeve dress": "dress",
    "vest dress": "dress",
    "sling dress": "dress",
}
MODANET = {
    "bag": "bag",
    "belt": None,
    "boots": "shoes",
    "footwear": "shoes",
    "outer": "outerwear",
    "dress": "dress",
    "sunglasses": None,
    "pants": "trousers",
    "top": "top",
    "shorts": "shorts",
    "skirt": "skirt",
    "headwear": "hat",
    "scarf & tie": "scarf",
}
COCO = {
    "backpack": "bag",
    "handbag": "bag",
    **dict.fromkeys(
        ["person", "umbrella", "tie", "suitcase", "bottle", "N/A", "teddy bear", "hair drier", "dining table"]
    ),
}
OTHERS = {
    "T-shirt": "top",
    "Upper-clothes": "top",
    "Left-shoe": "shoes",
    "Dresses": "dress",
    "Scarves": "scarf",
    "flip-flop_(sandal)": "shoes",
    "Jeans": "trousers",
    "dress shirt": "top",
    "dress shoes": "shoes",
    "baseball_cap": "hat",
    "tank-top_(clothing)": "top",
    "High heels": "shoes",
    "plastic bags": None,
    "shirt collar": None,
    # two kinds at once
    "skirt, dress": None,
    "LABEL_0": None,
    "": None,
    "(": None,
}


@pytest.mark.parametrize("data_set", [FASHIONPEDIA, DEEP_FASHION_2, MODANET, COCO, OTHERS])
def test_labels_of_known_data_sets(data_set: dict[str, str | None]) -> None:
    assert {label: guess_kind(label) for label in data_set} == data_set


@pytest.mark.parametrize("kind", GARMENT_KINDS)
def test_kinds_map_to_themselves(kind: str) -> None:
    assert guess_kind(kind) == guess_kind(kind.upper()) == kind


@given(st.text())
def test_any_text_maps_to_a_kind_or_to_none(text: str) -> None:
    assert guess_kind(text) in (*GARMENT_KINDS, None)


def test_chosen_kinds_override_guessed_ones() -> None:
    names = ["LABEL_0", "vest", "coat"]
    assert map_labels(names, {"LABEL_0": "dress", "vest": "none"}) == {
        "LABEL_0": "dress",
        "vest": None,
        "coat": "outerwear",
    }


def test_unknown_labels_and_kinds_are_refused() -> None:
    with pytest.raises(Misconfigured, match="no label 'jacket'; its labels are: coat, vest"):
        map_labels(["vest", "coat"], {"jacket": "outerwear"})
    with pytest.raises(Misconfigured, match=r"'gloves' is not a garment kind; use top, .*, or none"):
        map_labels(["vest"], {"vest": "gloves"})


def test_numbers_of_classes_are_read() -> None:
    assert read_id2label({"id2label": {"0": "top", "7": "hat"}}, "folder") == {0: "top", 7: "hat"}
    configs: list[dict[str, object]] = [{}, {"id2label": {}}, {"id2label": ["top"]}]
    for config in configs:
        with pytest.raises(Misconfigured, match=r"folder/config\.json has no id2label"):
            read_id2label(config, "folder")
