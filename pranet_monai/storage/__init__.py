# SPDX-License-Identifier: Apache-2.0
"""Files on disk: atomic writes, hashes, tables and strict JSON."""
