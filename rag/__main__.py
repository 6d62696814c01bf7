"""Ask from a terminal: `python -m rag "question"`, or many: `python -m rag --file questions.txt --jsonl`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs import entry
from configs.errors import UserError, run
from configs.modes import LENGTHS, MODES

if TYPE_CHECKING:
    from rag.answer import Answer
    from rag.pipeline import Pipeline


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = argparse.ArgumentParser(
        prog=entry.prog("rag"),
        description="Answer a health question from the index, every sentence with its source. "
        "This is information, not medical advice.",
        epilog="Exit code: 0 answered, 0 abstained or emergency too (the status says so), 2 a mistake in the input.",
    )
    result.add_argument("question", nargs="*", help="the question")
    result.add_argument("--file", type=Path, metavar="FILE", help="questions, one a line; - reads standard input")
    result.add_argument(
        "--after", action="append", metavar="QUESTION", help="asked before, which this follows; repeatable, in order"
    )
    result.add_argument("--mode", choices=MODES, help="how the answer is made (default: the profile's)")
    result.add_argument("--strict", action="store_true", default=None, help="drop unsupported sentences")
    result.add_argument("--length", choices=LENGTHS, help="how much the extractive mode quotes (default: short)")
    result.add_argument("--max-new-tokens", type=int, metavar="N", help="limit of the generator")
    result.add_argument("--temperature", type=float, metavar="T", help="0 is greedy")
    result.add_argument("--json", action="store_true", help="the whole Answer as JSON")
    result.add_argument("--jsonl", action="store_true", help="one JSON object a line, in input order")
    entry.add_index(result)
    entry.add_arguments(result)
    return result


def main() -> int:
    """Answer and print."""
    args = parser().parse_args()
    if bool(args.question) == bool(args.file):
        raise UserError('give one question or --file; for example: python -m rag "What is asthma?"')
    if args.max_new_tokens is not None and args.max_new_tokens < 1:
        raise UserError(f"--max-new-tokens {args.max_new_tokens}: give 1 or more")
    if args.temperature is not None and not 0 <= args.temperature <= 2:
        raise UserError(f"--temperature {args.temperature}: give a number from 0 to 2")
    lines = list(questions(args.file)) if args.file else [" ".join(args.question)]
    profile = entry.load_for(args, adapter=True)
    from index import identity
    from rag.pipeline import Pipeline

    pipeline = Pipeline.open(profile, args.index, entry.data_folder() / "models", unfinished=True)
    if whose := identity.attribution(pipeline.index.manifest.parts):
        print(whose, file=sys.stderr)
    options: dict[str, Any] = {"mode": args.mode, "strict": args.strict, "length": args.length}
    options |= {"history": args.after}
    options |= {"max_new_tokens": args.max_new_tokens, "temperature": args.temperature}
    failed = 0
    for line in lines:
        try:
            answer(pipeline, line, args, options)
        except UserError as error:
            if not args.file:
                raise
            failed += 1
            report_failure(line, error, args.jsonl)
    return 2 if failed else 0


def questions(file: Path) -> Iterator[str]:
    """The lines of a file that are not blank."""
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
    except FileNotFoundError:
        raise UserError(f"--file {file}: no such file") from None
    except UnicodeDecodeError:
        raise UserError(f"--file {file}: not UTF-8 text; save it as UTF-8") from None
    except OSError as error:
        raise UserError(f"--file {file}: cannot be read: {error.strerror}") from None
    # Only line feeds end a question: splitlines() would also cut at form feeds and U+2028.
    lines = [line.strip() for line in text.split("\n")]
    if not any(lines):
        raise UserError(f"--file {file}: no question in it; write one a line")
    yield from (line for line in lines if line)


def answer(pipeline: Pipeline, question: str, args: argparse.Namespace, options: dict[str, Any]) -> None:
    """Answer one question and print it in the form asked for."""
    if args.jsonl:
        print(pipeline.invoke(question, **options).model_dump_json(), flush=True)
    elif args.json:
        print(pipeline.invoke(question, **options).model_dump_json(indent=2), flush=True)
    else:
        if args.file:
            print(f"\n## {question}\n")
        print(render(pipeline.invoke(question, **options)), flush=True)


def report_failure(question: str, error: UserError, jsonl: bool) -> None:
    """A question of a file that could not be answered: named, and the rest goes on."""
    import json

    if jsonl:
        print(json.dumps({"question": question, "error": str(error)}), flush=True)
    print(f"medcite: {error}", file=sys.stderr)


def render(answer: Answer) -> str:
    """An answer as text for a terminal: notice, sentences with marks, sources, the standing notices."""
    from index.corpus import titled
    from rag.answer import DEMONSTRATION, WHETHER_OR_NOT
    from rag.conversation import NO_QUESTION

    parts = [answer.text]
    if answer.fallback:
        quoted = "(The model wrote no answer that its sources support, so the sources are quoted."
        parts.insert(0, f"{quoted} They may not answer the question.)")
    if answer.growing:
        parts.insert(0, f"({answer.growing})")
    if answer.searched:
        parts.insert(0, f"(Searched for: {answer.searched})")
    if answer.understood:
        parts.insert(0, f"(Understood as: {answer.understood})")
    if any(not sentence.supported for sentence in answer.sentences):
        unsupported = [sentence for sentence in answer.sentences if not sentence.supported]
        parts.append("\n".join(f"  not supported by a source: {item.text} ({item.note})" for item in unsupported))
    if answer.nearest:
        parts.append("Nearest topics: " + "; ".join(answer.nearest))
    listed = [item for item in answer.sources if item.used]
    if listed:
        lines = ["Sources"]
        for item in listed:
            lines.append(f"  [{item.n}] {titled(item.title, item.question)}  {item.institute}".rstrip())
            lines.append(f"      {item.url or 'no address'}" + (f"  ({DEMONSTRATION})" if item.demonstration else ""))
        parts.append("\n".join(lines))
    elif answer.status == "emergency" and answer.sources:
        lines = ["Pages on this, to read once help is on its way"]
        lines += [f"  {item.title}  {item.url or 'no address'}" for item in answer.sources]
        parts.append("\n".join(lines))
    if answer.status == "abstained" and answer.notice != NO_QUESTION:
        parts.append(WHETHER_OR_NOT)
    seconds = answer.timings.total_ms / 1000
    # Under an emergency notice nothing is answered, so there is nothing to be confident of.
    confidence = "" if answer.status == "emergency" else f"confidence: {answer.confidence_words}; "
    parts.append(f"{answer.status}; {confidence}{answer.mode}; {seconds:.1f} s")
    parts.append(answer.disclaimer)
    return "\n\n".join(parts)


if __name__ == "__main__":
    run(main)
