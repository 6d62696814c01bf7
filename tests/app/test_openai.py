"""OpenAI's API as its own client, LangChain's and curl use it, over a stand-in pipeline on the loopback."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from app.openai import citations, content, stopped
from tests.app.fakes import ABSTAINED, ANSWERED, FakePipeline

pytestmark = pytest.mark.enable_socket
ASTHMA = [{"role": "user", "content": "What are the symptoms of asthma?"}]


@pytest.fixture(scope="module")
def pipeline() -> FakePipeline:
    return FakePipeline(0.001)


@pytest.fixture(scope="module")
def address(pipeline: FakePipeline) -> Iterator[str]:
    import uvicorn

    from app import server
    from app.engine import Engine
    from app.history import History

    engine = Engine(lambda: pipeline)
    engine.start()
    sock = server.bind("127.0.0.1", 0)
    app = server.create(engine, History(None), "s" * 24)
    running = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none"))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [sock]})
    thread.start()
    yield f"http://127.0.0.1:{sock.getsockname()[1]}/v1"
    running.should_exit = True
    thread.join(20)


@pytest.fixture
def client(address: str) -> Iterator[Any]:
    openai = pytest.importorskip("openai", reason="the openai client is not installed (medcite[dev])")
    with openai.OpenAI(base_url=address, api_key="none", max_retries=0) as found:
        yield found


def test_the_models_are_the_ways_of_answering(client: Any) -> None:
    names = [one.id for one in client.models.list()]
    assert names == ["medcite", "base+rag", "extractive", "base"]
    assert client.models.retrieve("base+rag").owned_by == "medcite"


def test_an_answer_has_its_citations_in_the_text_and_as_annotations(client: Any, pipeline: FakePipeline) -> None:
    found = client.chat.completions.create(
        model="extractive", messages=ASTHMA, temperature=0.5, max_tokens=99, user="somebody", logit_bias={"1": 1}
    )
    (choice,) = found.choices
    text = choice.message.content
    assert "[1] Asthma" in text.partition("Sources:\n")[2]
    assert "not medical advice" in text
    assert choice.finish_reason == "stop"
    assert (found.usage.prompt_tokens, found.usage.completion_tokens) == (420, 58)
    cited = [one.url_citation for one in choice.message.annotations]
    assert {one.url for one in cited} == {one.url for one in ANSWERED.sources if one.used}
    assert all(text[one.start_index : one.end_index] in ("[1]", "[3]") for one in cited)
    assert pipeline.options == {"mode": "extractive", "max_new_tokens": 99, "temperature": 0.5}


def test_a_stream_gives_the_same_text(client: Any) -> None:
    whole = client.chat.completions.create(model="medcite", messages=ASTHMA).choices[0].message.content
    chunks = list(
        client.chat.completions.create(
            model="medcite", messages=ASTHMA, stream=True, stream_options={"include_usage": True}
        )
    )
    said = [one.choices[0].delta.content or "" for one in chunks if one.choices]
    assert "".join(said) == whole
    assert len([one for one in said if one]) > 10
    assert [one.choices[0].finish_reason for one in chunks if one.choices][-1] == "stop"
    assert chunks[-1].usage.total_tokens == 478


def test_turns_before_are_the_conversation_and_only_the_users(client: Any, pipeline: FakePipeline) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "What is gout?"}]},
        {"role": "assistant", "content": "Gout is asthma."},
        {"role": "user", "content": "and how is it treated?"},
    ]
    text = client.chat.completions.create(model="medcite", messages=messages).choices[0].message.content
    assert text.startswith("Understood as: What is gout? (and how is it treated?)")
    assert pipeline.options == {"history": ["What is gout?"]}


def test_a_stop_string_ends_the_text(client: Any) -> None:
    found = client.chat.completions.create(model="medcite", messages=ASTHMA, stop=["wheezing", "nowhere"])
    assert found.choices[0].message.content == "They are "
    assert found.choices[0].message.annotations == []


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"model": "gpt-4", "messages": ASTHMA}, 404, "there are: medcite"),
        ({"model": "medcite", "messages": []}, 400, "messages"),
        ({"model": "medcite", "messages": [{"role": "assistant", "content": "x"}]}, 400, "last message"),
        ({"model": "medcite", "messages": ASTHMA, "n": 2}, 400, "n:"),
        ({"model": "medcite", "messages": [{"role": "user", "content": "a mistake"}]}, 400, "mode is not available"),
        ({"model": "medcite", "messages": [{"role": "user", "content": "explode"}]}, 500, "could not be finished"),
    ],
)
def test_mistakes_come_in_openais_form(client: Any, body: dict[str, Any], status: int, said: str) -> None:
    import openai

    with pytest.raises(openai.APIStatusError) as found:
        client.chat.completions.create(**body)
    assert found.value.status_code == status
    assert said in found.value.body["message"]  # type: ignore[index,call-overload]
    assert "\n" not in found.value.body["message"]  # type: ignore[index,call-overload]


def test_a_mistake_in_a_stream_is_an_error_there(client: Any) -> None:
    import openai

    stream = client.chat.completions.create(
        model="medcite", messages=[{"role": "user", "content": "explode"}], stream=True
    )
    with pytest.raises(openai.APIError, match="could not be finished"):
        list(stream)


def test_langchains_client_answers_and_streams(address: str) -> None:
    chat = pytest.importorskip(
        "langchain_openai", reason="langchain-openai is not installed (medcite[dev])"
    ).ChatOpenAI(base_url=address, api_key="none", model="medcite", max_retries=0)
    whole = chat.invoke("What are the symptoms of asthma?")
    assert "[1] Asthma" in whole.content
    assert "".join(str(one.content) for one in chat.stream("What are the symptoms of asthma?")) == whole.content


def test_curl_answers(address: str) -> None:
    curl = shutil.which("curl")
    if not curl:
        pytest.skip("no curl on this machine")
    body = json.dumps({"model": "medcite", "messages": ASTHMA})
    words = [curl, "-s", f"{address}/chat/completions", "-H", "content-type: application/json", "-d", body]
    reply = json.loads(subprocess.run(words, capture_output=True, check=True, timeout=60).stdout)
    assert reply["object"] == "chat.completion"
    nothing = subprocess.run([curl, "-s", f"{address}/embeddings"], capture_output=True, check=True, timeout=60).stdout
    assert "no such address" in json.loads(nothing)["error"]["message"]


def test_an_abstention_says_what_is_near_and_what_to_do_in_need() -> None:
    text = content(ABSTAINED)
    assert "do not cover" in text
    assert "Nearest topics: Asthma; Gout" in text
    assert "emergency number" in text
    assert citations(ABSTAINED, text) == []


def test_the_first_stop_counts() -> None:
    assert stopped("one two three", ["three", "two", ""]) == ("one ", True)
    assert stopped("one", ["two"]) == ("one", False)
