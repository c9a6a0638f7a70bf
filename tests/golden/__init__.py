# SPDX-License-Identifier: Apache-2.0
"""Recorded outputs of the original networks and the recipe that remakes their weights and inputs."""
