"""A tiny random Llama with a real (small) tokenizer and chat template, saved as a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from configs.schema import Generator

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WORDS = (
    "Gout is a form of arthritis. Asthma is a disease of the lungs. Symptoms include pain, cough and wheezing. "
    "Question: What are the symptoms? Answer the health question with the sources. user system assistant "
)


def tokenizer(template: str | None = TEMPLATE) -> Any:
    """A byte-level BPE of 400 tokens with ChatML's control tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    core.train_from_iterator(
        [WORDS] * 4,
        trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    result = PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token="<|im_end|>", pad_token="<|im_end|>", additional_special_tokens=special[1:]
    )
    result.chat_template = template
    return result


def save(
    folder: Path, hidden: int = 64, layers: int = 2, template: str | None = TEMPLATE, spread: float = 0.2
) -> Generator:
    """Write a random model into `folder`; the section that loads it, in fp32.

    With a small `spread` of its weights the last token decides the next, so that it soon runs in a loop.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    words = tokenizer(template)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        bos_token_id=words.eos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.eos_token_id,
        initializer_range=spread,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    words.save_pretrained(folder)
    return Generator(model=str(folder), precision="fp32")


def save_adapter(base: Path, folder: Path, targets: tuple[str, ...] | str = ("q_proj", "v_proj", "down_proj")) -> Path:
    """Write a LoRA adapter for the model in `base`, with random weights that change its logits."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    config = LoraConfig(
        r=4,
        lora_alpha=16,
        target_modules=targets if isinstance(targets, str) else list(targets),
        init_lora_weights=False,
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), config)
    model.save_pretrained(folder)
    return folder
