"""Train a tiny GPT-2 by the Trainer of transformers, with checkpoints when they are ordered. Nothing is downloaded.

``python sdk/examples/huggingface/train.py --directory run --steps 60``; run it again to go on from the newest good
checkpoint. It needs ``transformers`` and ``accelerate``.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import forestall_client


def main(words: list[str] | None = None) -> None:
    """Train to the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=60)
    chosen = parser.parse_args(words)
    client = forestall_client.connect()  # before the imports, which take seconds: the cluster agent hears of us at once
    os.environ.setdefault("HF_HUB_OFFLINE", "1")

    import torch
    from forestall_client.huggingface import ForestallCallback, newest_checkpoint
    from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

    torch.set_num_threads(1)
    torch.manual_seed(7)
    texts = torch.randint(0, 64, (256, 16))
    model = GPT2LMHeadModel(
        GPT2Config(vocab_size=64, n_positions=16, n_embd=32, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0)
    )
    arguments = TrainingArguments(
        output_dir=str(chosen.directory),
        max_steps=chosen.steps,
        per_device_train_batch_size=4,
        save_strategy="no",
        save_total_limit=2,
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
    )
    data = [{"input_ids": text, "labels": text} for text in texts]
    trainer = Trainer(model=model, args=arguments, train_dataset=data, callbacks=[ForestallCallback(client)])
    trainer.train(resume_from_checkpoint=newest_checkpoint(chosen.directory))
    torch.save(model.state_dict(), chosen.directory / "final.pt")


if __name__ == "__main__":
    main()
