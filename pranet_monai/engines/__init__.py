# SPDX-License-Identifier: Apache-2.0
"""Loops over cases and slices, and their handlers."""
