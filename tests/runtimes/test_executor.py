# SPDX-License-Identifier: Apache-2.0
"""Whatever runs a network gives its answer, or says in one sentence why it can't."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from pranet_monai.errors import NetworkError, UsageError
from pranet_monai.runtimes import RUNTIMES, Executor, Runtime
from pranet_monai.runtimes import executor as executor_module
from pranet_monai.runtimes import table as runtimes_table
from torch import nn

from .conftest import SmallNet, small_net

CPU = torch.device("cpu")
ENGINES = ("onnx", "openvino")
pytestmark = pytest.mark.usefixtures("cache")


def images(*shapes: tuple[int, int, int]) -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    return [torch.randn(number, 2, height, width, generator=random) for number, height, width in shapes]


@torch.no_grad()
def answers(run: Any, image: torch.Tensor) -> list[torch.Tensor]:
    answer = run(image)
    return [answer] if isinstance(answer, torch.Tensor) else list(answer)


@pytest.mark.parametrize("maps", [1, 3])
@pytest.mark.parametrize("name", [*ENGINES, "auto", "torch"])
def test_fp32_is_the_network_at_every_size(name: str, maps: int) -> None:
    network = small_net(maps=maps)
    run = Executor(name)(network, CPU)
    assert (run.in_channels, run.divisor) == (2, 4)
    for image in images((1, 8, 8), (4, 12, 40), (2, 64, 32), (1, 4, 4)):
        found, expected = answers(run, image), answers(network, image)
        assert len(found) == maps
        for one, other in zip(found, expected):
            assert one.dtype == torch.float32
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["onnx", "openvino"])
@pytest.mark.parametrize("threads", [2, 5])
def test_threads_with_images_of_their_own_give_the_networks_answer(name: str, threads: int) -> None:
    network, before = small_net(maps=2), torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        run = Executor(name)(network, CPU)
        for number in (1, 2, 3, 7):
            image = torch.randn(number, 2, 12, 20)
            for found, expected in zip(run(image), network(image), strict=True):
                torch.testing.assert_close(found, expected.detach(), rtol=1e-5, atol=1e-5)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("name", ["openvino", "torch"])
def test_bf16_is_near_but_not_fp32(name: str) -> None:
    network = small_net(maps=2)
    (image,) = images((2, 32, 32))
    try:
        run = Executor(name, "bf16")(network, CPU)
    except NetworkError as error:  # of a processor without it
        pytest.skip(str(error))
    for one, other in zip(answers(run, image), answers(network, image)):
        assert one.dtype == torch.float32
        assert 0 < (one - other).abs().max() < 0.05 * other.abs().max()


@pytest.mark.slow
def test_compiled_is_the_network() -> None:
    network = small_net()
    run = Executor("compile")(network, CPU)
    for image in images((1, 8, 8), (4, 12, 40)):
        torch.testing.assert_close(answers(run, image), answers(network, image), rtol=1e-4, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available() or bool(RUNTIMES["tensorrt"].missing()), reason="needs TensorRT")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_tensorrt_is_the_network(precision: Any) -> None:
    network = small_net(maps=2).cuda()
    run = Executor("tensorrt", precision)(network, torch.device("cuda"))
    for image in images((1, 32, 32), (4, 64, 96)):
        tolerance = 1e-4 if precision == "fp32" else 0.05
        torch.testing.assert_close(
            answers(run, image.cuda()), answers(network, image.cuda()), rtol=tolerance, atol=tolerance
        )


@pytest.mark.parametrize("name", ENGINES)
def test_weights_that_have_changed_are_prepared_anew(name: str) -> None:
    network, executor, (image,) = small_net(), Executor(name), images((1, 8, 8))
    before = answers(executor(network, CPU), image)[0]
    assert executor(network, CPU) is executor(network, CPU)
    with torch.no_grad():
        network.coarse.weight.mul_(2)
    after = answers(executor(network, CPU), image)[0]
    assert not torch.equal(before, after)
    torch.testing.assert_close(after, answers(network, image)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("how", ["in place", "data", "loaded", "inference"])
def test_weights_are_hashed_again_when_they_have_changed_and_only_then(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    original = executor_module.weights_fingerprint
    monkeypatch.setattr(executor_module, "weights_fingerprint", lambda net: hashed.append(original(net)) or hashed[-1])
    with torch.inference_mode(how == "inference"):
        network, executor, (image,) = small_net(), Executor("onnx"), images((1, 8, 8))
        weight = network.coarse.weight
        for _ in range(3):
            run = executor(network, CPU)
        assert len(hashed) == 1 and executor(network, CPU) is run
        with torch.no_grad():
            if how == "data":
                weight.data[0] += 1
            elif how == "loaded":
                network.load_state_dict({name: value + 1 for name, value in network.state_dict().items()})
            else:
                weight[0] += 1
        torch.testing.assert_close(answers(executor(network, CPU), image), answers(network, image))
    assert len(set(hashed)) == len(hashed) == 2


def test_a_wrapper_in_training_mode_is_exported_in_eval() -> None:
    """As a module around a network in eval mode is, that nobody has told."""
    network = small_net()
    wrapper = nn.Sequential(network)
    wrapper.training = True
    (image,) = images((1, 8, 8))
    torch.testing.assert_close(answers(Executor("onnx")(wrapper, CPU), image), answers(network, image))
    assert wrapper.training and not network.training


def test_works_inside_inference_mode_and_across_processes() -> None:
    (image,) = images((1, 8, 8))
    with torch.inference_mode():
        network = small_net()
        executor = pickle.loads(pickle.dumps(Executor("openvino")))
        torch.testing.assert_close(answers(executor(network, CPU), image), answers(network, image))


def test_a_function_runs_as_it_is() -> None:
    assert Executor("openvino")(torch.relu, CPU) is torch.relu


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("tensorflow",), "allowed: auto, torch, compile, onnx, openvino, tensorrt, or an exported file"),
        (("acdc.onnx",), "found no such file; fix: pranet-monai export"),
        (("torch", "fp16"), "precision 'fp16': allowed: fp32 or bf16"),
        ((7,), "allowed: auto"),
    ],
)
def test_wrong_use(arguments: tuple[Any, ...], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        Executor(*arguments)


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_tensorrt_without_a_gpu() -> None:
    with pytest.raises(UsageError, match="found no NVIDIA GPU; fix: a machine with one, or --runtime auto"):
        Executor("tensorrt")


def test_what_is_not_installed_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking(monkeypatch, "openvino")
    with pytest.raises(UsageError, match=r"openvino can't be imported; fix: pip install 'pranet-monai\[fast\]'"):
        Executor("openvino")


def test_a_precision_that_a_runtime_lacks() -> None:
    with pytest.raises(NetworkError, match="runtime onnx: found --precision bf16 on cpu; allowed: fp32 on cpu"):
        Executor("onnx", "bf16")(small_net(), CPU)


def lacking(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    find = runtimes_table.RUNTIMES["torch"].missing.__globals__["find_spec"]
    monkeypatch.setattr("pranet_monai.runtimes.base.find_spec", lambda name: None if name in packages else find(name))


def used(executor: Executor, network: nn.Module) -> str:
    executor(network, CPU)
    return executor.used


def test_auto_takes_the_fastest_that_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = {name: RUNTIMES[name].milliseconds["fp32"] for name in ("torch", *ENGINES)}
    first, second, last = sorted(measured, key=lambda name: measured[name])
    assert last == "torch"
    assert used(Executor("auto"), small_net()) == first
    lacking(monkeypatch, {"onnx": "onnxruntime"}.get(first, first))
    assert used(Executor("auto"), small_net()) == second
    lacking(monkeypatch, "onnxruntime", "openvino")
    assert used(Executor("auto"), small_net()) == "torch"
    assert used(Executor("auto", "bf16"), small_net()) == "torch"


class Wrong(Runtime):
    """An engine whose answer is off."""

    name = "wrong"
    about = "for tests"
    precisions = {"cpu": ("fp32",)}
    milliseconds = {"fp32": 0.1}

    def prepare(self, network: nn.Module, precision: Any, device: torch.device) -> Any:
        return lambda image: network(image) + 0.1


class Broken(Wrong):
    """An engine that can't read the network."""

    name = "broken"

    def prepare(self, network: nn.Module, precision: Any, device: torch.device) -> Any:
        raise RuntimeError("Unsupported operator\n  at line 7")


@pytest.mark.parametrize(
    ("engine", "reason"),
    [
        (Wrong(), "runtime wrong: found another answer than the network's, off by"),
        (Broken(), r"runtime broken can't take SmallNet \(RuntimeError: Unsupported operator at line 7\)"),
    ],
)
def test_no_labels_change_without_a_word(engine: Runtime, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for by its name it ends the run; auto says why it takes another."""
    monkeypatch.setitem(RUNTIMES, engine.name, engine)
    with pytest.raises(NetworkError, match=reason):
        Executor(engine.name)(small_net(), CPU)
    network, executor = small_net(), Executor("auto")
    with pytest.warns(UserWarning, match=f"{reason}.*; going on with the next fastest"):
        run = executor(network, CPU)
    assert executor.used != engine.name
    (image,) = images((1, 8, 8))
    torch.testing.assert_close(answers(run, image), answers(network, image), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["torch", *ENGINES])
def test_an_exported_file_serves_the_network_it_was_made_of(name: str, tmp_path: Path) -> None:
    file = tmp_path / f"net{RUNTIMES[name].ending}"
    network = small_net(maps=2)
    RUNTIMES[name].export(network, file)
    executor = Executor(file)
    run = executor(network, CPU)
    assert executor.used == name and run.in_channels == 2
    for image in images((1, 8, 8), (4, 12, 40)):
        torch.testing.assert_close(answers(run, image), answers(network, image), rtol=1e-4, atol=1e-5)
    torch.manual_seed(1)
    with pytest.raises(NetworkError, match="found another answer than the network's"):
        Executor(file)(SmallNet(maps=2).eval(), CPU)
    (image,), alone = images((1, 8, 8)), small_net(maps=1)
    torch.testing.assert_close(Executor(file)(alone, CPU)(image), alone(image), rtol=1e-4, atol=1e-5)
    with pytest.raises(NetworkError, match="found maps .*; allowed: the network's"):
        Executor(file)(small_net(maps=3), CPU)


@pytest.mark.parametrize("name", ["torch", *ENGINES])
def test_a_file_that_is_none_is_one_sentence(name: str, tmp_path: Path) -> None:
    file = tmp_path / f"net{RUNTIMES[name].ending}"
    file.write_text("nothing of the kind")
    with pytest.raises(NetworkError, match=f"--runtime {file} can't take SmallNet"):
        Executor(file)(small_net(), CPU)
