# SPDX-License-Identifier: Apache-2.0
"""Bundles on this machine: where they lie, what they say of themselves, and installing more. Loads nothing heavy."""

from pranet_monai.bundle_store.bundle import CALIBRATION, FORMAT, SCORES, WEIGHTS, Bundle
from pranet_monai.bundle_store.find import all_bundles, find_bundle
from pranet_monai.bundle_store.install import install_bundle

__all__ = ["CALIBRATION", "FORMAT", "SCORES", "WEIGHTS", "Bundle", "all_bundles", "find_bundle", "install_bundle"]
