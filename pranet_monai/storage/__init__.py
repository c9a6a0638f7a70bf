# SPDX-License-Identifier: Apache-2.0
"""Files on disk: whole or not there, named by their hash, tables and strict JSON. Knows no network and no picture."""
