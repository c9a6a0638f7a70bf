# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from monai.data import MetaTensor, decollate_batch, list_data_collate
from monai.inferers import Inferer, SliceInferer
from monai.transforms import Compose, EnsureChannelFirstd, Invertd, Orientationd
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, ornt_transform
from pranet_monai.errors import UsageError
from pranet_monai.inferers import SliceVolumeInferer, ToPixdim, ToSize
from scipy.ndimage import zoom
from torch import Tensor, nn

from .base import CLASSES, SmallNet, affine, volume

RAS = ("R", "A", "S")


# --- windows -----------------------------------------------------------------


@pytest.mark.parametrize("mode", ["gaussian", "constant"])
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("shape", [(1, 1, 40, 36, 29), (2, 1, 20, 50, 24)])  # the second is smaller than the window
def test_logits_equal_monai_slice_inferer(network: nn.Module, mode: str, axis: int, shape: tuple[int, ...]) -> None:
    inputs = volume(*shape)
    windows: dict[str, Any] = {"roi_size": (24, 24), "sw_batch_size": 3, "overlap": 0.5, "mode": mode}
    expected = SliceInferer(spatial_dim=axis, **windows)(inputs, network)
    logits = SliceVolumeInferer(axis=axis, output="logits", divisor=24, **windows)(inputs, network)
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)
    labels = SliceVolumeInferer(axis=axis, divisor=24, **windows)(inputs, network)
    assert labels.dtype == torch.uint8 and len(labels.unique()) == CLASSES
    torch.testing.assert_close(labels, logits.argmax(1, keepdim=True).byte(), rtol=0, atol=0)


def test_padding_is_monais(network: nn.Module) -> None:
    options: dict[str, Any] = {"roi_size": (24, 24), "padding_mode": "constant", "cval": -3.0, "overlap": 0.25}
    expected = SliceInferer(spatial_dim=2, sw_batch_size=2, mode="gaussian", **options)(
        volume(1, 1, 15, 17, 3), network
    )
    logits = SliceVolumeInferer((24, 24), output="logits", padding=-3.0, divisor=24)(volume(1, 1, 15, 17, 3), network)
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)


def test_whole_slices_need_no_window(network: nn.Module) -> None:
    inputs = volume(1, 1, 18, 22, 7)
    logits = SliceVolumeInferer(output="logits", sw_batch_size=3)(inputs, network)
    for number in range(7):
        torch.testing.assert_close(logits[..., number], network(inputs[..., number]))


def test_images_are_one_slice_each(network: nn.Module) -> None:
    inputs = volume(5, 1, 18, 22)
    labels = SliceVolumeInferer(sw_batch_size=2)(inputs, network)
    assert torch.equal(labels, network(inputs).argmax(1, keepdim=True).byte())


def test_arguments_reach_the_network() -> None:
    def network(x: Tensor, offset: float, *, sign: float) -> Tensor:
        return (x + offset) * sign

    inputs = volume(1, 1, 8, 9, 2)
    logits = SliceVolumeInferer(output="logits")(inputs, network, 2.0, sign=-1.0)
    torch.testing.assert_close(logits, -(inputs + 2))


# --- what comes out -----------------------------------------------------------


def test_probabilities_and_single_channel() -> None:
    inputs = volume(1, 1, 12, 12, 3)
    many, one = SmallNet().eval(), SmallNet(out_channels=1).eval()
    run = {output: SliceVolumeInferer(output=output) for output in ("logits", "probabilities", "labels")}
    torch.testing.assert_close(run["probabilities"](inputs, many), run["logits"](inputs, many).softmax(1))
    torch.testing.assert_close(run["probabilities"](inputs, one), run["logits"](inputs, one).sigmoid())
    labels = run["labels"](inputs, one)
    assert torch.equal(labels, (run["probabilities"](inputs, one) > 0.5).byte()) and 0 < labels.float().mean() < 1


def test_sigmoid_gives_one_mask_per_region(network: nn.Module) -> None:
    inputs = volume(1, 1, 12, 12, 3)
    masks = SliceVolumeInferer(activation="sigmoid")(inputs, network)
    logits = SliceVolumeInferer(output="logits")(inputs, network)
    assert masks.shape == (1, CLASSES, 12, 12, 3) and masks.dtype == torch.uint8
    assert torch.equal(masks, (logits > 0).byte())


def test_cine_frames_are_segmented_one_by_one(network: nn.Module) -> None:
    cine = volume(2, 4, 14, 13, 3)
    inferer = SliceVolumeInferer(sw_batch_size=5)
    labels = inferer(cine, network)
    assert labels.shape == cine.shape
    for frame in range(4):
        assert torch.equal(labels[:, frame : frame + 1], inferer(cine[:, frame : frame + 1], network))
    logits = SliceVolumeInferer(output="logits", sw_batch_size=5)(cine, network)
    assert torch.equal(logits.unflatten(1, (4, CLASSES)).argmax(2).byte(), labels)


@pytest.mark.parametrize("axis", [0, 2])
@pytest.mark.parametrize("in_channels", [None, 3])
def test_adjacent_slices_become_channels_frame_by_frame(axis: int, in_channels: int | None) -> None:
    cine = volume(2, 4, 9, 8, 5)  # 2 items of 4 frames
    network = SmallNet(in_channels=3).eval()
    inferer = SliceVolumeInferer(
        axis=axis, adjacent_slices=1, in_channels=in_channels, sw_batch_size=4, output="logits"
    )
    logits = inferer(cine, network).unflatten(1, (4, CLASSES)).movedim(axis + 3, 0)
    stack = cine.movedim(axis + 2, 0)
    for number in range(len(stack)):
        below, above = max(number - 1, 0), min(number + 1, len(stack) - 1)
        for frame in range(4):
            seen = torch.stack([stack[i, :, frame] for i in (below, number, above)], 1)
            torch.testing.assert_close(logits[number, :, frame], network(seen), rtol=1e-5, atol=1e-5)


def test_adjacent_slices_must_fit_the_network() -> None:
    with pytest.raises(UsageError, match="makes 5 channels of one: the network's 3 must be a multiple"):
        SliceVolumeInferer(adjacent_slices=2)(volume(1, 1, 8, 8, 3), SmallNet(in_channels=3).eval())


def test_in_channels_can_be_given_or_read_through_a_wrapper() -> None:
    colour = volume(1, 6, 10, 10, 2)
    network = SmallNet(in_channels=3).eval()
    assert SliceVolumeInferer()(colour, nn.DataParallel(network)).shape[1] == 2
    assert SliceVolumeInferer(in_channels=3)(colour, lambda x: network(x)).shape[1] == 2
    assert SliceVolumeInferer()(volume(1, 3, 10, 10, 2), lambda x: network(x)).shape[1] == 1


def test_result_can_be_changed_and_keeps_the_inputs_type(network: nn.Module) -> None:
    labels = SliceVolumeInferer()(volume(1, 1, 10, 10, 2).half(), network)
    assert type(labels) is Tensor and not labels.is_inference()
    labels += 1  # transforms may work in place


# --- geometry -----------------------------------------------------------------


ORIENTATIONS = [
    codes
    for order in itertools.permutations([("R", "L"), ("A", "P"), ("S", "I")])
    for codes in itertools.product(*order)
]


def reoriented(image: MetaTensor, codes: tuple[str, ...]) -> Any:
    """The same anatomy ``(1, C, H, W, D)`` in RAS, stored in another axis order."""
    return Orientationd("x", axcodes="".join(codes))({"x": image[0]})["x"][None]


@pytest.mark.parametrize("codes", ORIENTATIONS, ids="".join)
def test_axis_by_name_under_every_orientation(codes: tuple[str, ...]) -> None:
    """The slicing axis follows the anatomy: labels that mark each slice by its mean name the slice's own position."""
    shape = {"R": 4, "A": 5, "S": 6}
    for axis, letter in (("sagittal", "R"), ("coronal", "A"), ("axial", "S")):
        ramp = torch.arange(shape[letter]).reshape([-1 if name == letter else 1 for name in RAS])
        image = MetaTensor(ramp.expand(*shape.values()).float()[None, None], affine=affine((1.2, 0.9, 5)))
        stored = reoriented(image, codes)

        def slice_position(planes: Tensor) -> Tensor:
            positions = planes.amax((1, 2, 3)).long()
            assert torch.equal(positions, planes.amin((1, 2, 3)).long()), "a slice must lie at one position"
            return F.one_hot(positions, 6).float()[:, :, None, None].expand(-1, -1, *planes.shape[2:])

        labels = SliceVolumeInferer(axis=axis, sw_batch_size=4)(stored, slice_position)
        assert torch.equal(labels.as_tensor(), stored.as_tensor().byte())


def test_oblique_volume_is_cut_along_the_closest_axis() -> None:
    angle = np.deg2rad(30)
    oblique = torch.eye(4, dtype=torch.float64)
    oblique[1:3, 1:3] = torch.tensor([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    cut: list[torch.Size] = []

    def network(planes: Tensor) -> Tensor:
        cut.append(planes.shape[2:])
        return planes

    stored = MetaTensor(volume(1, 1, 4, 5, 6), affine=oblique)
    for axis in ("axial", "coronal", "sagittal"):
        SliceVolumeInferer(axis=axis, sw_batch_size=8)(stored, network)
    assert cut == [(4, 5), (4, 6), (5, 6)]


def test_metadata_stay_so_that_invertd_works() -> None:
    shape = (12, 11, 6)
    geometry = affine((1, 2, 4)).numpy() @ inv_ornt_aff(ornt_transform(axcodes2ornt("PSL"), axcodes2ornt(RAS)), shape)
    stored = MetaTensor(volume(1, *shape), affine=geometry)
    preprocessing = Compose([EnsureChannelFirstd("image", channel_dim=0), Orientationd("image", axcodes="RAS")])
    batch = list_data_collate([preprocessing({"image": stored.clone()})])
    assert batch["image"].shape[2:] != shape
    batch["pred"] = SliceVolumeInferer()(batch["image"], lambda planes: torch.cat([planes, -planes], 1))
    assert batch["pred"].is_batch and batch["pred"].dtype == torch.uint8
    item = decollate_batch(batch)[0]
    restored = Invertd("pred", preprocessing, orig_keys="image", nearest_interp=True, to_tensor=True)(item)["pred"]
    assert torch.equal(restored.as_tensor(), (stored.as_tensor() < 0).to(restored.dtype))
    np.testing.assert_allclose(restored.affine, stored.affine)


def test_called_as_by_monai_label(network: nn.Module) -> None:
    """There the input is ``volume[None]``: a MetaTensor that is no batch to MONAI."""
    stored = MetaTensor(volume(1, 12, 11, 6), affine=affine((2, 2, 8)))
    labels = SliceVolumeInferer()(stored[None], network)
    assert isinstance(SliceVolumeInferer(), Inferer) and labels.shape == (1, 1, 12, 11, 6)
    assert torch.equal(labels.affine, stored.affine)


# --- resizing -----------------------------------------------------------------


@pytest.mark.parametrize("shape", [(50, 41, 4), (20, 24, 3)])
def test_cubic_protocol_equals_the_plain_loop(network: nn.Module, shape: tuple[int, ...]) -> None:
    image = volume(*shape).numpy()
    expected = np.zeros(shape, np.uint8)
    for number in range(shape[2]):
        plane = image[:, :, number]
        small = zoom(plane, (32 / shape[0], 32 / shape[1]), order=3)
        with torch.no_grad():
            labels = network(torch.from_numpy(small)[None, None]).softmax(1).argmax(1)[0].numpy()
        expected[:, :, number] = zoom(labels, (shape[0] / 32, shape[1] / 32), order=0)
    inferer = SliceVolumeInferer(resampling=ToSize((32, 32), "cubic"), sw_batch_size=3)
    labels = inferer(torch.from_numpy(image)[None, None], network)
    assert len(np.unique(expected)) == CLASSES
    np.testing.assert_array_equal(labels[0, 0], expected)


@pytest.mark.parametrize("size", [(70, 50), (20, 27)])
def test_bilinear_squeezes_a_whole_image_and_stretches_its_logits(network: nn.Module, size: tuple[int, int]) -> None:
    image = volume(1, 1, *size)
    squeezed = F.interpolate(image, (32, 32), mode="bilinear", antialias=True)
    expected = F.interpolate(network(squeezed), size, mode="bilinear", antialias=True)
    logits = SliceVolumeInferer(resampling=ToSize((32, 32)), output="logits")(image, network)
    torch.testing.assert_close(logits, expected)


def test_pixdim_resamples_in_plane_and_decides_on_the_native_grid(network: nn.Module) -> None:
    """Rows shrink from 0.8 to 1.6 mm (antialiased), columns grow from 3 to 2 mm."""
    inputs = MetaTensor(volume(1, 1, 40, 20, 3), affine=affine((0.8, 3.0, 9.0)))
    inferer = SliceVolumeInferer(resampling=ToPixdim((1.6, 2.0)), output="logits")
    logits = inferer(inputs, network)
    for number in range(3):
        plane = inputs.as_tensor()[..., number]
        small = F.interpolate(plane, (20, 30), mode="bilinear", antialias=True)
        back = F.interpolate(network(small), (40, 20), mode="bilinear", antialias=True)
        torch.testing.assert_close(logits[..., number].as_tensor(), back, rtol=1e-5, atol=1e-5)
    labels = SliceVolumeInferer(resampling=ToPixdim((1.6, 2.0)))(inputs, network)
    assert torch.equal(labels.as_tensor(), logits.as_tensor().argmax(1, keepdim=True).byte())


def test_pixdim_windows_slide_over_the_resampled_slice(network: nn.Module) -> None:
    inputs = MetaTensor(volume(1, 1, 20, 25, 3), affine=affine((2.0, 2.0, 9.0)))
    windows: dict[str, Any] = {"roi_size": (24, 24), "overlap": 0.5, "mode": "gaussian", "sw_batch_size": 2}
    logits = SliceVolumeInferer(resampling=ToPixdim((1.0, 1.0)), output="logits", **windows)(inputs, network)
    planes = F.interpolate(inputs.as_tensor()[0].permute(3, 0, 1, 2), (40, 50), mode="bilinear")
    fine = SliceInferer(spatial_dim=2, **windows)(planes.permute(1, 2, 3, 0)[None], network)
    back = F.interpolate(fine[0].permute(3, 0, 1, 2), (20, 25), mode="bilinear", antialias=True)
    torch.testing.assert_close(logits.as_tensor()[0], back.permute(1, 2, 3, 0), rtol=1e-5, atol=1e-5)


# --- speed and memory ---------------------------------------------------------


def test_tta_averages_the_logits_of_mirrored_passes(network: nn.Module) -> None:
    inputs = volume(1, 1, 16, 16, 2)
    averaged = SliceVolumeInferer(output="logits", tta=[[0], [0, 1]])(inputs, network)
    plain = SliceVolumeInferer(output="logits")
    passes = [plain(inputs.flip(dims), network).flip(dims) for dims in ([], [2], [2, 3])]
    torch.testing.assert_close(averaged, sum(passes) / 3)
    assert not torch.allclose(averaged, passes[0], atol=0.05)


def test_an_executor_says_what_runs_the_network(network: nn.Module) -> None:
    inputs = volume(1, 1, 16, 16, 2)
    asked: list[tuple[Any, torch.device]] = []

    def executor(given: Any, device: torch.device) -> Any:
        asked.append((given, device))
        return lambda x: 2 * given(x)

    doubled = SliceVolumeInferer(output="logits", executor=executor)(inputs, network)
    torch.testing.assert_close(doubled, 2 * SliceVolumeInferer(output="logits")(inputs, network))
    assert asked == [(network, torch.device("cpu"))]


def test_channels_last_changes_the_layout_only(network: nn.Module) -> None:
    inputs = volume(1, 1, 16, 16, 2)
    expected = SliceVolumeInferer(output="logits")(inputs, network)
    logits = SliceVolumeInferer(output="logits", channels_last=True)(inputs, network)
    weights = [value for value in network.parameters() if value.ndim == 4]
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights)
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)


def test_weights_are_laid_out_once_not_for_each_volume() -> None:
    """PyTorch copies these weights each time it is asked for the layout: a runtime would take them for new ones."""
    network = nn.Conv2d(1, 2, 1).eval()
    infer, volume = SliceVolumeInferer(channels_last=True), torch.rand(1, 1, 8, 8, 2)
    infer(volume, network)
    laid_out = network.weight.detach()  # holds on to its memory, or a copy might lie there
    infer(volume, network)
    assert network.weight.data_ptr() == laid_out.data_ptr()


def test_equal_logits_give_the_first_class() -> None:
    labels = SliceVolumeInferer()(volume(1, 1, 8, 8, 3), lambda x: torch.zeros(len(x), 3, *x.shape[2:]) + x[:, :1])
    assert labels.max() == 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_network_on_the_gpu_result_on_the_cpu(network: nn.Module) -> None:
    inputs = volume(1, 1, 50, 41, 9)
    for options in ({"roi_size": (32, 32)}, {"resampling": ToSize((32, 32), "cubic")}):
        expected = SliceVolumeInferer(output="logits", **options)(inputs, network.cpu())
        found = SliceVolumeInferer(output="logits", sw_device="cuda", **options)(inputs, network.cuda())
        assert found.device.type == "cpu"
        torch.testing.assert_close(found, expected, rtol=0, atol=2e-3)  # convolutions in TF32


def test_progress_bar_goes_to_stderr(network: nn.Module, capsys: pytest.CaptureFixture[str]) -> None:
    SliceVolumeInferer(progress=True)(volume(1, 1, 8, 8, 3), network)
    out, err = capsys.readouterr()
    assert not out and "slices" in err
