"""The original's way of storing and searching, with our models: JSON vectors and image blobs in SQL, a cosine index in a pickle."""

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
    """Models and index are loaded once, which is kinder than the original was."""

    def __init__(self, folder: Path, models: Models) -> None:
        self.models, self.folder = models, folder
        self.database = sqlite3.connect(folder / "original.db")
        self.database.execute("PRAGMA journal_mode = WAL")
        self.database.execute(TABLE)

    def fill(self, vectors: Vectors, pictures: Sequence[bytes]) -> None:
        for number, vector in enumerate(vectors):
            self._insert(f"row{number}", number % 10, vector, pictures[number % len(pictures)])
        self.database.commit()
        self.rebuild()

    def rebuild(self) -> None:
        """What makes an upload searchable: every vector is read and parsed, fitted and written."""
        rows = self.database.execute("SELECT id, vector FROM splitted_images").fetchall()
        vectors = np.array([json.loads(vector) for _, vector in rows])
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        index = NearestNeighbors(metric="cosine").fit(vectors)
        with (self.folder / "vector_nn_index.pkl").open("wb") as file:
            pickle.dump({"index": index, "vectors": vectors}, file)
        (self.folder / "vector_id_map.json").write_text(json.dumps([number for number, _ in rows]))
        self.index, self.ids = index, [number for number, _ in rows]

    def upload(self, body: bytes) -> bytes:
        asked = json.loads(body)
        photo = opened(asked)
        crops = [photo.crop(one.box.pixel_bounds(*photo.size)) for one in self.models.detect(photo, CancelToken())] or [
            photo
        ]
        vectors = self.models.embed(crops, CancelToken())
        for number, (crop, vector) in enumerate(zip(crops, vectors, strict=True)):
            self._insert(asked["image_name"], number, vector, png(crop))
        self.database.commit()
        return json.dumps({"success": True, "segments": len(crops)}).encode()

    def relay(self, body: bytes) -> bytes:
        asked = json.loads(body)
        vector = self.models.embed([opened(asked)], CancelToken())
        distances, places = self.index.kneighbors(vector, n_neighbors=asked["num"])
        found = [(self.ids[place], 1 - distance) for place, distance in zip(places[0], distances[0], strict=True)]
        return json.dumps({"results": [self._result(number, float(alike)) for number, alike in found]}).encode()

    def _result(self, number: int, alike: float) -> dict[str, Any]:
        query = "SELECT splitted_image_data FROM splitted_images WHERE id = ?"
        (picture,) = self.database.execute(query, [number]).fetchone()
        return {"id": number, "similarity": alike, "processed_image_base64": base64.b64encode(picture).decode()}

    def _insert(self, name: str, number: int, vector: Any, picture: bytes) -> None:
        path = f"{name}/segment_{number}.png"
        row = (f"{name}_segment_{number}", path, name, "[]", json.dumps(vector.tolist()), picture)
        self.database.execute(INSERT, row)


def opened(asked: dict[str, Any]) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(asked["image_base64"]))).convert("RGB")


def png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()
