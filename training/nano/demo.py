"""Ask the bundled document and picture their questions, paint the caption, make the edit.

    python demo.py            # prints every candidate; exit 1 when a question of demo.json is answered wrong
    python demo.py --write    # rewrites models/nano/demo.json and demo.png from the candidates that are right

The demo's questions are therefore chosen; the card's scores are not. The picture's yellow circle, the
caption and the result of the edit have held-out pairs.
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from PIL import Image

import heldout
import scenes
from batches import Codec
from evaluate_pictures import answers, exact, load, pictures_of
from export import PAINT
from generate import ask, load_gguf
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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
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
    if args.write:
        path.write_text(json.dumps({"document": document, "questions": right, "picture": picture}, indent=1, ensure_ascii=False) + "\n")
    elif wrong:
        sys.exit(f"{wrong} questions of demo.json are answered wrong")


if __name__ == "__main__":
    main()
