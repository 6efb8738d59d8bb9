"""Ask the bundled document and picture their questions, paint the caption, make the edit.

    python demo.py                                    # prints every candidate; exit 1 when a question of demo.json is answered wrong
    python demo.py --write --drawings ../runs/drawings    # rewrites models/nano/demo.json and its pictures from the candidates that are right

The demo's questions, and of COLLAGES collages the one with most questions answered right, are therefore chosen;
the card's scores are not. The small picture's yellow circle, the caption and the result of the edit have held-out
pairs; the collage's drawings are held out, and of hands whose licence asks for no more than its text.
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
import heldout
import scenes
from batches import Codec
from collage_render import Renderer
from drawings import open_library
from evaluate_pictures import answers, exact, load, pictures_of
from export import PAINT
from generate import ask, load_gguf, look
from picture_batches import Frames

HERE = Path(__file__).parents[2] / "models/nano"
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

SCENE = "030101313"  # in heldout.py's code: a yellow circle northwest, a red square northeast and a blue star southeast
PICTURE_QUESTIONS = [
    ("How many shapes are there?", "three"), ("Where is the star?", "southeast"),
    ("Describe the picture.", "a yellow circle northwest, a red square northeast and a blue star southeast"),
]
CAPTION, PAINTED = "a blue triangle northwest and a red star southeast", "210303"
INSTRUCTION, EDITED = "Move the star to the southwest", "030101312"
SEEDS = 16  # pictures painted and edited as a check
COLLAGES, ITEMS = 1000, 4
COLLAGE_HANDS = {"fluent", "noto"}  # MIT and Apache-2.0
CENTRE = collage.PLACES.index("centre")
MORE_KINDS = ("what", "where", "exists", "colour", "beside")


def check_picture(write: bool) -> dict:
    """The picture's part of demo.json; prints how often painting and editing are exact."""
    model = load(HERE / "nano.gguf")
    frames = Frames(Codec.beside(HERE / "nano.gguf"), model.c.tokens + model.c.buffer_count)
    settings = {"iterations": PAINT["iterations"], "steps": PAINT["diffusion_steps"], "guidance": PAINT["guidance"]}
    picture = scenes.render(heldout.decode(SCENE))
    hits = answers(model, frames, [(picture, q, a) for q, a in PICTURE_QUESTIONS])
    print("picture:", *(f"{'right' if hit else 'WRONG'} | {q} | {a}" for hit, (q, a) in zip(hits, PICTURE_QUESTIONS)), sep="\n  ")
    painted = pictures_of(model, frames, [CAPTION] * SEEDS, None, **settings)
    edited = pictures_of(model, frames, [INSTRUCTION] * SEEDS, [picture] * SEEDS, **settings)
    for name, pictures, code in (("painted", painted, PAINTED), ("edited", edited, EDITED)):
        print(name, sum(exact(p, heldout.decode(code)) for p in pictures), "of", SEEDS, "exact")
    if write:
        Image.fromarray(picture).save(HERE / "demo.png", optimize=True)
    return {
        "file": "demo.png", "scene": SCENE, "questions": [{"question": q, "answer": a} for (q, a), hit in zip(PICTURE_QUESTIONS, hits) if hit],
        "caption": CAPTION, "painted": PAINTED, "instruction": INSTRUCTION, "edited": EDITED,
    }


def said(model, codec: Codec, picture: np.ndarray, question: str) -> str:
    _, reply, _ = look(model, codec, picture, question)
    return codec.tokenizer.decode([i for i in reply if i != codec.end]).strip()


def choose_collage(model, codec: Codec, folder: Path) -> dict:
    """The collage, of COLLAGES, about which most questions are answered right, those that the studio proposes first; writes collage.png."""
    library, renderer = open_library(folder), Renderer(folder)
    best: tuple[tuple[int, int], list[dict], np.ndarray] | None = None
    for seed in range(COLLAGES):
        r = Random(f"demo/collage/{seed}")
        c = collage.draw_collage(r, library, ITEMS, "held_out", text=False)
        middle = next((collage.full_name(i) for i in c.items if i.cell == CENTRE), None)
        if middle is None or any(i.drawing.hand not in COLLAGE_HANDS for i in c.items):
            continue
        picture = renderer.render(c)
        proposed = {"What is in the picture?": collage.describe(c), "How many things are there?": collage.COUNTS[ITEMS], "What is in the centre?": middle}
        more = dict(q for kind in MORE_KINDS if (q := collage.question(r, c, kind)))
        right = [{"question": q, "answer": a} for q, a in (proposed | more).items() if said(model, codec, picture, q) == a]
        score = sum(q["question"] in proposed for q in right), len(right)
        print(seed, score, "of", len(proposed | more), collage.describe(c), flush=True)
        if best is None or score > best[0]:
            best = score, right, picture
    assert best is not None
    Image.fromarray(best[2]).save(HERE / "collage.png", optimize=True)
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
    parser.add_argument("--drawings", type=Path, help="folder of rasterise.mjs, with --write; the collage is for a model with a tower")
    args = parser.parse_args()
    if args.write and not args.drawings:
        parser.error("--write needs --drawings, of which the collage is made")
    torch.set_num_threads(1)
    codec = Codec()
    model = load_gguf(TEXT, codec)
    document = (HERE / "demo.txt").read_text().strip()
    path = HERE / "demo.json"
    known = [(q["question"], q["answer"]) for q in json.loads(path.read_text())["questions"]] if path.exists() else []
    right, wrong = [], 0
    for question, answer in CANDIDATES:
        given = ask(model, codec, document, question)
        print("right" if given == answer else "WRONG", "|", question, "|", given)
        if given == answer:
            right.append({"question": question, "answer": answer})
        elif (question, answer) in known:
            wrong += 1
    print(len(right), "of", len(CANDIDATES), "right")
    picture = check_picture(args.write)
    wrong += len(PICTURE_QUESTIONS) - len(picture["questions"])
    seeing, own = load(HERE / "nano.gguf"), Codec.beside(HERE / "nano.gguf")
    if args.write:
        body = {"document": document, "questions": right, "picture": picture}
        if hasattr(seeing, "siglip2"):
            body["collage"] = choose_collage(seeing, own, args.drawings)
        path.write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n")
        return
    if collage_questions := json.loads(path.read_text()).get("collage"):
        wrong += check_collage(seeing, own, collage_questions)
    if wrong:
        sys.exit(f"{wrong} questions of demo.json are answered wrong")


if __name__ == "__main__":
    main()
