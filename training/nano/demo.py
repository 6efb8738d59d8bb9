"""Ask the bundled document and pictures their questions, paint the caption, make the edit.

    python demo.py --drawings ../runs/drawings            # prints every candidate; exit 1 when a question of demo.json is answered wrong
    python demo.py --drawings ../runs/drawings --write    # rewrites models/nano/demo.json and the pictures of the demo and the studio from the candidates that are right

The demo's questions, and of COLLAGES collages the one with most questions answered right, are therefore chosen; the
card's scores are not. What is painted is a pair of names that never met in training; the collage's drawings are held out, and
of hands whose licence asks for no more than its text.
"""

import argparse
import json
import sys
from pathlib import Path
from random import Random

import numpy as np
import torch
from PIL import Image

import collage
from batches import Codec
from collage_render import Renderer
from drawings import open_library
from evaluate_gallery import SETTINGS
from evaluate_pictures import load, pictures_of
from gallery import Scene, Thing, is_held_out
from gallery_batches import Gallery
from generate import ask, load_gguf, look
from looking import enlarge
from picture_batches import Frames

HERE = Path(__file__).parents[2] / "models/nano"
STUDIO = HERE.parents[1] / "examples/studio/public"
TEXT = HERE.parent / "nano-text/nano-text.gguf"  # answers about documents

CANDIDATES = [
    ("What is the call sign of the Aurora?", "KX-417"),
    ("Who is the captain of the Aurora?", "Victor Weber"),
    ("When was Greta Larsen born?", "4 May 1979"),
    ("Which code opens the lighthouse?", "7T20"),
    ("How high is the lighthouse?", "43 metres"),
    ("What is the deadline of project Meridian?", "21 October 2027"),
    ("How much does project Meridian cost?", "480 euros"),
    ("What is Samuel's phone number?", "5938"),
    ("When does the bakery in Harbour Street open?", "6:30"),
    ("How many people live in Marston?", "7,240"),
    ("Who is the mayor of Marston?", "Thelmira"),
    ("What is the code of crate 17?", "58-RD"),
    ("When will crate 17 arrive?", "30 August"),
    ("Who will receive crate 17?", "Karl Jensen"),
    ("What is inside crate 17?", "lemons"),
    ("Where can I find the green umbrella?", "library"),
    ("What is the cargo of the Pelican?", "timber"),
    ("When was the Pelican built?", "1926"),
    ("How many sailors does the Aurora have?", "38"),
    ("Who leads project Atlas?", "Samuel"),
    ("What pet does Samuel have?", "parrot"),
    ("Which instrument does Samuel play?", "cello"),
    ("From which platform does the train to Vienna leave?", "9"),
    ("When does the train to Oslo leave?", "10:45"),
    ("When is market day in Marston?", "Thursday"),
    ("What does Greta Larsen do for a living?", "doctor"),
    ("Who owns the bakery in Harbour Street?", "Oscar Dixon"),
    ("What is the weight of the Aurora?", "The document does not say."),
    ("Where does Ida live?", "The document does not say."),
    ("Who wrote the book \"The Red Lamp\"?", "The document does not say."),
]

SCENE = Scene("blue", ((0, Thing("dog")), (3, Thing("circle", "red"))))  # what is seen, and the studio's sample for edits
PICTURE_QUESTIONS = [
    ("What is in the picture?", "a dog northwest and a red circle southeast"), ("How many things are there?", "two"), ("Where is the dog?", "northwest"),
    ("What colour is the circle?", "red"), ("What colour is the background?", "blue"),
]
CAPTION, PAINTED = "a fox northwest and a heart southeast on pink", Scene("pink", ((0, Thing("fox")), (3, Thing("heart"))))
INSTRUCTION, EDITED = "Replace the heart with a rocket", Scene("pink", ((0, Thing("fox")), (3, Thing("rocket"))))
SEEDS = 16  # pictures painted and edited as a check
COLLAGES, ITEMS, NAMES = 2400, 3, 3
COLLAGE_HANDS = {"fluent", "noto"}  # MIT and Apache-2.0
CORNER = collage.PLACES.index("northwest")
MORE_KINDS = ("what", "where", "exists", "colour", "beside")


def said(model, codec: Codec, picture: np.ndarray, question: str) -> str:
    _, reply, _ = look(model, codec, picture, question)
    return codec.tokenizer.decode([i for i in reply if i != codec.end]).strip()


def check_picture(model, codec: Codec, drawn: Gallery, write: bool) -> dict:
    """The picture's part of demo.json; prints how often painting and editing are exact."""
    assert is_held_out(PAINTED)
    frames = Frames(codec, model.c.tokens + model.c.buffer_count)
    picture, right = drawn.render(SCENE), []
    for question, answer in PICTURE_QUESTIONS:
        given = said(model, codec, enlarge(picture), question)
        print("right" if given == answer else "WRONG", "|", question, "|", given)
        if given == answer:
            right.append({"question": question, "answer": answer})
    painted = pictures_of(model, frames, [CAPTION] * SEEDS, None, **SETTINGS)
    edited = pictures_of(model, frames, [INSTRUCTION] * SEEDS, [drawn.render(PAINTED)] * SEEDS, **SETTINGS)
    for name, pictures, wanted in (("painted", painted, PAINTED), ("edited", edited, EDITED)):
        print(name, sum(drawn.match(p) == wanted for p in pictures), "of", SEEDS, "exact")
    if write:
        for path in (HERE / "demo.png", STUDIO / "sample.png"):
            Image.fromarray(picture).save(path, optimize=True)
    return {"file": "demo.png", "questions": right, "caption": CAPTION, "instruction": INSTRUCTION}


def choose_collage(model, codec: Codec, folder: Path) -> dict:
    """The first collage of several names about which all questions are answered right, or else that about which most are, those that the studio proposes first; writes it."""
    library, renderer = open_library(folder), Renderer(folder)
    best: tuple[tuple[int, int], list[dict], np.ndarray] | None = None
    for seed in range(COLLAGES):
        r = Random(f"demo/collage/{seed}")
        c = collage.draw_collage(r, library, ITEMS, "held_out", text=False)
        corner = next((collage.full_name(i) for i in c.items if i.cell == CORNER), None)
        if corner is None or len({i.name for i in c.items}) < NAMES or any(i.drawing.hand not in COLLAGE_HANDS for i in c.items):
            continue
        picture = renderer.render(c)
        proposed = {"What is in the picture?": collage.describe(c), "How many things are there?": collage.COUNTS[ITEMS], "What is in the northwest?": corner}
        more = dict(q for kind in MORE_KINDS if (q := collage.question(r, c, kind)))
        right = [{"question": q, "answer": a} for q, a in (proposed | more).items() if said(model, codec, picture, q) == a]
        score = sum(q["question"] in proposed for q in right), len(right)
        print(seed, score, "of", len(proposed | more), collage.describe(c), flush=True)
        if best is None or score > best[0]:
            best = score, right, picture
        if len(right) == len(proposed | more):
            break
    assert best is not None
    for place in (HERE, STUDIO):
        Image.fromarray(best[2]).save(place / "collage.png", optimize=True)
    return {"file": "collage.png", "questions": best[1]}


def check_collage(model, codec: Codec, known: dict) -> int:
    """How many of the collage's questions are answered wrong."""
    picture, wrong = np.asarray(Image.open(HERE / known["file"]).convert("RGB")), 0
    for q in known["questions"]:
        given = said(model, codec, picture, q["question"])
        print("right" if given == q["answer"] else "WRONG", "|", q["question"], "|", given)
        wrong += given != q["answer"]
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--drawings", type=Path, required=True, help="folder of rasterise.mjs")
    args = parser.parse_args()
    torch.set_num_threads(1)
    codec = Codec()
    reader = load_gguf(TEXT, codec)
    document = (HERE / "demo.txt").read_text().strip()
    path = HERE / "demo.json"
    before = json.loads(path.read_text()) if path.exists() else {"questions": []}
    known = [(q["question"], q["answer"]) for q in before["questions"]]
    right, wrong = [], 0
    for question, answer in CANDIDATES:
        given = ask(reader, codec, document, question)
        print("right" if given == answer else "WRONG", "|", question, "|", given)
        if given == answer:
            right.append({"question": question, "answer": answer})
        elif (question, answer) in known:
            wrong += 1
    print(len(right), "of", len(CANDIDATES), "right")
    model, own = load(HERE / "nano.gguf"), Codec.beside(HERE / "nano.gguf")
    picture = check_picture(model, own, Gallery(args.drawings), args.write)
    if args.write:
        body = {"document": document, "questions": right, "picture": picture, "collage": choose_collage(model, own, args.drawings)}
        path.write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n")
        return
    wrong += sum(q not in picture["questions"] for q in before["picture"]["questions"]) + check_collage(model, own, before["collage"])
    if wrong:
        sys.exit(f"{wrong} questions of demo.json are answered wrong")


if __name__ == "__main__":
    main()
