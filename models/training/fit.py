"""Fitting in torch: the literal logistic form or a small network, on one thread, from one seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from models.calibration import Calibration, Doubles, Labels, Platt, fit_isotonic, fit_platt, sigmoid
from models.mlp import Layer, Predictor
from models.training.examples import Examples
from models.training.hinges import Pieces

Form = Literal["mlp", "logistic"]

#: Standard deviations at which a normalised feature is cut off, and the least that counts as one.
CLIP: Final = 5.0
#: The same where features are told in pieces, the last of which ends at the greatest value.
WIDE_CLIP: Final = 100.0
#: Each so-manieth row tells where the pieces lie.
_BOUNDED_BY_EACH: Final = 7
STD_MIN: Final = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to fit. ``patience`` is the number of epochs without a better validation loss after which to stop.

    The step width falls in a straight line from ``rate`` to nothing over the epochs. ``balanced`` gives positive rows
    :func:`imbalance_weight`; where the parts are balanced otherwise it only blurs the very top. ``hidden`` are the
    widths of the layers in between. ``members`` networks, each from a seed of its own, are made one that gives the mean
    of their log odds. With ``quantiles`` each feature is told in pieces between them (:mod:`models.training.hinges`).
    ``certain``, if not 0, takes the squared error of log odds for the loss, of targets that are probabilities, at least
    this and at most 1 less it: beyond it is all one to an alarm.
    """

    form: Form = "mlp"
    seed: int = 0
    hidden: tuple[int, ...] = (48,)
    epochs: int = 12
    patience: int = 4
    batch: int = 1_024
    rate: float = 3e-3
    decay: float = 1e-3
    balanced: bool = True
    members: int = 1
    quantiles: tuple[float, ...] = ()
    certain: float = 0.0


def fit(
    recipe: Recipe,
    parts: Mapping[str, Examples],
    frame: Mapping[str, Any],
    progress: Callable[[int, float, float], None] = lambda epoch, train, validation: None,
) -> Predictor:
    """Fit on ``train``, stop early by ``validation``, calibrate on ``calibration``; ``test`` is not looked at.

    Fitted is the parts' ``target``, calibrated the share that ``failed`` within the horizon.

    Parameters
    ----------
    frame : what the predictor is told of itself: ``feature_names``, ``horizon_s``, ``window``, ``provenance``.
    progress : is told epoch, training loss and validation loss after each epoch.
    """
    train = parts["train"]
    mean = train.features.mean(axis=0, dtype=np.float64)
    std = np.maximum(train.features.std(axis=0, dtype=np.float64), STD_MIN)
    clip = WIDE_CLIP if recipe.quantiles else CLIP

    def normal(part: str) -> NDArray[np.float32]:
        found: NDArray[np.float32] = np.clip((parts[part].features - mean) / std, -clip, clip).astype(np.float32)
        return found

    normalised = {name: torch.from_numpy(normal(name)) for name in ("train", "validation")}
    pieces = Pieces(normalised["train"].numpy()[::_BOUNDED_BY_EACH], recipe.quantiles) if recipe.quantiles else None
    seeds = [recipe.seed + number for number in range(recipe.members)]
    networks = [_train(replace(recipe, seed=seed), normalised, parts, progress, pieces) for seed in seeds]
    layers = side_by_side_layers([layers_of(network) for network in networks])
    if pieces is not None:
        layers = (*pieces.folded(layers[0], len(mean)), *layers[1:])
    raw = Predictor(layers=layers, mean=mean, std=std, clip=clip, **frame)
    held = parts["calibration"]
    if pieces is None:
        return _calibrate(raw, raw.logit(held.features), held, recipe.form, frame)
    return _calibrate(raw, _together(networks, torch.from_numpy(normal("calibration"))), held, recipe.form, frame)


def build(recipe: Recipe, features: int, pieces: Pieces | None = None) -> nn.Sequential:
    """The network in torch: one linear layer, or several with max(0, x) between; of the pieces of features, if any."""
    torch.manual_seed(recipe.seed)
    inputs = features if pieces is None else len(pieces.column)
    widths = [inputs, *(() if recipe.form == "logistic" else recipe.hidden)]
    steps: list[nn.Module] = [] if pieces is None else [pieces]
    for inputs, outputs in pairwise(widths):
        steps += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*steps, nn.Linear(widths[-1], 1))


def layers_of(network: nn.Sequential) -> tuple[Layer, ...]:
    """The linear layers of a network in float64, without what pieces come before them."""
    return tuple(
        Layer(module.weight.detach().double().numpy().copy(), module.bias.detach().double().numpy().copy())
        for module in network
        if isinstance(module, nn.Linear)
    )


def side_by_side_layers(networks: Sequence[tuple[Layer, ...]]) -> tuple[Layer, ...]:
    """One network that gives the mean of what several of the same depth give: each keeps to its own part of a layer."""
    if len(networks) == 1:
        return networks[0]
    first, *inner = zip(*networks, strict=True)
    layers = [Layer(np.concatenate([one.weight for one in first]), np.concatenate([one.bias for one in first]))]
    for several in inner[:-1]:
        weight = np.zeros((sum(len(one.bias) for one in several), sum(one.weight.shape[1] for one in several)))
        row = column = 0
        for one in several:
            rows, columns = one.weight.shape
            weight[row : row + rows, column : column + columns] = one.weight
            row, column = row + rows, column + columns
        layers.append(Layer(weight, np.concatenate([one.bias for one in several])))
    last = np.concatenate([layer.weight for layer in inner[-1]], axis=1) / len(networks)
    return (*layers, Layer(last, np.mean([layer.bias for layer in inner[-1]], axis=0)))


def _train(
    recipe: Recipe,
    normalised: Mapping[str, torch.Tensor],
    parts: Mapping[str, Examples],
    progress: Callable[[int, float, float], None],
    pieces: Pieces | None,
) -> nn.Sequential:
    torch.set_num_threads(1)
    network = build(recipe, normalised["train"].shape[1], pieces)
    labels = {name: torch.from_numpy(_aimed_at(recipe, parts[name].target))[:, None] for name in normalised}
    loss = _loss(recipe, float(parts["train"].target.mean()))
    optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    slower = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda epoch: 1 - epoch / recipe.epochs)
    shuffle = torch.Generator().manual_seed(recipe.seed)
    best, best_state, waited = np.inf, network.state_dict(), 0
    for epoch in range(recipe.epochs):
        total = 0.0
        for rows in torch.randperm(len(labels["train"]), generator=shuffle).split(recipe.batch):
            optimiser.zero_grad()
            value = loss(network(normalised["train"][rows]), labels["train"][rows])
            value.backward()
            optimiser.step()
            total += float(value.detach()) * len(rows)
        slower.step()
        with torch.no_grad():
            validation = float(loss(network(normalised["validation"]), labels["validation"]))
        progress(epoch + 1, total / len(labels["train"]), validation)
        if validation < best:
            best, waited = validation, 0
            best_state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        elif (waited := waited + 1) >= recipe.patience:
            break
    network.load_state_dict(best_state)
    return network


def _together(networks: Sequence[nn.Sequential], normalised: torch.Tensor) -> Doubles:
    """The mean of their log odds, ``(n,)``."""
    with torch.no_grad():
        each = [np.concatenate([one(x).numpy()[:, 0] for x in normalised.split(8_192)]) for one in networks]
    found: Doubles = np.mean(each, axis=0, dtype=np.float64)
    return found


def _loss(recipe: Recipe, share: float) -> nn.Module:
    weight = imbalance_weight(share)
    if recipe.certain:
        return nn.MSELoss()
    return nn.BCEWithLogitsLoss(pos_weight=torch.tensor(weight if recipe.balanced else 1.0))


def _aimed_at(recipe: Recipe, target: NDArray[Any]) -> NDArray[np.float32]:
    """What is fitted to: the target, or its log odds."""
    if not recipe.certain:
        return target.astype(np.float32)
    bounded = np.clip(target.astype(np.float64), recipe.certain, 1 - recipe.certain)
    found: NDArray[np.float32] = np.log(bounded / (1 - bounded)).astype(np.float32)
    return found


def imbalance_weight(share: float) -> float:
    """Weight of a positive row: the square root of negatives per positive, a middle way that calibration then undoes.

    >>> imbalance_weight(0.01)
    9.9498743710662
    """
    if not 0 < share < 1:
        raise ValueError(f"{share:.0%} of the training rows are positive: a predictor needs rows of both outcomes")
    return float(np.sqrt((1 - share) / share))


def _calibrate(raw: Predictor, logit: Doubles, held: Examples, form: Form, frame: Mapping[str, Any]) -> Predictor:
    kept = {"mean": raw.mean, "std": raw.std, "clip": raw.clip, **frame}
    if form == "mlp":
        return Predictor(layers=raw.layers, calibration=choose_calibration(logit, held), **kept)
    platt = fit_platt(logit, held.failed)
    layer = raw.layers[0]
    folded = Layer(layer.weight * platt.slope, layer.bias * platt.slope + platt.intercept)
    return Predictor(layers=(folded,), calibration=Platt(), **kept)


def choose_calibration(logit: Doubles, held: Examples) -> Calibration:
    """Platt or isotonic, whichever loses less on nodes that it was not fitted on; then fitted on all of them."""
    fits: tuple[Callable[[Doubles, Labels], Calibration], ...] = (fit_platt, fit_isotonic)
    odd = held.node % 2 == 1
    losses = []
    for fitted in fits:
        halves = ((odd, ~odd), (~odd, odd))
        losses.append(sum(_log_loss(fitted(logit[a], held.failed[a])(logit[b]), held.failed[b]) for a, b in halves))
    return fits[int(np.argmin(losses))](logit, held.failed)


def _log_loss(p: Doubles, failed: NDArray[np.bool_]) -> float:
    p = np.clip(p, 1e-6, 1 - 1e-6)
    return float(-np.log(np.where(failed, p, 1 - p)).sum())


def torch_probability(network: nn.Sequential, predictor: Predictor, features: NDArray[np.float32]) -> Doubles:
    """The same probabilities computed by torch in double precision, to check numpy's against; uncalibrated."""
    x = np.clip((features - predictor.mean) / predictor.std, -predictor.clip, predictor.clip)
    with torch.no_grad():
        return sigmoid(network.double()(torch.from_numpy(x)).numpy()[:, 0])
