"""Essential operations of an earlier version of lookalike, in a process of its own, for `test_earlier_version.py`.

It runs with the earlier package on PYTHONPATH, so it uses only what both versions have. Prints what it found as JSON.
"""

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

from PIL import Image

from lookalike.bootstrap import services, storage

# In the cloud, only the job that migrates changes tables. Locally, SQLite files are migrated on opening.
storage.upgrade_database = lambda settings: None

from lookalike.cli import main  # noqa: E402 - after the replacement
from lookalike.domain.model import User  # noqa: E402
from lookalike.local.gateway import load_function  # noqa: E402


def client(name: str) -> Any:
    """Return a test client of a function of the earlier version."""
    return load_function(name, Path(os.environ["FUNCTIONS_FOLDER"])).test_client()


def jpeg(color: str) -> bytes:
    """Return a photo of one color with a darker square."""
    image = Image.new("RGB", (320, 320), color)
    image.paste("black", (90, 60, 230, 260))
    file = io.BytesIO()
    image.save(file, "JPEG")
    return file.getvalue()


def search(photo: bytes) -> list[str]:
    """Return the names of the garments found."""
    data = {"image": (io.BytesIO(photo), "photo.jpg"), "include": "none", "num": "20"}
    response = client("relay").post("/relay_image", data=data)
    assert response.status_code == 200, response.get_data(as_text=True)
    return [match["splitted_image_id"] for match in response.get_json()["results"]]


def ingest(folder: Path) -> None:
    """Ingest a folder of one photo by the command line."""
    folder.mkdir()
    (folder / "ingested.jpg").write_bytes(jpeg("green"))
    try:
        main(["ingest", str(folder)])
    except SystemExit as exit_status:
        assert not exit_status.code, exit_status.code


def run() -> dict[str, Any]:
    """Upload, search, ingest, change details, build an index and delete."""
    auth: Any = services().auth
    header = {"Authorization": f"Bearer {auth.issue(User('anna', 'anna@example.org', 'admin'), 600)}"}
    photo = jpeg("red")
    data = {"image": (io.BytesIO(photo), "photo.jpg"), "image_name": "earlier"}
    uploaded = client("upload").post("/upload_image", data=data, headers=header)
    assert uploaded.status_code == 200, uploaded.get_data(as_text=True)
    name = uploaded.get_json()["data"]["segments"][0]["splitted_image_id"]
    found = {"uploaded": name, "first": search(photo)}
    ingest(Path("ingest"))
    found["ingested"] = search(jpeg("green"))
    detail = client("detail")
    stored = detail.put(f"/image_detail/{name}", json={"brand": "Earlier"}, headers=header)
    assert stored.status_code < 300, stored.get_data(as_text=True)
    found["brand"] = detail.post("/image_detail", json={"splitted_image_id": name}).get_json()["message"]["brand"]
    manifest = services().reindex.build()
    found["rows"] = manifest.rows if manifest else 0
    deleted = detail.delete(f"/splitted_images/{name}", headers=header)
    assert deleted.status_code == 200, deleted.get_data(as_text=True)
    return {**found, "last": search(photo)}


if __name__ == "__main__":
    result = run()
    Path(sys.argv[1]).write_text(json.dumps(result))
