"""SOC 2: the controls that a secret store can say something about. Titles are paraphrase, ids are real."""

from __future__ import annotations

from polyvault.domain.frameworks.framework import Framework, control

SOC2 = Framework(
    name="SOC2",
    title="SOC 2",
    version="TSC 2017 with the points of focus of 2022",
    out_of_reach=("CC1 to CC3, CC5 and CC9: environment, communication, risk, control activities, vendors",),
    controls=(
        control(
            "CC4.1",
            "Controls are evaluated, continuously or apart",
            "",
            "P",
            "low",
            limits="Evidence would be the cadence of reports; no check, so people attest it.",
        ),
        control(
            "CC6.1",
            "Logical access: architecture, and protection of keys and credentials",
            "C12 C13 C16 C17 C18 C19 C20 C26 C32 C34",
            "P",
            "critical",
            limits="The automatic part is configuration; the rest is people's.",
        ),
        control(
            "CC6.2", "Credentials are issued on authorisation and withdrawn when it ends", "C30 C31 C21", "P", "high"
        ),
        control(
            "CC6.3",
            "Access by role, least privilege, duties kept apart",
            "C19 C20 C22 C24",
            "P",
            "high",
            limits="The automatic part is effective access; the rest is people's.",
        ),
        control("CC6.6", "Defence against threats from outside the boundary", "C16 C17 C26 D9", "A", "critical"),
        control("CC6.7", "Information moves, leaves and is removed only as allowed", "C14 C15 D3 D4", "P", "high"),
        control(
            "CC6.8",
            "Unauthorised or malicious software is kept out",
            "C38",
            "P",
            "medium",
            limits="Changes outside the usual path only.",
        ),
        control(
            "CC7.1",
            "Changes of configuration and new weaknesses are noticed",
            "C38",
            "A",
            "medium",
            limits="Drift between two reports adds to it.",
        ),
        control(
            "CC7.2",
            "Anomalies are watched for",
            "C39 D1 D2 D3 D4 D5 D6 D7 D8 D9 D10 D11 D12 D13 D14 D15 D16",
            "A",
            "high",
        ),
        control("CC7.3;CC7.4", "Events are evaluated and incidents answered", "C48", "P", "high"),
        control("CC8.1", "Changes are authorised, tested and approved", "C38", "P", "medium"),
        control("A1.2;A1.3", "Backups exist and recovery is tested", "C36 C37", "P", "medium"),
        control("C1.1;C1.2", "Confidential information is known, and disposed of", "C21 C35 C11", "P", "medium"),
    ),
)
