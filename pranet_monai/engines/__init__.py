# SPDX-License-Identifier: Apache-2.0
"""Loops over cases and slices, and the handlers that hang on them."""
