# SPDX-License-Identifier: Apache-2.0
"""From a labelled folder to the numbers of a bundle: what lies there, whose it is, and what follows from it."""
