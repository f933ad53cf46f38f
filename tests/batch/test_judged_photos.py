"""Photos of an evaluation: read from a folder of folders, and from CSV files with every kind of mistake."""

from pathlib import Path

import pytest

from lookalike.batch.judged_photos import read_judged_photos
from lookalike.domain.errors import BadRequest, InvalidImage
from lookalike.usecases.evaluation import JudgedPhotos


def names(judged: JudgedPhotos, positions: object) -> set[str]:
    return {judged.photos[int(position)].name for position in positions}  # type: ignore[attr-defined]


def write_csv(folder: Path, text: str | bytes) -> Path:
    path = folder / "pairs.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_photos_of_one_folder_are_relevant_to_each_other(tmp_path: Path) -> None:
    for name in ("red/1.jpg", "red/back/2.png", "blue/1.jpg", "blue/2.jpg", "single/1.jpg", "loose.jpg", "red/x.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"photo")
    judged = read_judged_photos(tmp_path)
    assert len(judged.photos) == 6 and names(judged, judged.gallery) == {one.name for one in judged.photos}
    queries = {judged.photos[query.photo].name: query for query in judged.queries}
    assert queries.keys() == {"red/1.jpg", "red/back/2.png", "blue/1.jpg", "blue/2.jpg"}
    assert names(judged, queries["red/1.jpg"].relevant) == {"red/1.jpg", "red/back/2.png"}
    assert queries["red/1.jpg"].cluster == queries["red/back/2.png"].cluster != queries["blue/1.jpg"].cluster
    assert queries["red/1.jpg"].relevance.tolist() == [1, 1] and judged.photos[0].read() == b"photo"


def test_folders_of_the_same_name_in_queries_and_gallery_are_one_product(tmp_path: Path) -> None:
    for name in ("queries/red/1.jpg", "queries/other/1.jpg", "shop/red/1.jpg", "shop/red/2.jpg", "shop/blue/1.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    judged = read_judged_photos(tmp_path / "queries", tmp_path / "shop")
    (query,) = judged.queries
    assert judged.photos[query.photo].read() == b"queries/red/1.jpg"
    assert names(judged, query.relevant) == {"red/1.jpg", "red/2.jpg"} and len(judged.gallery) == 3
    with pytest.raises(BadRequest, match="no folder in it has the name"):
        read_judged_photos(tmp_path / "queries" / "other", tmp_path / "shop")
    with pytest.raises(BadRequest, match="is not a folder"):
        read_judged_photos(write_csv(tmp_path, "query,image\n"), tmp_path / "shop")


def test_csv_names_queries_and_images(tmp_path: Path) -> None:
    text = "query,image,relevance\na.jpg,b.jpg,2\na.jpg, c.jpg ,\n\na.jpg,d.jpg,0\n b.jpg,c.jpg,0.5\n"
    judged = read_judged_photos(write_csv(tmp_path, "\ufeff" + text))
    assert names(judged, judged.gallery) == {"b.jpg", "c.jpg", "d.jpg"}
    first, second = judged.queries
    assert names(judged, [first.photo]) == {"a.jpg"} and names(judged, first.relevant) == {"b.jpg", "c.jpg"}
    assert first.relevance.tolist() == [2, 1] and second.relevance.tolist() == [0.5]
    assert first.cluster != second.cluster
    (tmp_path / "a.jpg").write_bytes(b"photo")
    assert judged.photos[first.photo].read() == b"photo"
    with pytest.raises(InvalidImage, match="No such file"):
        judged.photos[second.photo].read()


def test_relevance_is_optional(tmp_path: Path) -> None:
    judged = read_judged_photos(write_csv(tmp_path, "query,image\na.jpg,b.jpg\n"))
    assert judged.queries[0].relevance.tolist() == [1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the first line must be query,image or query,image,relevance"),
        ("image,query\na,b\n", "the first line must be"),
        ("query,image,relevance,more\na,b,1,2\n", "the first line must be"),
        ("query,image\na,b\na\n", "line 3: must have a query and an image"),
        ("query,image\na,b,c\n", "line 2: must have a query and an image"),
        ("query,image\na,b\x00\n", "line 2: must have a query and an image"),
        ("query,image,relevance\na,b,much\n", "line 2: the relevance 'much' must be a number, 0 or more"),
        ("query,image,relevance\na,b,-1\n", "line 2: the relevance '-1' must be"),
        ("query,image,relevance\na,b,nan\n", "line 2: the relevance 'nan' must be"),
        ("query,image,relevance\na,b,inf\n", "line 2: the relevance 'inf' must be"),
        ("query,image\na,b\na,b\n", "line 3: the query and the image are on an earlier line, too"),
        ('query,image\na,"b\n', "not a CSV file in UTF-8"),
        (b"query,image\na,\xff\n", "not a CSV file in UTF-8"),
        ("query,image\na,a\n", "has nothing to evaluate"),
        ("query,image,relevance\na,b,0\n", "has nothing to evaluate"),
    ],
)
def test_malformed_csv_is_an_error_with_its_line(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(BadRequest) as raised:
        read_judged_photos(write_csv(tmp_path, text))
    assert message in raised.value.message


def test_folder_without_two_photos_of_a_product_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "red").mkdir()
    (tmp_path / "red" / "1.jpg").write_bytes(b"photo")
    (tmp_path / "2.jpg").write_bytes(b"photo")
    with pytest.raises(BadRequest, match="put the photos of each product into a folder of their own"):
        read_judged_photos(tmp_path)
