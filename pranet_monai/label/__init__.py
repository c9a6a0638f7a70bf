# SPDX-License-Identifier: Apache-2.0
"""What runs inside MONAI Label's server: bundles as its models, options in its clients, training on what was corrected.

``app``, ``infer`` and ``train`` need MONAI Label (extra ``[label]``); ``options`` doesn't.
"""
