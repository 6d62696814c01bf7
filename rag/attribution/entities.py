"""Words of a text that name something: a gene, a disease, a drug, a person.

A sentence may follow its source word for word but for another disease's name, which similarity alone does not show.
`python -m pytest tests/rag/attribution/test_entities.py` runs it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from index.words import Token, listed

_MEDICAL = re.compile(
    r"""(?:itis|osis|oses|emia|aemia|uria|oma|omas|omata|pathy|pathies|plasia|plegia|paresis|trophy|algia|rrhea|rrhage
    |ectomy|otomy|ostomy|oscopy|plasty|phobia|philia|penia|cytosis|kinesia|phasia|megaly|sclerosis|stenosis|syndrome
    |mab|nib|statin|cillin|mycin|micin|azole|pril|sartan|olol|dipine|caine|vir|zepam|zolam|triptan|gliptin|gliflozin
    |cycline|floxacin|oxetine|pramine|barbital|thiazide|steroid|sone|solone|profen|oxicam|coxib|parin|platin|rubicin
    |taxel|tinib|lukast|terol|tropium|formin|zide|amide|idine|idone|apine|azine|icine|urea|ase|ases|ogen|globin|myosin
    |virus|viruses|coccus|cocci|bacter|bacteria|monas|plasma)$""",
    re.VERBOSE,
)
_NOT_MEDICAL = frozenset(
    listed(
        """
disease diseases increase decrease base bases case cases phase phases release purchase phrase ease erase chase
database please lease increases decreases releases provide provides guide guides wide side outside inside decide
diagnosis diagnoses prognosis reason season person persons lesson comparison medicine medicines aside bacteria
virus viruses syndrome reside slide hide divide consequently
"""
    )
)


_NAMED = frozenset(["syndrome", "syndromes", "gene", "genes", "virus", "deficiency", "anemia"])
_OPENERS = frozenset(
    listed(
        """
        people person patients patient individuals individual children child adults women men doctors doctor
        physicians researchers scientists experts health healthcare medical symptoms symptom signs sign treatment
        treatments therapy therapies medicine medicines medication medications drugs drug surgery causes cause
        factors factor risk risks tests test testing diagnosis screening prevention early late severe mild
        complications complication problems problem changes change mutations mutation genes gene genetic inherited
        rare common additional different several various certain specific similar first second third finally overall
        unlike affected another possible potential main major primary secondary current recent new studies research
        evidence depending based regular proper important talk ask see call contact avoid eat drink take try seek
        keep follow wash stop quit tell learn know remember rest exercise diet food foods smoking blood pain
        infection infections cells cell body skin babies infants pregnant older younger family parents members age
        number type types form forms condition conditions disease disease's disorder disorders syndrome diseases
        result results example examples source sources page answer information help support care living life time
        times day days years chronic acute autosomal congenital hereditary familial vitamin human normal high low
        related rarely frequently approximately
        """
    )
)
_OPENS = re.compile(r"[.!?:\n][\"')\]]*\s*(?:[-*•]\s*)?$")


def names(text: str, words: Sequence[Token]) -> list[Token]:
    """Words that name something: symbols (GLB1, mRNA), capitalised words but for the usual first words of a
    sentence, words before "syndrome" or "gene", and words that end like a disease, a drug or an enzyme.
    Stop words and numbers are none."""
    found = []
    shouting = text.isupper()
    for i, word in enumerate(words):
        if not word.stem or (word.text[0].isdigit() and word.text.replace(",", "").replace(".", "").isdigit()):
            continue
        shape = text[word.start : word.end]
        first = (
            i == 0 or re.search(r"[.!?:\n][\"')\]]*\s*(?:[-*•]\s*)?$", text[words[i - 1].end : word.start]) is not None
        )
        symbol = not shouting and (any(c.isupper() for c in shape[1:]) or any(c.isdigit() for c in shape))
        capital = not shouting and shape[0].isupper() and not first
        if first and shape[0].isupper() and not shouting:
            capital = word.text not in _OPENERS and not word.text.endswith(("ing", "ly"))
        before = i + 1 < len(words) and words[i + 1].text in _NAMED and word.text not in _OPENERS
        medical = before or (
            len(word.text) > 5 and word.text not in _NOT_MEDICAL and _MEDICAL.search(word.text) is not None
        )
        if symbol or capital or medical:
            found.append(word)
    return found
