"""Train a tiny model by Lightning's Trainer, with checkpoints when they are ordered.

``python sdk/examples/lightning/train.py --directory run --steps 60``; run it again to go on from the newest good
checkpoint. It needs ``lightning``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import forestall_client


def main(words: list[str] | None = None) -> None:
    """Train to the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=60)
    chosen = parser.parse_args(words)
    client = forestall_client.connect()  # before the imports, which take seconds: the cluster agent hears of us at once

    import torch
    from forestall_client.lightning import ForestallCallback, newest_checkpoint
    from lightning.pytorch import LightningModule, Trainer
    from torch.utils.data import DataLoader

    class Line(LightningModule):
        """A perceptron that learns the sum of its inputs.

        What a step learns from depends on its number alone: so it is the same after a checkpoint was taken up, where a
        plain loader would begin at its first batch again.
        """

        def __init__(self) -> None:
            super().__init__()
            self.layers = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))

        def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
            inputs = torch.randn(4, 8, generator=torch.Generator().manual_seed(self.global_step))
            return torch.nn.functional.mse_loss(self.layers(inputs)[:, 0], inputs.sum(dim=1))

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), 1e-2)

    torch.set_num_threads(1)
    torch.manual_seed(7)
    model = Line()
    trainer = Trainer(
        max_steps=chosen.steps,
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        callbacks=[ForestallCallback(chosen.directory, client)],
    )
    trainer.fit(model, DataLoader(range(chosen.steps)), ckpt_path=newest_checkpoint(chosen.directory))
    chosen.directory.mkdir(exist_ok=True)
    torch.save(model.state_dict(), chosen.directory / "final.pt")


if __name__ == "__main__":
    main()
