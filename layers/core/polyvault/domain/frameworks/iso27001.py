"""ISO/IEC 27001: the controls that a secret store can say something about. Titles are paraphrase, ids are real."""

from __future__ import annotations

from polyvault.domain.frameworks.framework import Framework, control

ISO27001 = Framework(
    name="ISO27001",
    title="ISO/IEC 27001",
    version="2022 with Amendment 1 of 2024, Annex A",
    out_of_reach=(
        "Clauses 4 to 10: the management system",
        "A.6: people",
        "A.7: physical controls",
    ),
    controls=(
        control(
            "A.5.9",
            "Inventory of assets",
            "C35",
            "A",
            "medium",
            limits="Completeness of the inventory of each store adds to it.",
        ),
        control(
            "A.5.15",
            "Access control",
            "C16 C18 C19",
            "P",
            "high",
            limits="The automatic part is policies; the rest is people's.",
        ),
        control("A.5.16", "Management of identities", "C27 C31", "P", "high"),
        control(
            "A.5.17",
            "Authentication information is allocated and managed",
            "C01 C02 C03 C04 C05 C06 C10 C32 C33 C34",
            "A",
            "high",
        ),
        control("A.5.18", "Access rights are given, reviewed and taken back", "C20 C30 C31", "P", "high"),
        control("A.5.23", "Security of cloud services", "C12 C26 C39", "P", "medium"),
        control("A.5.25;A.5.28", "Events are assessed, evidence is collected", "C43 C48", "P", "medium"),
        control("A.5.33", "Records are protected", "C43 C44 C45", "A", "high"),
        control("A.5.34", "Privacy and personal data", "C45 C49", "P", "medium"),
        control(
            "A.8.2",
            "Privileged access",
            "C19 C28 C29",
            "P",
            "high",
            limits="The automatic part is readers, root and second factor; the rest is people's.",
        ),
        control("A.8.3", "Access to information is restricted", "C16 C17 C18", "A", "critical"),
        control("A.8.5", "Secure authentication", "C29 C32", "P", "high"),
        control(
            "A.8.9",
            "Management of configurations",
            "C38",
            "A",
            "medium",
            limits="Drift between two reports adds to it.",
        ),
        control("A.8.10", "Information is deleted", "C11 C21 C45", "P", "medium"),
        control("A.8.11;A.8.12", "Data is masked, leaks are prevented", "C34 C49 D3", "P", "high"),
        control("A.8.13", "Backup", "C36 C37", "P", "medium"),
        control(
            "A.8.15",
            "Logs are produced, stored, protected and analysed",
            "C39 C40 C41 C42 C43 C44 C45 C46 C47 C48",
            "A",
            "high",
        ),
        control(
            "A.8.16",
            "Activities are monitored",
            "D1 D2 D3 D4 D5 D6 D7 D8 D9 D10 D11 D12 D13 D14 D15 D16 C48",
            "A",
            "high",
        ),
        control("A.8.17", "Clocks agree", "C50", "P", "low"),
        control("A.8.24", "Use of cryptography, keys included", "C12 C13 C14", "P", "high"),
        control("A.8.28", "Secure coding: no secret in code", "C34", "P", "critical"),
        control("A.8.31;A.8.32", "Environments are apart, changes are managed", "C24 C38", "P", "high"),
    ),
)
