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
from monai.data import MetaTensor, list_data_collate
from monai.handlers import IgniteMetricHandler
from monai.metrics import DiceMetric
from monai.networks.utils import one_hot

from pranet_monai.metrics import SegmentationDice, SegmentationSurface, case_metrics

from .blobs import label_pair

CLASSES = 4
ORGANS = {"one": (1,), "two": (2,), "three": (3,)}
COLUMNS = {"hd95": "hd95_mm", "assd": "assd_mm", "nsd": "nsd"}
SPACING = (1.5, 0.8, 6.0)


def batch(*seeds: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Predicted and reference labels (B, 1, H, W, D); the first case lacks organ 2, the last has no organ 3 at all."""
    pairs = [label_pair(seed) for seed in seeds]
    pairs[0][0][pairs[0][0] == 2] = 0
    for labels in pairs[-1]:
        labels[labels == 3] = 0
    return tuple(torch.from_numpy(np.stack(labels))[:, None] for labels in zip(*pairs))  # type: ignore[return-value]


def expected(column: str, prediction: torch.Tensor, reference: torch.Tensor, spacing=SPACING) -> np.ndarray:
    cases = [case_metrics(p[0], r[0], ORGANS, spacing) for p, r in zip(prediction.numpy(), reference.numpy())]
    return np.array([[row[column] for row in rows] for rows in cases])


def test_dice_agrees_with_the_pure_function_and_monai() -> None:
    prediction, reference = batch(0, 1, 2)
    metric = SegmentationDice(CLASSES)
    scores = metric(prediction, reference)
    np.testing.assert_allclose(scores, expected("dice", prediction, reference))
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


@pytest.mark.parametrize("metric", list(COLUMNS))
def test_surface_agrees_with_the_pure_functions(metric: str) -> None:
    prediction, reference = batch(5, 6)
    surface = SegmentationSurface(metric, CLASSES, spacing=SPACING)
    values = expected(COLUMNS[metric], prediction, reference)
    np.testing.assert_allclose(surface(prediction, reference), values)
    assert surface.aggregate().item() == pytest.approx(np.nanmean(np.nanmean(values, axis=1)))


@pytest.mark.parametrize("collate", [list_data_collate, list], ids=["batch", "list"])
def test_spacing_of_each_case_comes_from_its_affine(collate) -> None:
    prediction, reference = batch(7, 8)
    affines = [torch.diag(torch.tensor([*SPACING, 1.0])), torch.diag(torch.tensor([3.0, 2, 1, 1]))]
    items = [MetaTensor(labels, affine=affine) for labels, affine in zip(reference, affines)]
    scores = SegmentationSurface("hd95", CLASSES, spacing=(9, 9, 9))(collate(list(prediction)), collate(items))
    np.testing.assert_allclose(scores[:1], expected("hd95_mm", prediction[:1], reference[:1]))
    np.testing.assert_allclose(scores[1:], expected("hd95_mm", prediction[1:], reference[1:], (3, 2, 1)))


def test_missing_more_is_never_better() -> None:
    prediction, reference = batch(9, 10)
    worse = torch.where(prediction == 1, 0, prediction)
    for metric, sign in (("hd95", 1), ("assd", 1), ("nsd", -1)):
        scores = []
        for labels in (prediction, worse):
            surface = SegmentationSurface(metric, CLASSES, spacing=SPACING)
            surface(labels, reference)
            scores.append(sign * surface.aggregate())
        assert scores[1] > scores[0]
    surface = SegmentationSurface("hd95", CLASSES, spacing=SPACING, missed="inf")
    surface(worse, reference)
    assert surface.aggregate().item() == math.inf


def test_in_the_handlers_of_an_engine() -> None:
    data = [batch(0, 1), batch(2, 3)]
    engine = Engine(lambda _, item: item)
    IgniteMetricHandler(SegmentationDice(CLASSES)).attach(engine, "dice")
    IgniteMetricHandler(SegmentationSurface("nsd", CLASSES, reduction="mean_batch", spacing=SPACING)).attach(
        engine, "nsd"
    )
    for _ in range(2):  # the second run starts afresh
        engine.run(data)
        values = np.concatenate([expected("dice", *item) for item in data])
        assert engine.state.metrics["dice"] == pytest.approx(np.nanmean(np.nanmean(values, axis=1)))
        np.testing.assert_allclose(engine.state.metric_details["dice"], values)
        assert engine.state.metrics["nsd"].shape == (3,)


def _score_on_one_rank(rank: int, port: int) -> None:
    """Two cases on rank 0, one on rank 1; both must see all three."""
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    seeds = (0, 1, 2)
    prediction, reference = batch(*seeds)
    alone = SegmentationDice(CLASSES)
    mine = slice(0, 2) if rank == 0 else slice(2, 3)
    alone(prediction[mine], reference[mine])
    values = expected("dice", prediction, reference)
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
    with pytest.raises(ValueError, match=r"distances need a voxel size: .* SegmentationSurface\(spacing=...\)"):
        SegmentationSurface("hd95", CLASSES)(prediction, reference)
    with pytest.raises(ValueError, match="SegmentationDice has seen no case"):
        metric.aggregate()
    assert metric.counts()["missed"] == [0, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_classes": 1}, "must be at least 2, got 1"),
        ({"reduction": "sum"}, "reduction must be one of mean, mean_batch, none, got 'sum'"),
        ({"metric": "hd"}, "metric must be one of hd95, assd, nsd, got 'hd'"),
        ({"definition": "mean"}, "definition must be one of pooled, max"),
        ({"missed": "nan"}, "missed must be one of diagonal, inf, got 'nan'"),
    ],
)
def test_wrong_arguments(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SegmentationSurface(**({"metric": "hd95", "num_classes": CLASSES} | arguments))
