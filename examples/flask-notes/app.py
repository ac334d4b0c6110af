"""A notebook's API: notes are written, listed and thrown away."""

import itertools
import threading

from flask import Flask, jsonify, request

app = Flask(__name__)

# Kept for as long as the process lives. The server may answer several requests at once.
notes = {}
numbers = itertools.count(1)
lock = threading.Lock()


@app.get("/")
def index():
    return jsonify(name="notes", links={"notes": "/notes", "health": "/health"})


@app.get("/health")
def health():
    return jsonify(status="ok")


@app.get("/notes")
def list_notes():
    with lock:
        return jsonify(notes=list(notes.values()))


@app.post("/notes")
def write_note():
    body = request.get_json(silent=True)
    text = body.get("text") if isinstance(body, dict) else None
    if not isinstance(text, str) or not text.strip():
        return jsonify(message="A note needs a text"), 400
    with lock:
        note = {"id": next(numbers), "text": text}
        notes[note["id"]] = note
    return jsonify(note=note), 201


@app.delete("/notes/<int:note_id>")
def throw_away(note_id):
    with lock:
        note = notes.pop(note_id, None)
    if note is None:
        return jsonify(message="There is no such note"), 404
    return jsonify(note=note)
