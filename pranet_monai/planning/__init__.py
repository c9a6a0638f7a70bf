# SPDX-License-Identifier: Apache-2.0
"""Plans a bundle for a labelled folder: its cases, its patients, and the settings that follow."""
