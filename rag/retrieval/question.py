"""A question as retrieval reads it: the whole, and for a long message also each sentence that may hold the question.

No command of its own; `medcite search` and `medcite ask` come through here.
"""

from __future__ import annotations

import re

from index.sentences import spans

SHORT_WORDS = 16
"""A question of one sentence up to this many words is searched as it is."""
MAX_WORDS = 400
"""Words of a message that are read at all; consumer messages to the NLM are far shorter."""
MAX_WHOLE_WORDS = 64
"""Words of the whole that are embedded as one; a longer average of topics finds none of them."""
MAX_PART_WORDS = 40

_COURTESY = re.compile(
    r"^(?:(?:hi|hello|hey|dear|greetings|good (?:morning|afternoon|evening|day)|respected)\b[^.?!]{0,40}$"
    r"|(?:many )?(?:thanks?|thank you|thanking you|(?:best |kind |warm )?regards|sincerely|god bless|best wishes)\b.*"
    r"|(?:please|pls|kindly|can you|could you)? ?(?:help|advise|reply|respond|let me know)(?: me| us)?"
    r"(?: please| asap)?$"
    r"|my name is [^.?!]{1,30}$|i am name$|name$)",
    re.IGNORECASE,
)
_GREETING = re.compile(
    r"^(?:(?:hi|hello|hey)(?: there| all| everyone| doctors?| dr\.?)?"
    r"|dear (?:sir|madam|doctor|dr\.?)(?:[ /]*(?:or )?(?:sir|madam))?"
    r"|good (?:morning|afternoon|evening|day))\s*[,.!:;-]*\s+",
    re.IGNORECASE,
)
# "Why??" asks what "Why?" asks, but its vector is another: a second mark turned an answer into an abstention.
_REPEATED = re.compile(r"([?!])[?!]+")
_ASKS = re.compile(
    r"\?|\b(?:what|how|why|when|where|which|who|is there|are there|can|could|should|does|do i|would like|want|need|"
    r"know|information|info|advise|suggest|treat\w*|cure\w*|symptoms?|causes?)\b",
    re.IGNORECASE,
)


def parts(question: str, limit: int) -> list[str]:
    """What to search for: the whole question first, then at most `limit` - 1 of its sentences, in their order.

    Greetings, thanks and signatures are left out. The first sentence (a message's subject) and those that
    ask come before the others. Always at least one text; only the first MAX_WORDS words are read.
    """
    words = question.split()
    text = _REPEATED.sub(r"\1", " ".join(words[:MAX_WORDS]))
    text = _GREETING.sub("", text) or text
    sentences = [text[start:end] for start, end in spans(text)]
    kept = [s for s in sentences if not _COURTESY.match(s.strip(" .,!?;:-"))] or sentences or [text]
    whole = " ".join(kept)
    if len(kept) == 1 and len(whole.split()) <= SHORT_WORDS:
        return [whole]
    pieces: list[str] = []
    for sentence in kept:
        own = sentence.split()
        pieces += [" ".join(own[i : i + MAX_PART_WORDS]) for i in range(0, len(own), MAX_PART_WORDS)]
    first = " ".join(whole.split()[:MAX_WHOLE_WORDS])
    pieces = [piece for piece in dict.fromkeys(pieces) if piece != first]
    order = sorted(range(len(pieces)), key=lambda i: (i > 0, not _ASKS.search(pieces[i]), i))[: max(limit - 1, 0)]
    return [first, *(pieces[i] for i in sorted(order))]
