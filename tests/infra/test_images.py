"""Tests of the scripts that make the images of the documentation."""

from xml.etree import ElementTree

from infra.images.flow import OUTPUT, draw
from tests.infra.deployment import ROOT


def test_flow_figure_is_current() -> None:
    assert (ROOT / OUTPUT).read_text() == draw(), "run `make screenshots`"


def test_flow_figure_is_svg_with_description() -> None:
    root = ElementTree.fromstring(draw())
    names = {element.tag.rpartition("}")[2] for element in root}
    assert root.tag == "{http://www.w3.org/2000/svg}svg" and {"title", "desc"} <= names
