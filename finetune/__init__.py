"""Question-answer pairs to a LoRA adapter; today the splits that keep choices and reports apart."""
