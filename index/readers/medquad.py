"""MedQuAD's own XML, from the GitHub archive's zip, an unpacked folder or one file.

The project's starter corpus is written in the same form and read here too; its documents carry
`source="medcite starter"` and give pairs with `demonstration` set.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError

from configs.errors import UserError
from index.corpus import QAPair
from index.readers.files import xml_files
from index.readers.report import ReadReport

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

STARTER = "medcite starter"
ROOTS = ("Document", "DiseaseFile")
"""One file of 9_CDC_QA calls its root DiseaseFile. Four of 6_NINDS_QA (16 pairs) are in an older form, `<doc>`,
which the usual count of 16,407 answered pairs leaves out; they are skipped and named."""


def read(path: Path, report: ReadReport) -> Iterator[QAPair]:
    """The answered pairs of every document, uncleaned, in natural order of the file names.

    Raises UserError for XML that declares entities or points outside itself: no health page does.
    """
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    for name, data in xml_files(path, report):
        try:
            root = fromstring(data)
        except DefusedXmlException as error:
            raise UserError(
                f"{path}: {name} declares XML entities or refers to outside files ({type(error).__name__}): refused"
            ) from error
        except (ParseError, LookupError, ValueError) as error:
            report.skip(str(name), error)
            continue
        if root.tag not in ROOTS:
            report.skip(str(name), f"its root element is <{root.tag}>, not <Document>")
            continue
        yield from _document(name, root, report)


def _document(name: PurePosixPath, root: Element, report: ReadReport) -> Iterator[QAPair]:
    document = _text(root.get("id") or root.get("fid")) or name.stem
    source = _text(root.get("source"))
    url = _text(root.get("url"))
    focus = _text(root.findtext("Focus"))
    synonyms, cuis, types = (_texts(root, tag) for tag in ("Synonym", "CUI", "SemanticType"))
    group = next(iter(_texts(root, "SemanticGroup")), "")
    for place, element in enumerate(root.iter("QAPair"), start=1):
        report.read += 1
        question, answer = element.find("Question"), element.find("Answer")
        asked = "" if question is None else "".join(question.itertext())
        said = "" if answer is None else "".join(answer.itertext())
        if not said.strip():
            report.unanswered += 1
            continue
        question_id = _text(question.get("qid")) if question is not None else ""
        question_id = question_id or f"{document}-{element.get('pid') or place}"
        # Ten CancerGov files carry another file's document id, so their qids repeat: the file name tells them apart.
        own = question_id
        if name.stem != document and question_id.startswith(f"{document}-"):
            own = name.stem + question_id.removeprefix(document)
        report.answered += 1
        report.answered_by_source[source] += 1
        yield QAPair(
            id=f"{'starter' if source == STARTER else source or name.parent.name}/{own}",
            question=asked,
            answer=said,
            collection=name.parent.name,
            document=document,
            question_id=question_id,
            question_type=_text(question.get("qtype")) if question is not None else "",
            focus=focus,
            synonyms=synonyms,
            cuis=cuis,
            semantic_types=types,
            semantic_group=group,
            source=source,
            url=url,
            urls=(url,) if url else (),
            demonstration=source == STARTER,
        )


def _text(text: str | None) -> str:
    return " ".join((text or "").split())


def _texts(root: Element, tag: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, (_text(element.text) for element in root.iter(tag)))))
