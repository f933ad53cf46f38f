"""The CSV of Google's Product Search."""

from lookalike.domain.product import FeedLine, InvalidFeedLine, Product
from tests.adapters.product_feeds.feeds import parse, problems, products

FEED = """gs://ost/1001-front.jpg,front,coats,OST-1001,apparel-v2,Wool coat,"color=camel,style=long,style=warm,size=38",
gs://ost/1001-back.jpg,,coats,OST-1001,apparel-v2,,,"0.1,0.1,0.9,0.1,0.9,0.9,0.1,0.9"
gs://ost/1001-back.jpg,,winter,OST-1001,apparel-v2,,,

gs://ost/2.jpg,,coats,OST-2,apparel-v2,Coat,"color=black,color=white,title=x",
"""


def test_lines_of_a_product() -> None:
    first, second = parse(FEED)
    assert first == FeedLine(
        1,
        Product(
            "OST-1001",
            "Wool coat",
            pictures=("gs://ost/1001-front.jpg", "gs://ost/1001-back.jpg"),
            color="camel",
            size=("38",),
            extra={
                "style": '["long", "warm"]',
                "product-category": "apparel-v2",
                "product-set-id": '["coats", "winter"]',
                "image-id": '{"gs://ost/1001-front.jpg": ["front"]}',
                "bounding-poly": '{"gs://ost/1001-back.jpg": ["0.1,0.1,0.9,0.1,0.9,0.9,0.1,0.9"]}',
            },
        ),
    )
    assert isinstance(second, FeedLine) and second.number == 5
    assert second.product.color == "black/white" and second.product.extra["label title"] == "x"


def test_column_names_are_accepted() -> None:
    header = (
        "image-uri,image-id,product-set-id,product-id,product-category,product-display-name,labels,bounding-poly,note\n"
    )
    found = products(header + "https://ost.example/1.jpg,,s,1,apparel,Coat,,,mine\n")
    assert found["1"].title == "Coat" and found["1"].extra["note"] == "mine"


def test_problems() -> None:
    feed = "gs://a/1.jpg,,s,1,c,,color,\n,,s,2,c,,,\ngs://a/3.jpg,,s,3,c,,,\ngs://a/1.jpg,,s,1,c,,,\nx,,s,4,c,,,\na,b\n"
    assert problems(feed) == {
        1: 'labels: "color" must be like color=black',
        2: "image-uri: is missing",
        4: 'product-id: "1" had lines further up; sort the feed by product-id',
        5: 'image_link: "x" is not an http, https or gs address',
        6: "has 2 fields; the first line names 8 columns; check for a missing quote",
    }
    assert [line.product_id for line in parse(feed) if isinstance(line, InvalidFeedLine)][:2] == ["1", "2"]
