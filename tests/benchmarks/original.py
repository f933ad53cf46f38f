"""The original system's storage and search, run with lookalike's models.

Vectors are JSON and images are blobs in SQL. The index is scikit-learn's exact cosine index in a pickle.
"""

import base64
import io
import json
import pickle
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.neighbors import NearestNeighbors

from lookalike.domain.cancel import CancelToken
from lookalike.domain.model import Vectors
from lookalike.usecases.models import Models

TABLE = """CREATE TABLE splitted_images (
    id INTEGER PRIMARY KEY AUTOINCREMENT, splitted_image_id VARCHAR(255) NOT NULL UNIQUE,
    splitted_image_path VARCHAR(255) NOT NULL, original_image_id VARCHAR(255) NOT NULL, bounding_box TEXT,
    vector JSON, splitted_image_data LONGBLOB)"""
INSERT = """INSERT INTO splitted_images
    (splitted_image_id, splitted_image_path, original_image_id, bounding_box, vector, splitted_image_data)
    VALUES (?, ?, ?, ?, ?, ?)"""


class Original:
    """The original system in one process.

    It loads models and index once. The original did so for each request, so the comparison favors it.
    """

    def __init__(self, folder: Path, models: Models) -> None:
        self.models, self.folder = models, folder
        self.database = sqlite3.connect(folder / "original.db")
        self.database.execute("PRAGMA journal_mode = WAL")
        self.database.execute(TABLE)

    def fill(self, vectors: Vectors, images: Sequence[bytes]) -> None:
        """Store vectors (n, dim), each with one of the PNG images in turn, and build the index."""
        for number, vector in enumerate(vectors):
            self._insert(f"row{number}", number % 10, vector, images[number % len(images)])
        self.database.commit()
        self.rebuild()

    def rebuild(self) -> None:
        """Build the index from all rows and write it, as the original must before it can find an upload."""
        rows = self.database.execute("SELECT id, vector FROM splitted_images").fetchall()
        vectors = np.array([json.loads(vector) for _, vector in rows])
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        index = NearestNeighbors(metric="cosine").fit(vectors)
        with (self.folder / "vector_nn_index.pkl").open("wb") as file:
            pickle.dump({"index": index, "vectors": vectors}, file)
        (self.folder / "vector_id_map.json").write_text(json.dumps([row_id for row_id, _ in rows]))
        self.index, self.ids = index, [row_id for row_id, _ in rows]

    def upload(self, body: bytes) -> bytes:
        """Store the garments of the photo in a JSON request body. Returns the JSON response."""
        request = json.loads(body)
        photo = decode_photo(request)
        detections = self.models.detect(photo, CancelToken())
        crops = [photo.crop(detection.box.pixel_bounds(*photo.size)) for detection in detections] or [photo]
        vectors = self.models.embed(crops, CancelToken())
        for number, (crop, vector) in enumerate(zip(crops, vectors, strict=True)):
            self._insert(request["image_name"], number, vector, encode_png(crop))
        self.database.commit()
        return json.dumps({"success": True, "segments": len(crops)}).encode()

    def relay(self, body: bytes) -> bytes:
        """Search with the whole photo in a JSON request body. Returns the JSON response."""
        request = json.loads(body)
        vector = self.models.embed([decode_photo(request)], CancelToken())
        distances, positions = self.index.kneighbors(vector, n_neighbors=request["num"])
        neighbors = zip(positions[0], distances[0], strict=True)
        results = [self._result(self.ids[position], 1 - float(distance)) for position, distance in neighbors]
        return json.dumps({"results": results}).encode()

    def _result(self, row_id: int, similarity: float) -> dict[str, Any]:
        query = "SELECT splitted_image_data FROM splitted_images WHERE id = ?"
        (image,) = self.database.execute(query, [row_id]).fetchone()
        return {"id": row_id, "similarity": similarity, "processed_image_base64": base64.b64encode(image).decode()}

    def _insert(self, photo_name: str, number: int, vector: Any, image: bytes) -> None:
        path = f"{photo_name}/segment_{number}.png"
        row = (f"{photo_name}_segment_{number}", path, photo_name, "[]", json.dumps(vector.tolist()), image)
        self.database.execute(INSERT, row)


def decode_photo(request: dict[str, Any]) -> Image.Image:
    """Decode the photo of a request as RGB."""
    return Image.open(io.BytesIO(base64.b64decode(request["image_base64"]))).convert("RGB")


def encode_png(image: Image.Image) -> bytes:
    """Encode an image as PNG."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
