# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
import socket

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing
from ignite.engine import Engine
from monai.data import MetaTensor
from monai.handlers import IgniteMetricHandler
from monai.metrics import DiceMetric
from monai.networks.utils import one_hot
from pranet_monai.metrics import SegmentationDice, case_metrics

from .blobs import label_pair

CLASSES = 4
ORGANS = {"one": (1,), "two": (2,), "three": (3,)}
SPACING = (1.5, 0.8, 6.0)


def batch(*seeds: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Predicted and reference labels (B, 1, H, W, D); the first case lacks organ 2, the last has no organ 3 at all."""
    pairs = [label_pair(seed) for seed in seeds]
    pairs[0][0][pairs[0][0] == 2] = 0
    for labels in pairs[-1]:
        labels[labels == 3] = 0
    return tuple(torch.from_numpy(np.stack(labels))[:, None] for labels in zip(*pairs))  # type: ignore[return-value]


def expected(prediction: torch.Tensor, reference: torch.Tensor) -> np.ndarray:
    cases = [case_metrics(p[0], r[0], ORGANS, SPACING) for p, r in zip(prediction.numpy(), reference.numpy())]
    return np.array([[row["dice"] for row in rows] for rows in cases])


def test_dice_agrees_with_the_pure_function_and_monai() -> None:
    prediction, reference = batch(0, 1, 2)
    metric = SegmentationDice(CLASSES)
    scores = metric(prediction, reference)
    np.testing.assert_allclose(scores, expected(prediction, reference))
    monai = DiceMetric(include_background=False)
    np.testing.assert_allclose(scores, monai(one_hot(prediction, CLASSES), one_hot(reference, CLASSES)), atol=1e-6)
    assert metric.aggregate().item() == pytest.approx(monai.aggregate().item(), abs=1e-6)


def test_absent_in_one_scores_zero_and_absent_in_both_is_left_out() -> None:
    metric = SegmentationDice(CLASSES)
    scores = metric(*batch(0, 1))
    assert scores[0, 1] == 0
    assert math.isnan(scores[1, 2])
    assert metric.counts() == {
        "ok": [2, 1, 1],
        "missed": [0, 1, 0],
        "false_positive": [0, 0, 0],
        "both_empty": [0, 0, 1],
    }
    by_case = (scores[0].mean() + scores[1, :2].mean()) / 2
    assert metric.aggregate().item() == pytest.approx(by_case.item())
    np.testing.assert_allclose(metric.aggregate("mean_batch"), [*scores[:, :2].mean(dim=0), scores[0, 2]])
    np.testing.assert_array_equal(metric.aggregate("none"), scores)


@pytest.mark.parametrize("form", ["one-hot", "float", "list", "meta"])
def test_forms_of_input(form: str) -> None:
    prediction, reference = batch(3, 4)
    scores = SegmentationDice(CLASSES)(prediction, reference)
    convert = {
        "one-hot": lambda t: one_hot(t, CLASSES),
        "float": lambda t: t.float(),
        "list": list,
        "meta": MetaTensor,
    }[form]
    metric = SegmentationDice(CLASSES)
    np.testing.assert_array_equal(metric(convert(prediction), convert(reference)), scores)


def test_background_on_request() -> None:
    scores = SegmentationDice(CLASSES, include_background=True)(*batch(0))
    assert scores.shape == (1, CLASSES)
    np.testing.assert_array_equal(scores[:, 1:], SegmentationDice(CLASSES)(*batch(0)))


def test_in_the_handlers_of_an_engine() -> None:
    data = [batch(0, 1), batch(2, 3)]
    engine = Engine(lambda _, item: item)
    IgniteMetricHandler(SegmentationDice(CLASSES)).attach(engine, "dice")
    IgniteMetricHandler(SegmentationDice(CLASSES, reduction="mean_batch")).attach(engine, "dice_of_each")
    for _ in range(2):  # the second run starts afresh
        engine.run(data)
        values = np.concatenate([expected(*item) for item in data])
        assert engine.state.metrics["dice"] == pytest.approx(np.nanmean(np.nanmean(values, axis=1)))
        np.testing.assert_allclose(engine.state.metric_details["dice"], values)
        np.testing.assert_allclose(engine.state.metrics["dice_of_each"], np.nanmean(values, axis=0))


def _score_on_one_rank(rank: int, port: int) -> None:
    """Two cases on rank 0, one on rank 1; both must see all three."""
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    seeds = (0, 1, 2)
    prediction, reference = batch(*seeds)
    alone = SegmentationDice(CLASSES)
    mine = slice(0, 2) if rank == 0 else slice(2, 3)
    alone(prediction[mine], reference[mine])
    values = expected(prediction, reference)
    np.testing.assert_allclose(alone.get_buffer(), values)
    assert alone.aggregate().item() == pytest.approx(np.nanmean(np.nanmean(values, axis=1)))
    assert alone.counts()["missed"] == [0, 1, 0]
    assert alone.counts()["both_empty"] == [0, 0, 1]
    dist.destroy_process_group()


@pytest.mark.slow
def test_across_two_processes() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(_score_on_one_rank, args=(port,), nprocs=2)


def test_wrong_input() -> None:
    prediction, reference = batch(0, 1)
    metric = SegmentationDice(3)
    with pytest.raises(ValueError, match=r"y_pred holds labels outside 0..2 \(label: voxels\): \{3: \d+\}"):
        metric(prediction, reference.clamp(max=2))
    with pytest.raises(ValueError, match=r"must have 1 channel \(labels\) or 3 \(one-hot\), got 2"):
        metric(torch.cat([prediction] * 2, dim=1), reference)
    with pytest.raises(ValueError, match="same grid"):
        SegmentationDice(CLASSES)(prediction[..., 1:], reference)
    with pytest.raises(ValueError, match="needs a reference"):
        metric(prediction)
    with pytest.raises(ValueError, match="SegmentationDice has seen no case"):
        metric.aggregate()
    assert metric.counts()["missed"] == [0, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": 1}, "must be at least 2, got 1"),
        ({"reduction": "sum"}, "reduction must be one of mean, mean_batch, none, got 'sum'"),
    ],
)
def test_wrong_arguments(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SegmentationDice(**({"num_classes": CLASSES} | arguments))
