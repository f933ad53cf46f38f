"""Descriptions with HTML."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.adapters.product_feeds.html_text import to_feed_text, to_plain_text

fragments = st.lists(
    st.sampled_from(
        ["<b>", "</b>", "<br>", "<", ">", "&", "&amp;", "&lt;b&gt;", "&#10;", "<!--", "-->", "<![CDATA[", "\n"]
    )
    | st.text(max_size=5)
).map("".join)


@pytest.mark.parametrize(
    ("source", "plain"),
    [
        ("<p>Warm <b>wool</b> coat.</p><p>Made in Graz.</p>", "Warm wool coat.\nMade in Graz."),
        ("<ul>\n  <li>Wool</li>\n  <li>Horn buttons</li>\n</ul>", "Wool\nHorn buttons"),
        ("Lined<br/>Two\n pockets", "Lined\nTwo pockets"),
        ("Tom &amp; Ana&nbsp;&ndash; 100&#37;", "Tom & Ana\u00a0– 100%"),
        ("<style>p {color: red}</style><p>Coat</p><script>alert('a<b')</script>", "Coat"),
        ("<!-- draft <b> -->Coat<!doctype html><?php echo 1 ?>", "Coat"),
        ("<table><tr><td>Chest</td><td>96 cm</td></tr></table>", "Chest 96 cm"),
        ("Size < 40 & warm > 0 °C", "Size < 40 & warm > 0 °C"),
        ("I <3 wool\n\nReally", "I <3 wool\n\nReally"),
        ("<p>Size < 40</p>", "Size < 40"),
        ("<p></p>", ""),
        ("  plain  ", "plain"),
    ],
)
def test_plain_text(source: str, plain: str) -> None:
    assert to_plain_text(source) == plain


@given(fragments.map(str.strip))
def test_written_text_is_read_as_the_same_text(text: str) -> None:
    assert to_plain_text(to_feed_text(text)) == text


@pytest.mark.parametrize(
    "part", ["<a", "<a\n", "<a/", "<!--", "<![", "<?", "</", "<a b='", "&", "<script>", "<a \n b\n>"]
)
def test_time_is_linear_for_damaged_markup(part: str) -> None:
    """HTMLParser alone needs minutes for some of these."""
    start = time.process_time()
    to_plain_text("<b>Coat</b>" + part * (100_000 // len(part)))
    assert time.process_time() - start < 5
