# SPDX-License-Identifier: Apache-2.0
"""Trainer, resume and curve on a network of three weights: what a killed run keeps, and that it goes on exactly."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from ignite.engine import Events
from monai.engines import SupervisedEvaluator
from monai.handlers import IgniteMetricHandler, from_engine
from monai.transforms import Compose, RandGaussianNoised
from pranet_monai.data.slices import SliceDataset
from pranet_monai.engines.checkpoint import TrainingState
from pranet_monai.engines.curve import TrainingCurve
from pranet_monai.engines.trainer import SegmentationTrainer
from pranet_monai.engines.validation import TrainedWeights, Validation
from pranet_monai.errors import UsageError
from pranet_monai.inferers import SliceVolumeInferer
from pranet_monai.losses import DualSupervisionLoss
from pranet_monai.metrics import SegmentationDice
from torch.utils.data import DataLoader, DistributedSampler


class TwoStages(torch.nn.Module):
    """The smallest network with stage logits; dropout makes it need torch's random numbers."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 2, 1)
        self.drop = torch.nn.Dropout(0.3)

    def forward(self, x):
        logits = self.conv(self.drop(x))
        return ([logits, 2 * logits], [-logits, -logits]) if self.training else logits


def volume(item):
    image = torch.from_numpy(np.random.default_rng(item["number"]).normal(size=(1, 6, 5, 4)).astype(np.float32))
    return {"image": image, "label": (image > 0.3).float()}


def dataset(seed=3, data=2):
    noise = Compose([RandGaussianNoised("image", prob=1.0)])
    return SliceDataset([{"number": i} for i in range(data)], volume, noise, seed=seed, progress=False)


class Training:
    """One training of the tiny network, as the bundles' configs put it together."""

    def __init__(
        self, folder, epochs, resume=False, amp=False, clip_norm=None, clip_value=None, validate=True, stop_after=None,
        part="train",
    ):  # fmt: skip
        torch.manual_seed(0)
        self.network = TwoStages()
        self.optimizer = torch.optim.AdamW(self.network.parameters(), lr=0.05)
        slices = dataset()
        loader = DataLoader(slices, batch_size=3, sampler=DistributedSampler(slices, 1, 0, seed=3))
        schedule = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, 0.05, total_steps=6 * len(loader))
        volumes = [{key: value[None] for key, value in volume({"number": 9}).items()}]
        volumes[0] = {key: value[..., 0] for key, value in volumes[0].items()}
        dice = IgniteMetricHandler(metric_fn=SegmentationDice(2), output_transform=from_engine(["pred", "label"]))
        validator = SupervisedEvaluator("cpu", volumes, self.network, key_val_metric={"dice": dice})
        self.validated = []
        validator.add_event_handler(Events.COMPLETED, lambda engine: self.validated.append(engine.state.epoch))
        self.losses = []
        self.trainer = SegmentationTrainer(
            "cpu",
            epochs,
            loader,
            self.network,
            self.optimizer,
            DualSupervisionLoss(),
            amp=amp,
            seed=3,
            clip_norm=clip_norm,
            clip_value=clip_value,
            train_handlers=[Validation(2, validator)] if validate else [],
        )
        objects = {"network": self.network, "optimizer": self.optimizer, "schedule": schedule}
        TrainingCurve(folder, self.optimizer, validator).attach(self.trainer)
        if not validate:
            validator.data_loader = []
        TrainedWeights(folder / "best.pt", self.network, validator, resume).attach(self.trainer)
        TrainingState(folder / "state.pt", objects, validator, resume, {"part": part}).attach(self.trainer)
        if stop_after:
            self.trainer.add_event_handler(Events.EPOCH_COMPLETED(once=stop_after), lambda: self.trainer.terminate())
        self.trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: schedule.step())
        self.trainer.add_event_handler(Events.ITERATION_COMPLETED, self._note_loss)

    def _note_loss(self, engine):
        self.losses.append(engine.state.output[0]["loss"].item())

    def run(self):
        self.trainer.run()
        return self


def test_resumed_training_repeats_the_unbroken_one(tmp_path):
    whole = Training(tmp_path / "whole", 5).run()
    (tmp_path / "parts").mkdir()
    first = Training(tmp_path / "parts", 5, stop_after=2).run()
    second = Training(tmp_path / "parts", 5, resume=True).run()
    assert first.losses + second.losses == whole.losses
    assert torch.equal(second.network.conv.weight, whole.network.conv.weight)
    curves = [pd.read_csv(tmp_path / part / "curve.csv") for part in ("whole", "parts")]
    pd.testing.assert_frame_equal(*curves)
    assert list(curves[0]["epoch"]) == [1, 2, 3, 4, 5] and curves[0]["dice"].notna().sum() == 3
    assert (tmp_path / "whole" / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_losses_are_finite_and_fall_in_bf16(tmp_path):
    losses = Training(tmp_path, 5, amp=True).run().losses
    assert np.isfinite(losses).all() and np.mean(losses[-3:]) < np.mean(losses[:3])


def test_clipping_bounds_the_gradient(tmp_path):
    training = Training(tmp_path, 1, clip_norm=0.01, validate=False).run()
    norm = torch.stack([p.grad.norm() for p in training.network.parameters()]).norm()
    assert 0 < norm <= 0.0101
    clamped = Training(tmp_path, 1, clip_value=0.002, validate=False).run()
    assert max(p.grad.abs().max() for p in clamped.network.parameters()) <= 0.002


def test_last_epoch_is_validated_too(tmp_path):
    assert Training(tmp_path, 5).run().validated == [2, 4, 5]


def test_a_worse_score_after_a_resume_leaves_the_best_weights(tmp_path):
    Training(tmp_path, 4, stop_after=2).run()
    best = (tmp_path / "best.pt").read_bytes()
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert state["best"][1] == 2
    torch.save({**state, "best": [1.0, 2]}, tmp_path / "state.pt")
    resumed = Training(tmp_path, 4, resume=True).run()
    assert resumed.validated == [4] and (tmp_path / "best.pt").read_bytes() == best
    weights = torch.load(tmp_path / "best.pt", weights_only=True)
    assert not torch.equal(weights["conv.weight"], resumed.network.conv.weight)


def test_without_validation_the_last_weights_are_kept(tmp_path):
    run = Training(tmp_path, 2, validate=False).run()
    assert not run.validated
    weights = torch.load(tmp_path / "best.pt", weights_only=True)
    assert all(torch.equal(weights[name], value) for name, value in run.network.state_dict().items())


def test_weights_of_another_training_are_put_aside(tmp_path, caplog):
    (tmp_path / "best.pt").write_text("somebody's weights")
    Training(tmp_path, 4).run()
    assert (tmp_path / "best.pt.old").read_text() == "somebody's weights"
    assert "found the weights of another training; they are now" in caplog.text
    assert "weight" in str(torch.load(tmp_path / "best.pt", weights_only=True).keys())


def test_resume_without_a_state_says_so(tmp_path, caplog):
    assert Training(tmp_path, 1, resume=True).run().losses
    assert "state.pt: found no such file, nothing to resume" in caplog.text


def test_resume_refuses_what_it_cannot_continue(tmp_path):
    Training(tmp_path, 2).run()
    with pytest.raises(UsageError, match="another training: number of epochs was 2, is 3; part was train, is all"):
        Training(tmp_path, 3, resume=True, part="all").run()
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    del state["optimizer"]
    torch.save(state, tmp_path / "state.pt")
    with pytest.raises(UsageError, match="optimizer is missing"):
        Training(tmp_path, 3, resume=True).run()
    assert not list(tmp_path.glob(".partial*"))


def test_a_training_that_has_all_epochs_only_ends_again(tmp_path, caplog):
    """What a kill has kept it from writing at its end is then written."""
    first = Training(tmp_path, 2, validate=False).run()
    whole = (tmp_path / "best.pt").read_bytes()
    (tmp_path / "best.pt").write_bytes(whole[:100])
    again = Training(tmp_path, 2, resume=True, validate=False).run()
    assert first.losses and not again.losses
    assert (tmp_path / "best.pt").read_bytes() == whole
    assert "has all of the training's 2 epochs. To train longer" in caplog.text


def test_half_a_training_has_no_last_weights(tmp_path):
    """Of a stopped one, only its state is there to go on with; validated or not."""
    training = Training(tmp_path, 2)
    TrainedWeights(tmp_path / "last.pt", training.network).attach(training.trainer)

    def stop():
        raise KeyboardInterrupt

    training.trainer.add_event_handler(Events.EPOCH_COMPLETED(once=1), stop)
    with pytest.raises(KeyboardInterrupt):
        training.run()
    assert (tmp_path / "state.pt").is_file() and not (tmp_path / "last.pt").exists()
    whole = Training(tmp_path, 2, resume=True)
    TrainedWeights(tmp_path / "last.pt", whole.network).attach(whole.trainer)
    whole.run()
    last = torch.load(tmp_path / "last.pt", weights_only=True)
    assert all(torch.equal(last[name], value) for name, value in whole.network.state_dict().items())


def test_slices_depend_on_seed_epoch_and_index_alone():
    one, other = dataset(), dataset()
    assert len(one) == 8 and one[0]["image"].shape == (1, 6, 5)
    _ = [other[i] for i in (5, 1, 7)]
    assert torch.equal(one[2]["image"], other[2]["image"])
    one.set_epoch(1)
    assert not torch.equal(one[2]["image"], other[2]["image"])
    assert torch.equal(one[2]["label"], other[2]["label"])
    assert not torch.equal(dataset(seed=4)[2]["image"], other[2]["image"])


def test_slices_keep_to_their_volume():
    slices = SliceDataset([{"number": 0}, {"number": 1}], volume, progress=False)
    for index in range(8):
        expected = volume({"number": index // 4})
        assert torch.equal(slices[index]["image"], expected["image"][..., index % 4])


def test_training_sees_the_neighbours_that_inference_shows():
    slices = SliceDataset([{"number": 0}, {"number": 1}], volume, adjacent_slices=1, progress=False)
    shown = []

    def network(planes):
        shown.extend(planes)
        return planes[:, :2]

    volumes = torch.stack([volume({"number": i})["image"] for i in (0, 1)])
    SliceVolumeInferer(axis=2, adjacent_slices=1, in_channels=3)(volumes, network)
    assert len(shown) == len(slices)
    for item, planes in zip(slices, shown):
        assert item["label"].shape == (1, 6, 5)
        assert torch.equal(item["image"], planes)


def test_transforms_see_the_labels_of_the_neighbours_as_well():
    seen = []
    whole = volume({"number": 0})["label"]
    slices = SliceDataset(
        [{"number": 0}], volume, lambda item: seen.append(item) or item, adjacent_slices=1, progress=False
    )
    for index in range(4):
        item = slices[index]
        assert torch.equal(item["label"], whole[..., index])
        below, above = max(0, index - 1), min(3, index + 1)
        assert torch.equal(seen[index]["label"], torch.stack([whole[0, ..., k] for k in (below, index, above)]))


def test_bad_training_data_is_named():
    with pytest.raises(UsageError, match="list of training volumes is empty"):
        SliceDataset([], volume)
    with pytest.raises(UsageError, match="adjacent_slices=-1 must be 0 or more"):
        SliceDataset([{"number": 0}], volume, adjacent_slices=-1, progress=False)
    with pytest.raises(UsageError, match="shapes of one case differ"):
        SliceDataset([{"number": 0}], lambda item: {**volume(item), "label": torch.zeros(1, 6, 5, 3)}, progress=False)


def test_the_frames_of_a_cine_are_volumes():
    cine = {key: torch.rand(3, 6, 5, 4) for key in ("image", "label")}
    slices = SliceDataset([{"number": 0}], lambda item: cine, progress=False)
    assert len(slices) == 12
    for key, frames in cine.items():
        assert torch.equal(
            torch.stack([slices[index][key] for index in (1, 4, 11)]),
            torch.stack([frames[:1, ..., 1], frames[1:2, ..., 0], frames[2:, ..., 3]]),
        )
