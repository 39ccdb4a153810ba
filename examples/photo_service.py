"""A web service that says what a photo shows, with a network that ecoml found, and without ecoml.

ecoml search --data photos/ --budget-kwh 0.01 --out runs/photos
ecoml export runs/photos --to safetensors --out photos-model
python examples/photo_service.py photos-model 8000
curl --data-binary @photo.jpg http://localhost:8000/
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import torch

MOST_BYTES = 20_000_000


def service(folder: Path, port: int) -> ThreadingHTTPServer:
    """A server for the model in `folder`, not yet started; port 0 takes any free one."""
    sys.path.insert(0, str(folder))
    from model import CLASSES, load
    from preprocess import pixels

    network = load(folder / "model.safetensors")

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self):
            length = int(self.headers.get("Content-Length", 0))
            if length > MOST_BYTES:
                return self.answer(413, {"error": f"more than {MOST_BYTES:,} bytes"})
            try:
                photo = torch.from_numpy(pixels(BytesIO(self.rfile.read(length))).copy())
            except (OSError, ValueError) as error:
                return self.answer(400, {"error": f"this is no photo: {error}"})
            with torch.inference_mode():
                probabilities, _ = network(photo)
            probability, number = probabilities[0].max(0)
            return self.answer(200, {"class": CLASSES[number], "probability": round(probability.item(), 4)})

        def answer(self, status, content):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

    return ThreadingHTTPServer(("localhost", port), Answer)


if __name__ == "__main__":
    with service(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 8000) as server:
        print(f"http://localhost:{server.server_port}/ takes photos; Ctrl-C ends it")
        server.serve_forever()
