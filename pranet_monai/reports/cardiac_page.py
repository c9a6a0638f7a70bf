# SPDX-License-Identifier: Apache-2.0
"""The page's section of cardiac indices, and one page per patient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from pranet_monai.reports.cardiac import agreement
from pranet_monai.reports.case_data import embedded_picture
from pranet_monai.reports.case_table import EMBEDDED
from pranet_monai.reports.markup import Markup, element, join
from pranet_monai.reports.measures import Measure
from pranet_monai.reports.shell import Section, page_shell, table
from pranet_monai.storage.tables import Row, write_atomically

__all__ = ["cardiac_section", "write_patient_pages"]

INDICES = [
    Measure("lv_edv_ml", "LV EDV", "ml", 0, None),
    Measure("lv_esv_ml", "LV ESV", "ml", 0, None),
    Measure("lv_ef", "LV EF", "%", 0, None, factor=100),
    Measure("rv_edv_ml", "RV EDV", "ml", 0, None),
    Measure("rv_esv_ml", "RV ESV", "ml", 0, None),
    Measure("rv_ef", "RV EF", "%", 0, None, factor=100),
    Measure("myo_mass_g", "Myocardial mass", "g", 0, None),
]
LONG_NAMES = {
    "lv": "left ventricle", "rv": "right ventricle",
    "edv": "end-diastolic volume", "esv": "end-systolic volume", "ef": "ejection fraction",
}  # fmt: skip


def cardiac_section(rows: Sequence[Row]) -> Section | None:
    """A table of all patients, the references' values below the masks', and the agreement of both.

    Args:
        rows: of ``cardiac.csv``; without rows there is no section.
    """
    if not rows:
        return None
    body = []
    for row in rows[:EMBEDDED]:
        link = element("a", row["patient"], href=f"patients/{quote(row['patient'])}.html")
        body.append(element("tr", element("th", link, scope="row"), *(_cell(row, index) for index in INDICES)))
    limits = agreement(rows)
    note = "Volumes by counting voxels; mass of the wall at end-diastole at 1.05 g/ml."
    note += " Red: no cavity was found at end-systole."
    note += " Small: from the references." if limits else ""
    note += f" The first {EMBEDDED} of {len(rows)} patients; cardiac.csv has all." if len(rows) > EMBEDDED else ""
    headings = ["Patient", *(index.heading for index in INDICES)]
    parts = [element("p", note, class_="quiet"), table(headings, body)]
    if limits:
        parts += [element("h3", "Agreement with the references"), _agreement_table(limits)]
    return Section("cardiac", "Cardiac indices", join(*parts))


def write_patient_pages(folder: Path, rows: Sequence[Row]) -> None:
    """Write ``patients/<patient>.html``: indices, and the pictures of both phases; of the patients that the page lists.

    Args:
        folder: the report, with its ``previews``.
        rows: of ``cardiac.csv``.
    """
    for row in rows[:EMBEDDED]:
        has_reference = row.get("reference_lv_edv_ml") is not None
        body = join(
            element("h1", f"Cardiac indices: {row['patient']}"),
            element("p", f"End-diastole: {row['ed_case']}; end-systole: {row['es_case']} (by {row['phases']}).",
                    class_="quiet"),
            _patient_table(row, has_reference),
            *(
                join(element("h2", title), _picture(folder, row[key]))
                for title, key in (("End-diastole", "ed_case"), ("End-systole", "es_case"))
            ),
        )  # fmt: skip
        write_atomically(folder / "patients" / f"{row['patient']}.html", page_shell(f"{row['patient']}", body))


def _picture(folder: Path, case: str) -> Markup:
    source = embedded_picture(folder / "previews" / f"{case}.png")
    return element("img", src=source, alt=f"Slices of {case} with the organs outlined") if source else Markup()


def _patient_table(row: Row, has_reference: bool) -> Markup:
    headings = ["Index", "Prediction", *(["Reference", "Difference"] if has_reference else [])]
    rows = []
    for index in INDICES:
        predicted, reference = row.get(index.key), row.get(f"reference_{index.key}")
        cells = [index.text(predicted)]
        if has_reference:
            difference = "–" if predicted is None or reference is None else index.signed(predicted - reference)
            cells += [index.text(reference), difference]
        rows.append(element("tr", element("th", _long_name(index), scope="row"), *(element("td", c) for c in cells)))
    return element("div", table(headings, rows), class_="narrow")


def _long_name(index: Measure) -> str:
    side, _, rest = index.key.partition("_")
    name = LONG_NAMES.get(rest.split("_")[0])
    return f"{LONG_NAMES[side].capitalize()}, {name} ({index.title}), {index.unit}" if name else index.heading


def _cell(row: Row, index: Measure) -> Markup:
    reference = row.get(f"reference_{index.key}")
    small = element("small", index.text(reference)) if reference is not None else ""
    no_cavity = index.key.endswith("_ef") and row[index.key.replace("_ef", "_esv_ml")] == 0
    return element("td", index.text(row.get(index.key)), small, class_="bad" if no_cavity else None)


def _agreement_table(limits: Mapping[str, Mapping[str, float]]) -> Markup:
    rows = []
    for index in INDICES:
        if index.key in limits:
            found = limits[index.key]
            interval = f"{index.signed(found['low'])} to {index.signed(found['high'])}"
            cells = [f"{found['n']:.0f}", index.signed(found["bias"]), interval]
            rows.append(element("tr", element("th", index.heading, scope="row"), *(element("td", c) for c in cells)))
    headings = ["Index", "Patients", "Mean difference", "95 % limits of agreement"]
    return element("div", table(headings, rows), class_="narrow")
