# SPDX-License-Identifier: Apache-2.0
"""Data sets: their classes, their files, their splits, and a phantom that needs no download."""
