"""`lookalike models add`, then a server whose embedder is that of the folder."""

import subprocess
from pathlib import Path

from tests.conftest import jpeg
from tests.e2e.server import Server
from tests.model_folders import write_clip
from tests.sample_photos import sample_photo

PHOTOS = {f"photo{seed}": jpeg(sample_photo(seed)) for seed in (1, 3, 8)}


def last_lines(server: Server, count: int) -> list[str]:
    return server.log("models").splitlines()[-count:]


def test_server_finds_garments_with_an_added_model(tmp_path: Path) -> None:
    folder = write_clip(tmp_path / "clip")
    server = Server(tmp_path / "server")
    assert server.run("models", "add", str(folder)).returncode == 0, server.log("models")
    server.settings = dict(line.split("=", 1) for line in last_lines(server, 2))
    assert server.settings == {"MODELS": "compact", "EMBEDDER": f"folder:{folder}"}
    server.start()
    try:
        for name, photo in PHOTOS.items():
            assert server.upload(photo, name).status == 200
        for name, photo in PHOTOS.items():
            group = server.search(photo, num=3, segment=True).json["groups"][0]
            best = group["results"][0]
            assert best["splitted_image_id"] == f"{name}_segment_0" and best["similarity"] > 0.99
            # the model has no calibration
            assert best.get("match") is None
        response = server.request("POST", "/search", {"query": [{"text": "a red dress"}], "limit": 2})
        assert response.status == 200 and len(response.json["results"]) == 2, response.body
        # embedded, not understood as words
        assert response.json["understood"] == response.json["ignored"] == []
    finally:
        assert server.stop() == 0


def test_server_with_a_changed_model_refuses_to_serve(tmp_path: Path) -> None:
    """The error comes at the start, and names the file and the command."""
    folder = write_clip(tmp_path / "clip")
    server = Server(tmp_path / "server")
    assert server.run("models", "add", str(folder)).returncode == 0
    server.settings = {"EMBEDDER": f"folder:{folder}"}
    network = folder / "onnx" / "vision_model.onnx"
    network.write_bytes(network.read_bytes() + b"x")
    process: subprocess.Popen[bytes] = server.run("serve")
    assert process.returncode == 3
    assert "vision_model.onnx has the SHA-256" in server.log() and "lookalike models add" in server.log()
