"""The reports' instruction formats, as chat templates: an adapter keeps its own beside its weights."""

from __future__ import annotations

INSTRUCTION = (
    "{% for message in messages %}"
    "{% if message.role == 'system' %}### Instruction:\n{{ message.content }}\n\n"
    "{% elif message.role == 'user' %}### Input:\n{{ message.content }}\n\n"
    "{% else %}### Response:\n{{ message.content }}{{ eos_token }}\n\n{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}### Response:\n{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% set ns = namespace(system='') %}"
    "{% for message in messages %}"
    "{% if message.role == 'system' %}{% set ns.system = message.content + '\n\n' %}"
    "{% elif message.role == 'user' %}[INST] {{ ns.system }}{{ message.content }} [/INST]{% set ns.system = '' %}"
    "{% else %} {{ message.content }}{{ eos_token }}{% endif %}"
    "{% endfor %}"
)
LLAMA3 = (
    "{{ bos_token or '' }}"
    "{% for message in messages %}"
    "<|start_header_id|>{{ message.role }}<|end_header_id|>\n\n{{ message.content }}<|eot_id|>"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
FORMATS: dict[str, str | None] = {
    "chat": None,
    "instruction": INSTRUCTION,
    "mistral": MISTRAL,
    "llama3": LLAMA3,
}
"""By the name a recipe gives; None is the tokenizer's own template."""
