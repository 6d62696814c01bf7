"""How soon a large table answers: from `medcite index build --first` on nothing to the first answer of `medcite ask`.

The table is made by rules: made-up ailments, questions of eight kinds, answers of 20 to 220 words whose words are drawn
anew for every row, so that no two are alike. `medcite eval bench growing -n 100000` asks for its size.
"""

from __future__ import annotations

import csv
import itertools
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from configs import ROOT
from configs.errors import UserError
from configs.schema import Profile

SYLLABLES = "bar cor del fen gal hem ilo jun kor lum mer nor oph pel quin ros sar tal ulm ven wex xan yor zel".split()
ENDINGS = "itis osis emia algia oma pathy plegia rrhea trophy sclerosis".split()
PLACES = "skin liver kidney lung eye ear throat knee hip spine stomach bowel bladder heart vein nerve jaw scalp".split()
SIGNS = (
    "a dull ache|a burning rash|pale nails|a dry cough|night sweats|swollen fingers|blurred sight|"
    "a hoarse voice|loss of taste|sudden chills|stiff mornings|a racing pulse|brittle hair|yellow eyes|"
    "numb toes|poor sleep|a sour breath|thin bones|cold hands|a ringing sound|weak grip|dark urine|"
    "itching palms|shallow breathing"
).split("|")
CAUSES = (
    "a changed gene|damp rooms|an old injury|a virus of childhood|too little iron|long sitting|"
    "a tick's bite|hard water|a narrow duct|dust of flour|loud machines|salt air|a missing enzyme|"
    "late meals|a slow thyroid|spoiled grain"
).split("|")
HELPS = (
    "rest and warmth|a short course of tablets|a daily walk|cold compresses|a brace at night|less salt|"
    "a small operation|drops twice a day|breathing exercises|a diet rich in beans|physical therapy|"
    "light therapy|an ointment|more fluids"
).split("|")
KINDS = {
    "What is {name}?": "{name} is a disorder of the {place}. It begins with {sign} and {sign}, mostly after {age}.",
    "What are the symptoms of {name}?": "The signs of {name} include {sign}, {sign} and {sign}. The {place} may hurt.",
    "What causes {name}?": "{name} is caused by {cause}, and {cause} makes it worse. The {place} reacts slowly.",
    "How is {name} treated?": "Doctors treat {name} with {help} and {help}. {help} may follow after {weeks} weeks.",
    "How can {name} be prevented?": "Avoiding {cause} lowers the risk of {name}. So does {help}.",
    "Who is at risk for {name}?": "People with {cause} get {name} more often, as do those past {age} with {sign}.",
    "What is the outlook for {name}?": "Most people with {name} recover in {weeks} weeks. In some, {sign} stays.",
    "How is {name} diagnosed?": "A doctor looks at the {place}, asks about {sign} and tests for {cause}.",
}
MORE = (
    "Of {many} people who were followed, {few} also had {sign}.",
    "Tell your doctor if {sign} lasts longer than {weeks} weeks, or if {sign} comes back.",
    "Where {cause} plays a part, {help} is tried before anything else.",
    "In children the {place} is spared more often, but {sign} may come early.",
    "A study of {many} families found {cause} in {few} of them.",
    "{help} eases {sign} for many, and {help} is an alternative.",
)


ASKED = 5
"""Questions of the table that are asked, every (n / ASKED)-th; the first answer's time is the figure."""


def run(profile: Profile, folder: Path, n: int) -> dict[str, Any]:
    """Seconds from nothing to the first stage of an index of `n` rows and to its first answer, and what is answered.

    Commands as a person runs them, in the profile that a person gets, one after the other; the vector cache is left as
    it is. Raises UserError where a command fails.
    """
    with tempfile.TemporaryDirectory(dir=folder.parent) as place:
        table, index = Path(place) / "table.csv", str(Path(place) / "index")
        write_table(table, n)
        asked = [question for question, _ in itertools.islice(rows(n), 0, None, max(1, n // ASKED))][:ASKED]
        lines = Path(place) / "questions.txt"
        begun = time.perf_counter()
        _command("index", "build", "--first", "--index", index, "--corpus", str(table))
        first_stage = time.perf_counter() - begun
        _command("rag", "--json", "--index", index, asked[0])
        first_answer = time.perf_counter() - begun
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        lines.write_text("\n".join(asked), "utf-8")
        said = _command("rag", "--jsonl", "--mode", "extractive", "--index", index, "--file", str(lines))
    answers = [json.loads(line) for line in said.splitlines()]
    right = [one for one in answers if one["sources"] and one["sources"][0]["question"] == one["question"]]
    waits = sorted(one["timings"]["retrieve_ms"] for one in answers)
    return {
        "rows": n,
        "first_stage_s": round(first_stage, 1),
        "first_answer_s": round(first_answer, 1),
        "asked": len(answers),
        "answered_from_the_right_row": len(right),
        "retrieve_ms_median": round(waits[len(waits) // 2]),
        "peak_memory_gb": round(memory, 2),
        "said": answers[0]["growing"],
    }


def _command(room: str, *words: str) -> str:
    """What a command prints. Raises UserError with its last line where it fails."""
    done = subprocess.run([sys.executable, "-m", room, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"python -m {room}: {(done.stderr.strip().splitlines() or ['it failed'])[-1]}")
    return done.stdout


def rows(count: int, seed: int = 0) -> Iterator[tuple[str, str]]:
    """So many questions with their answers, the same for the same seed."""
    chance = random.Random(seed)
    stems = ["".join(parts) for parts in itertools.product(SYLLABLES, repeat=3)]
    chance.shuffle(stems)
    names = (f"{stem}{ending}".capitalize() for stem in stems for ending in ENDINGS)
    asked = ((name, kind) for name in names for kind in KINDS)
    for name, kind in itertools.islice(asked, count):
        sentences = [KINDS[kind], *chance.choices(MORE, k=chance.randint(2, 10))]
        yield kind.format(name=name), " ".join(_filled(one, name, chance) for one in sentences)


def _filled(template: str, name: str, chance: random.Random) -> str:
    """A sentence with every place of its template filled by a draw of its own."""
    lists = {"sign": SIGNS, "cause": CAUSES, "help": HELPS, "place": PLACES}
    parts = []
    for part in template.split("{"):
        place, mark, rest = part.partition("}")
        if not mark:
            parts.append(part)
            continue
        drawn = {
            "name": lambda: name,
            "age": lambda: str(chance.randint(20, 80)),
            "weeks": lambda: str(chance.randint(2, 50)),
            "many": lambda: str(chance.randint(100, 9000)),
            "few": lambda: str(chance.randint(3, 99)),
        }
        parts += [drawn[place]() if place in drawn else chance.choice(lists[place]), rest]
    text = "".join(parts)
    return text[0].upper() + text[1:]


def write_table(path: Path, count: int) -> None:
    """Write `rows` as a CSV with the columns question and answer."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("question", "answer"))
        table.writerows(rows(count))
