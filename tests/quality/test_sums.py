# SPDX-License-Identifier: Apache-2.0
"""Measures of maps equal what is computed on the whole volume at once, however the slices come."""

from __future__ import annotations

from copy import copy

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from pranet_monai.inferers import MultiViewInferer, SliceVolumeInferer
from pranet_monai.quality import segment_with_evidence
from pranet_monai.quality.features import organ_measures
from pranet_monai.quality.sums import SliceSums
from torch import Tensor

from ..inferers.base import affine, volume
from .samples import TwoMinds

ORGANS = {"one": (1,), "two_and_three": (2, 3)}


def whole_maps(inputs: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of all classes (C, H, W, S): the answer's and the opinion's."""
    network = TwoMinds()
    with torch.no_grad():
        both = [network(plane[None]) for plane in inputs[0].movedim(-1, 0)]
    return tuple(torch.stack([maps[which][0] for maps in both], -1).softmax(0).numpy() for which in (0, 1))


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a * b).sum() / (a.sum() + b.sum()))


@pytest.mark.parametrize("batch", [1, 3, 7])
def test_measures_equal_those_of_the_whole_volume(batch: int) -> None:
    inputs = volume(1, 1, 20, 24, 7)
    inferer = SliceVolumeInferer(sw_batch_size=batch, axis=2)
    labels, evidence, _ = segment_with_evidence(inferer, inputs, TwoMinds())
    soft, opinion = whole_maps(inputs)
    decided, other = soft.argmax(0), opinion.argmax(0)
    assert (labels[0, 0].numpy() == decided).all()
    found = organ_measures(evidence.sums, 0, ORGANS)
    for organ, classes in ORGANS.items():
        mask, second = np.isin(decided, classes), np.isin(other, classes)
        probability, measures = soft[list(classes)].sum(0), found[organ]
        assert measures["soft_dice"] == pytest.approx(dice(mask, probability), rel=1e-5)
        assert measures["mean_probability"] == pytest.approx(probability[mask].mean(), rel=1e-5)
        assert measures["last"] == pytest.approx(dice(mask, second), rel=1e-5)
        entropy = -(soft * np.log(soft)).sum(0) / np.log(4)
        assert measures["certainty"] == pytest.approx(1 - entropy[mask].mean(), rel=1e-5)
        assert np.isnan(measures["background"]) and np.isnan(measures["mirrored"])
        per_slice = [
            dice(mask[..., i], mask[..., i - 1]) for i in range(1, 7) if mask[..., i - 1 : i + 1].any((0, 1)).all()
        ]
        assert min(per_slice) <= measures["continuity"] <= max(per_slice)


def test_the_worst_slices_are_those_of_the_least_agreement() -> None:
    """One slice of five has probability 0.6 instead of 1: Dice 0.75, 1.6 of the 9.6 that decision and maps sum up to.

    The worst fifth are that slice and 0.32 of the perfect ones.
    """
    sums = SliceSums()
    logits = torch.full((5, 2, 8, 8), -20.0)
    logits[:, 1, :4], logits[:, 0, 4:] = 20.0, 20.0
    logits[2, :, :4] = torch.tensor([0.0, float(np.log(1.5))])[:, None, None]
    inferer = SliceVolumeInferer(axis=2, sw_batch_size=5).watched_by(sums)
    inferer(torch.zeros(1, 1, 8, 8, 5), lambda x: logits)
    measures = organ_measures(sums, 0, {"organ": (1,)})["organ"]
    assert measures["soft_dice_worst"] == pytest.approx((0.75 * 1.6 + 0.32) / 1.92, abs=1e-4)
    assert measures["soft_dice"] == pytest.approx(2 * (4 + 0.6) / (5 + 4.6), abs=1e-4)
    assert measures["continuity"] == pytest.approx(1)


def test_frames_are_apart_and_seeing_a_batch_again_changes_nothing() -> None:
    inputs = volume(1, 2, 12, 12, 3)
    sums, again = SliceSums(), SliceSums()
    inferer = SliceVolumeInferer(axis=2, sw_batch_size=2, in_channels=1)
    inferer.watched_by(sums)(inputs, TwoMinds())

    def twice(*batch: object) -> None:
        again(*batch)  # type: ignore[arg-type]
        again(*batch)  # type: ignore[arg-type]

    inferer.watched_by(twice)(inputs, TwoMinds())
    for name, table in sums.tables.items():
        np.testing.assert_allclose(table, again.tables[name], err_msg=name)
    assert (sums.tables["previous"][:, 0] == 0).all(), "nothing lies before the first slice of a frame"
    assert (sums.tables["previous"][:, 1:].sum((2, 3)) == 144).all()


def test_nothing_changes_in_the_mask_and_a_network_without_opinions_will_do() -> None:
    inputs = volume(1, 1, 33, 40, 5)
    for options in ({}, {"tta": [[0]]}, {"roi_size": (24, 24)}, {"output": "probabilities"}):
        inferer = SliceVolumeInferer(axis=2, **options)  # type: ignore[arg-type]
        expected = inferer(inputs, TwoMinds().first)
        for network in (TwoMinds(), TwoMinds().first):
            answer, evidence, _ = segment_with_evidence(inferer, inputs, network)
            assert torch.equal(answer, expected)
            assert ("mirrored" in evidence.sums.tables) == ("tta" in options)
            assert ("last" in evidence.sums.tables) == isinstance(network, TwoMinds)


def test_the_map_is_the_mean_probability_of_the_class_decided_for() -> None:
    inputs = volume(1, 1, 20, 24, 7)
    _, _, confidence = segment_with_evidence(SliceVolumeInferer(axis=2), inputs, TwoMinds(), wants_map=True)
    soft, opinion = whole_maps(inputs)
    decided = soft.argmax(0)[None]
    expected = (np.take_along_axis(soft, decided, 0) + np.take_along_axis(opinion, decided, 0)) / 2
    assert confidence is not None and confidence.shape == inputs.shape
    np.testing.assert_allclose(confidence[0].numpy(), expected, atol=1e-5)


def test_a_single_class_is_judged_against_the_background() -> None:
    inputs = volume(1, 1, 20, 24)
    inferer = SliceVolumeInferer(output="probabilities", tta=[[1]])
    answer, evidence, _ = segment_with_evidence(inferer, inputs, TwoMinds(1))
    probability = answer[0, 0].numpy()
    measures = evidence.measures(0, {"polyp": (1,)}, {"polyp": int((probability > 0.5).sum())})["polyp"]
    assert measures["soft_dice"] == pytest.approx(dice(probability > 0.5, probability), rel=1e-4)
    assert measures["kept"] == 1


def measures_of_areas(*areas: int) -> dict[str, float]:
    """Of an organ that has these many pixels in each slice, from the left of the only row."""
    logits = torch.full((len(areas), 2, 1, 8), -20.0)
    for number, area in enumerate(areas):
        logits[number, 1, :, :area] = logits[number, 0, :, area:] = 20.0
    sums = SliceSums()
    inferer = SliceVolumeInferer(axis=2, sw_batch_size=len(areas)).watched_by(sums)
    inferer(torch.zeros(1, 1, 1, 8, len(areas)), lambda x: logits)
    return organ_measures(sums, 0, {"organ": (1,)})["organ"]


def test_a_single_slice_has_no_continuity_and_an_organ_in_one_of_several_has_none_either() -> None:
    """The first can't have it, NaN; the second agrees with neither of its neighbours, 0."""
    assert np.isnan(measures_of_areas(4)["continuity"])
    assert measures_of_areas(0, 4, 0)["continuity"] == measures_of_areas(4, 0)["continuity"] == 0
    assert measures_of_areas(0, 4, 2)["continuity"] == pytest.approx(2 * 2 / 6)


def test_an_organ_that_the_sums_have_not_seen_agrees_with_nothing() -> None:
    found = measures_of_areas(0, 0)
    assert found["certainty"] == found["continuity"] == found["mean_probability"] == 0
    assert found["soft_dice"] == pytest.approx(0)
    assert np.isnan(found["last"])


@pytest.mark.parametrize("frames", [1, 2])
def test_views_are_compared_with_the_first_of_them(frames: int) -> None:
    """Their mean is what is decided on; the first view alone is its second opinion, the network's own aren't asked."""
    inputs = MetaTensor(volume(1, frames, 12, 10, 8), affine=affine((1, 1, 1)))
    one_view = SliceVolumeInferer(in_channels=1, output="logits")
    views = MultiViewInferer(SliceVolumeInferer(in_channels=1), ["coronal", "axial"])
    labels, evidence, confidence = segment_with_evidence(views, inputs, TwoMinds(), wants_map=True)
    answers = [
        copy_of(one_view, axis=axis)(inputs, lambda x: TwoMinds()(x)[0]).as_tensor().unflatten(1, (frames, -1))[0]
        for axis in views.axes
    ]
    soft = (sum(answers) / 2).softmax(1).numpy()
    first = answers[0].softmax(1).numpy()
    decided = soft.argmax(1)
    assert (labels[0].numpy() == decided).all()
    assert (views(inputs, lambda x: TwoMinds()(x)[0])[0].numpy() == decided).all()
    for frame in range(frames):
        found = organ_measures(evidence.sums, frame, ORGANS)
        for organ, classes in ORGANS.items():
            mask = np.isin(decided[frame], classes)
            second = np.isin(first[frame].argmax(0), classes)
            assert found[organ]["mirrored"] == pytest.approx(dice(mask, second), rel=1e-5)
            assert found[organ]["soft_dice"] == pytest.approx(dice(mask, soft[frame][list(classes)].sum(0)), rel=1e-5)
            assert np.isnan(found[organ]["last"])
        sure = [np.take_along_axis(one[frame], decided[frame][None], 0)[0] for one in (soft, first)]
        np.testing.assert_allclose(confidence[0, frame].numpy(), sum(sure) / 2, rtol=1e-5)


def copy_of(inferer: SliceVolumeInferer, axis: str) -> SliceVolumeInferer:
    other = copy(inferer)
    other.axis = axis
    return other
