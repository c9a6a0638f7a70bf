# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from pranet_monai.networks.backbones import BACKBONES
from pranet_monai.networks.nets import NETWORKS
from pranet_monai.networks.table import ComponentTable


@pytest.mark.parametrize(
    ("table", "known"),
    [(BACKBONES, "pvt_v2_b0, .*res2net50"), (NETWORKS, "EMCADNet, MIST")],
    ids=lambda value: getattr(value, "name", ""),
)
def test_unknown_name_lists_the_known(table: ComponentTable, known: str) -> None:
    with pytest.raises(ValueError, match=f"'nope' is none of the {table.name}, must be one of .*{known}"):
        table["nope"]


@pytest.mark.parametrize("table", [BACKBONES, NETWORKS], ids=lambda table: table.name)
def test_everything_has_a_description(table: ComponentTable) -> None:
    assert table.components
    assert all(component.description for component in table.components.values())
