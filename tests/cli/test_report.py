"""`lookalike report`: one page that needs no network."""

import re
from pathlib import Path

from lookalike.bootstrap import Services
from lookalike.domain.model import ProductDetails
from tests.cli.conftest import run
from tests.conftest import jpeg
from tests.functions.harness import Client, upload_photo
from tests.sample_photos import sample_photo


def test_page_has_all_parts_and_loads_nothing(
    client: Client, real: Services, admin: dict[str, str], tmp_path: Path
) -> None:
    for name, photo in (("a", sample_photo(3)), ("copy", sample_photo(3).resize((225, 300))), ("b", sample_photo(8))):
        upload_photo(client, admin, jpeg(photo), image_name=name)
    brand = "</script><script>alert(1)</script>"
    real.segments.put_details([ProductDetails("a", brand=brand)])
    real.catalog.update_segment("b_segment_0", {"label": brand})
    real.store.delete("b/segment_0.png")
    out = tmp_path / "deep" / "report.html"
    result = run("report", out)
    assert result.exit_code == 0 and "missing pictures: 1" in result.stdout
    page = out.read_text()
    for title in ("Counts", "Map", "Outliers", "Likely wrong labels: 0", "Duplicates", "Missing pictures: 1"):
        assert title in page, title
    assert "b/segment_0.png" in page and "a_segment_0" in page and page.count('<section class="group">') >= 1
    assert not re.search(r"""(?:src|href)=["'](?!data:image/|#)""", page) and "url(" not in page
    assert page.count("<script>") == page.count("</script>") == 1, "text of the catalog is never HTML"


def test_report_of_an_empty_catalog(real: Services, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    assert run("report", out).exit_code == 0
    assert "No garments." in out.read_text() and "<script>" not in out.read_text()
