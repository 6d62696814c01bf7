"""The pipeline as tools of the Model Context Protocol: `medcite mcp`, over standard input and output or HTTP.

    {"mcpServers": {"medcite": {"command": "medcite", "args": ["mcp"]}}}      what a client is told

Tools: `ask` answers with citations, `search` finds passages, `read_source` gives a page whole.
"""

from __future__ import annotations

import argparse
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field

from configs import entry
from configs.errors import UserError, run
from configs.extras import need
from configs.modes import Mode

if TYPE_CHECKING:
    from rag.pipeline import Pipeline

INSTRUCTIONS = (
    "Health information in which every sentence cites its source. It is information, not medical advice: say so, and "
    "keep the citations [n] with their addresses when you pass an answer on. Where the status is `abstained` the "
    "sources do not cover the question: do not fill that from memory. Where it is `emergency`, give the notice first."
)
MOST = 20
"""Passages that a search gives at most."""


class Page(BaseModel):
    """A source: its number in the answer, `id` for read_source, and where it is from."""

    n: int
    id: str
    title: str
    question: str
    institute: str
    url: str


class Reply(BaseModel):
    """An answer: `text` with `[n]` after each cited sentence, and the pages that it cites."""

    status: str
    text: str
    confidence: float
    understood: str = Field("", description="a follow-up as a question of its own")
    nearest: list[str] = Field([], description="where it is not covered: the nearest topics")
    sources: list[Page]
    disclaimer: str


class Passage(Page):
    """A passage that a search found."""

    text: str
    score: float


class Passages(BaseModel):
    """Passages, best first, and the chance that they cover the question."""

    confidence: float
    hits: list[Passage]


class Source(Page):
    """A page of the corpus, whole."""

    text: str
    urls: list[str]
    demonstration: bool = Field(description="demonstration text, not from NIH")


Question = Annotated[str, Field(description="a health question, in the user's words")]


def server(pipeline: Pipeline) -> Any:
    """The MCP server over a pipeline; one question at a time is answered."""
    from mcp.server import MCPServer
    from mcp.server.mcpserver.exceptions import ToolError

    from configs.cli import version
    from rag.retrieval.names import Said
    from rag.sources import source

    found = MCPServer("medcite", instructions=INSTRUCTIONS, version=version(), log_level="ERROR")
    turn = threading.Lock()

    @found.tool()
    def ask(
        question: Question,
        mode: Annotated[Mode | None, Field(description="how the answer is made; leave it out")] = None,
        history: Annotated[list[str] | None, Field(description="the user's questions before, oldest first")] = None,
    ) -> Reply:
        """Answer a health question from the indexed sources, each sentence with its citation."""
        given: dict[str, Any] = {"mode": mode, "history": history}
        try:
            with turn:
                answer = pipeline.invoke(question, **given)
        except UserError as error:
            raise ToolError(str(error)) from None
        return Reply(
            status=answer.status,
            text=answer.text,
            confidence=round(answer.confidence, 3),
            understood=answer.understood,
            nearest=list(answer.nearest),
            sources=[page(one) for one in answer.sources if one.used or answer.status == "emergency"],
            disclaimer=answer.disclaimer,
        )

    @found.tool()
    def search(question: Question, k: Annotated[int, Field(ge=1, le=MOST)] = 5) -> Passages:
        """Find the passages of the sources that are nearest to a question, without writing an answer."""
        with turn:
            pipeline.renew()
            result = pipeline.retriever.retrieve(question, k)
        said = Said.of(question)
        hits = [source(n, hit, said) for n, hit in enumerate(result.hits, 1)]
        passages = [Passage(**page(one).model_dump(), text=one.text, score=round(one.score, 3)) for one in hits]
        return Passages(confidence=round(result.confidence, 3), hits=passages)

    @found.tool()
    def read_source(id: Annotated[str, Field(description="of a source or passage that ask or search gave")]) -> Source:
        """Give a source's page whole, with its address."""
        pair = next((one for one in pipeline.index.pairs if one.id == id), None)
        if pair is None:
            raise ToolError(f"no source {id!r}: give the id of a source that `ask` or `search` returned")
        return Source(
            n=1, id=pair.id, title=pair.title, question=pair.question, institute=pair.institute, url=pair.url,
            text=pair.answer, urls=list(pair.urls), demonstration=pair.demonstration,
        )  # fmt: skip

    return found


def page(one: Any) -> Page:
    """A source of an answer as a tool gives it."""
    return Page(n=one.n, id=one.pair_id, title=one.title, question=one.question, institute=one.institute, url=one.url)


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    result = argparse.ArgumentParser(
        prog="medcite mcp",
        description="Serve ask, search and read_source to a client of the Model Context Protocol.",
    )
    result.add_argument("--http", action="store_true", help="over HTTP at /mcp on this machine, not standard input")
    result.add_argument("--port", type=int, default=7861, help="with --http (default: 7861)")
    result.add_argument("--index", type=Path, metavar="FOLDER", help="the index (default: the one `make index` built)")
    entry.add_arguments(result)
    return result


def main() -> int:
    """Open the pipeline and serve until the client ends."""
    args = parser().parse_args()
    if not 0 < args.port <= 65535:
        raise UserError(f"--port {args.port}: give a number from 1 to 65535")
    need("mcp", "medcite mcp")
    from rag.pipeline import Pipeline

    profile = entry.load_for(args, adapter=True)
    folder = args.index or entry.index_folder()
    pipeline = Pipeline.open(profile, folder, entry.data_folder() / "models", unfinished=True)
    made = server(pipeline)
    if args.http:
        print(f"medcite: MCP at http://127.0.0.1:{args.port}/mcp  (Ctrl-C stops it)", file=sys.stderr, flush=True)
        made.run("streamable-http", host="127.0.0.1", port=args.port)
    else:
        made.run("stdio")
    return 0


if __name__ == "__main__":
    run(main)
