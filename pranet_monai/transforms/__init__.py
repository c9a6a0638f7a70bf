# SPDX-License-Identifier: Apache-2.0
"""Dictionary transforms that bring volumes in and masks out, and the papers' resize."""
