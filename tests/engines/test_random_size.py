# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import torch
from pranet_monai.engines.random_size import RandomSizeBatch


def test_each_batch_gets_one_of_the_sizes() -> None:
    torch.manual_seed(0)
    prepare, seen = RandomSizeBatch([16, 24, 32]), set()
    ramp = torch.linspace(0, 1, 24).expand(2, 1, 24, 24)
    for _ in range(30):
        image, mask = prepare({"image": ramp.expand(2, 3, 24, 24), "label": ramp}, torch.device("cpu"))
        side = image.shape[-1]
        assert image.shape == (2, 3, side, side) and mask.shape == (2, 1, side, side)
        # corners stay corners, as with the originals' align_corners
        torch.testing.assert_close(mask[0, 0, 0], torch.linspace(0, 1, side), atol=1e-5, rtol=0)
        torch.testing.assert_close(image[:, :1], mask)
        seen.add(side)
    assert seen == {16, 24, 32}
