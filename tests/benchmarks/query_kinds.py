"""Measures each kind of query of `POST /search` on a catalog without photos: by id, conditions, facets, groups and pages.

The function `relay` answers through its WSGI application, on SQLite and a folder as bucket, with a published index. The
garments have random vectors around random centers, random colors and product details, with a fixed seed. Beside the times
stands one float32 product of all vectors with a query, below which no exact search can be.
"""

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np

from lookalike.adapters.compact_embedder import CompactEmbedder
from lookalike.bootstrap import Services, services
from lookalike.domain.model import GARMENT_KINDS, Box, NewSegment, Photo, ProductDetails, Vectors
from lookalike.local.gateway import load_function
from tests.benchmarks.exact_search import make_vectors
from tests.benchmarks.report import Report, add_option, write_reports
from tests.conftest import FUNCTIONS_FOLDER

TABLE = Report("query-kinds", ("query", "median, ms", "95 %, ms"))
PRODUCT = "one product of all vectors with a query"
LIBRARIES = ("numpy", "sqlalchemy")
SEED, PER_PHOTO = 20_263, 50
"""Seed of colors and details, and garments of each stored photo."""
COLOR = {"near": "#8a1c2b", "within": 15}
FILTER = {"brand": "brand 7", "rating": {"min": 3}}


def fill(current: Services, vectors: Vectors) -> None:
    """Store garments with these vectors and product details, and publish an index."""
    random = np.random.default_rng(SEED)
    for first in range(0, len(vectors), PER_PHOTO):
        numbers = range(first, min(first + PER_PHOTO, len(vectors)))
        segments = [make_segment(number, vectors[number], random) for number in numbers]
        current.catalog.add_photo(Photo(f"photo-{first}", f"{first:064x}", 600, 800), segments, CompactEmbedder.name)
        current.catalog.put_details(make_details(number, random) for number in numbers)
    current.reindex.build()


def make_segment(number: int, vector: Any, random: np.random.Generator) -> NewSegment:
    """Return a garment with a random kind and color."""
    lightness, a, b = np.round([random.uniform(10, 95), *random.normal(0, 22, 2)], 2).tolist()
    kind = GARMENT_KINDS[int(random.integers(len(GARMENT_KINDS)))]
    name = f"garment-{number}"
    return NewSegment(name, f"{name}.png", f"{name}.jpg", Box(0, 0, 60, 80), kind, 0.9, vector, (lightness, a, b))


def make_details(number: int, random: np.random.Generator) -> ProductDetails:
    """Return random product details. Three garments share a product."""
    season = ("spring", "summer", "autumn", "winter")[int(random.integers(4))]
    return ProductDetails(
        f"garment-{number}",
        store_name="shop",
        brand=f"brand {int(random.integers(40))}",
        product_name=f"product {number // 3}",
        store_description=f"a {random.choice(['striped', 'floral', 'plain'])} piece of {random.choice(['linen', 'wool'])}",
        rating=float(random.integers(1, 6)),
        season=season,
    )


def query_kinds(rows: int) -> dict[str, Callable[[int], dict[str, Any]]]:
    """Return a function for each kind of query, which returns the request with a number."""

    def example(number: int) -> list[dict[str, Any]]:
        return [{"id": f"garment-{number * 7919 % rows}"}]

    def weighted(number: int) -> list[dict[str, Any]]:
        return [*example(number), *example(number + 1), {**example(number + 2)[0], "weight": -0.5}]

    return {
        "one id": lambda number: {"query": example(number)},
        "three ids, one of them negative": lambda number: {"query": weighted(number)},
        "one id, filter on brand and rating": lambda number: {"query": example(number), "filter": FILTER},
        "one id, color": lambda number: {"query": example(number), "color": COLOR},
        "one id, words": lambda number: {"query": [*example(number), {"text": "red striped dress"}]},
        "one id, diverse": lambda number: {"query": example(number), "diversity": 0.3},
        "one id, grouped by product": lambda number: {"query": example(number), "group_by": "product"},
        "one id, facets of kind, brand and color": lambda number: {
            "query": example(number),
            "facets": ["label", "brand", "color"],
        },
        "color alone": lambda number: {"color": COLOR},
    }


def measure(search: Callable[[dict[str, Any]], dict[str, Any]], requests: list[dict[str, Any]]) -> list[float]:
    """Return the milliseconds of each request after the first, which warms up."""
    times = []
    for request in requests:
        started = time.perf_counter()
        body = search(request)
        times.append(1000 * (time.perf_counter() - started))
        assert body["success"] and body["results"], body
    return times[1:]


def add_row(name: str, times: list[float]) -> None:
    """Print and keep a row of the table."""
    middle, high = median(times), quantiles(times, n=20)[-1]
    print(f"{name:<45}{middle:>12.1f}{high:>12.1f}", flush=True)
    TABLE.add(name, f"{middle:.1f}", f"{high:.1f}")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=41)
    add_option(parser)
    options = parser.parse_args()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; {options.rows:,} garments"
    )
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ.update({"LOOKALIKE_HOME": str(Path(folder) / "home"), "LOG_LEVEL": "ERROR"})
        services.cache_clear()
        vectors = make_vectors(options.rows, CompactEmbedder.dim)
        fill(services(), vectors)
        services.cache_clear()
        client = load_function("relay", FUNCTIONS_FOLDER).test_client()

        def search(request: dict[str, Any]) -> dict[str, Any]:
            body: dict[str, Any] = client.post("/search", json={"include": "none", **request}).get_json()
            return body

        products = [timed_product(vectors, query) for query in vectors[: options.queries]]
        add_row(PRODUCT, products[1:])
        for name, make_request in query_kinds(options.rows).items():
            add_row(name, measure(search, [make_request(number) for number in range(options.queries)]))
        cursor = search({"query": [{"id": "garment-5"}]})["next_cursor"]
        pages = [{"query": [{"id": "garment-5"}], "cursor": cursor}] * options.queries
        add_row("one id, second page", measure(search, pages))
    if options.write_docs:
        write_reports([TABLE], LIBRARIES)


def timed_product(vectors: Vectors, query: Any) -> float:
    """Return the milliseconds of one product of all vectors with a query."""
    started = time.perf_counter()
    vectors @ query
    return 1000 * (time.perf_counter() - started)


if __name__ == "__main__":
    main()
