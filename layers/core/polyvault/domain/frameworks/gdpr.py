"""GDPR: the controls that a secret store can say something about. Titles are paraphrase, ids are real."""

from __future__ import annotations

from polyvault.domain.frameworks.framework import Framework, control

GDPR = Framework(
    name="GDPR",
    title="GDPR",
    version="Regulation (EU) 2016/679",
    out_of_reach=(
        "Articles 6, 7 and 9: legal basis",
        "Articles 12 to 22: rights of data subjects",
        "Articles 35 to 37: impact assessment, data protection officer",
    ),
    controls=(
        control(
            "Art. 5(1)(c);Art. 5(1)(e)",
            "No more personal data than needed, no longer than needed: audit events hold some",
            "C45 C49",
            "A",
            "medium",
            limits="The upper bound of retention.",
        ),
        control("Art. 5(1)(f)", "Integrity and confidentiality", "C12 C16 C43", "P", "high"),
        control(
            "Art. 5(2);Art. 24",
            "Accountability",
            "",
            "P",
            "low",
            limits="Evidence would be signed reports; no check, so people attest it.",
        ),
        control("Art. 25", "Data protection by design and by default", "C18 C26 C35", "P", "medium"),
        control(
            "Art. 28;Art. 44",
            "Processors and transfers: replicas and logs stay in allowed Regions",
            "C15",
            "P",
            "high",
            limits="Contracts with processors are outside.",
        ),
        control("Art. 30", "Records of processing describe the measures", "C35", "P", "low"),
        control("Art. 32(1)(a)", "Pseudonyms and encryption", "C12 C14", "P", "high"),
        control(
            "Art. 32(1)(b);Art. 32(1)(c)", "Lasting resilience, and restoring in time", "C36 C37 C40", "P", "medium"
        ),
        control("Art. 32(1)(d)", "Measures are tested regularly", "C40", "A", "low"),
        control(
            "Art. 33",
            "Breaches are notified within 72 hours of awareness, and documented",
            "D1 D2 D3 D4 D5 D6 D7 D8 D9 D10 D11 D12 D13 D14 D15 D16",
            "P",
            "critical",
            limits="A person declares awareness.",
        ),
    ),
)
