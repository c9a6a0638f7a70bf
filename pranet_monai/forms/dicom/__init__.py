# SPDX-License-Identifier: Apache-2.0
"""Series of DICOM files as cases: found, read, and given a segmentation and a report in DICOM.

Nothing here imports pydicom or highdicom before a DICOM file is read or written: other programs that load this package
may live with another version of them, or without.
"""

from pranet_monai.forms.dicom.form import DicomSeries

__all__ = ["DicomSeries"]
