"""HIPAA: the controls that a secret store can say something about. Titles are paraphrase, ids are real."""

from __future__ import annotations

from polyvault.domain.frameworks.framework import Framework, control

HIPAA = Framework(
    name="HIPAA",
    title="HIPAA Security Rule",
    version="45 CFR 164 Subpart C, text of 2013",
    out_of_reach=(
        "164.310: physical safeguards",
        "164.308(a)(5)(i): training",
        "164.308(b): contracts with associates",
    ),
    controls=(
        control(
            "164.308(a)(1)(ii)(A)",
            "Risk analysis",
            "",
            "M",
            "none",
            limits="This report is an input to the analysis, not the analysis.",
        ),
        control(
            "164.308(a)(1)(ii)(D)",
            "System activity is reviewed",
            "C48",
            "P",
            "high",
            limits="The review runs by machine, the judgement is people's.",
        ),
        control("164.308(a)(3)(ii)(C)", "Access ends with employment", "C07 C31", "P", "critical"),
        control(
            "164.308(a)(4)(ii)(B);164.308(a)(4)(ii)(C)",
            "Access is authorised, set up and changed by procedure",
            "C18 C19 C30 C38",
            "P",
            "high",
        ),
        control("164.308(a)(5)(ii)(C)", "Log-ins are watched", "D1 D2 C39", "A", "high"),
        control(
            "164.308(a)(5)(ii)(D)",
            "Passwords are created, changed and guarded by procedure",
            "C01 C02 C03 C04 C05 C12 C32",
            "A",
            "high",
        ),
        control(
            "164.308(a)(6)(ii)",
            "Incidents are found, answered, limited and written down",
            "D1 D2 D3 D4 D5 D6 D7 D8 D9 D10 D11 D12 D13 D14 D15 D16 C48",
            "P",
            "high",
        ),
        control(
            "164.308(a)(7)(ii)(A);164.308(a)(7)(ii)(B)",
            "Data is backed up and can be restored",
            "C15 C36 C37",
            "P",
            "medium",
        ),
        control(
            "164.308(a)(8)",
            "The safeguards are evaluated from time to time",
            "",
            "P",
            "low",
            limits="Evidence would be the cadence of reports; no check, so people attest it.",
        ),
        control("164.312(a)(1)", "Only persons and programs with a grant get in", "C16 C17 C18 C19", "A", "critical"),
        control("164.312(a)(2)(i)", "Each user is identified", "C27 C28", "A", "high"),
        control(
            "164.312(a)(2)(ii)",
            "There is a way in for emergencies",
            "",
            "P",
            "medium",
            limits="Evidence would be a break-glass secret with a recorded test; no check, so people attest it.",
        ),
        control(
            "164.312(a)(2)(iv)",
            "What unlocks health data is encrypted",
            "C12 C13",
            "P",
            "high",
            limits="Secrets that unlock health data, not that data itself.",
        ),
        control("164.312(b)", "Activity is recorded and examined", "C39 C40 C41 C42 C48", "A", "critical"),
        control(
            "164.312(c)(1);164.312(c)(2)",
            "Records are protected from change, and a change shows",
            "C43 C44",
            "P",
            "high",
            limits="Of the audit log, not of health data.",
        ),
        control("164.312(d)", "Who asks is who they say", "C27 C29", "P", "high"),
        control("164.312(e)(1);164.312(e)(2)", "Transmission is protected", "C14 C26", "A", "high"),
        control(
            "164.316(b)(2)(i)",
            "Required documents are kept six years",
            "C45",
            "P",
            "medium",
            limits="Reports and attestations surely; raw audit events by common practice only.",
        ),
    ),
)
