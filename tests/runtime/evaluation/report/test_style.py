"""The page's style is the one that its policy allows, and names colours that can be read."""

from __future__ import annotations

import base64
import hashlib
import re

from fluxpath.runtime.evaluation.report.style import POLICY, STYLE


def luminance(colour):
    digits = colour.lstrip("#")
    digits = digits if len(digits) == 6 else "".join(2 * d for d in digits)
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_the_policy_allows_this_style_alone():
    wanted = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    assert f"style-src 'sha256-{wanted}'" in POLICY and "default-src 'none'" in POLICY
    assert "url(" not in STYLE and "@import" not in STYLE and "<" not in STYLE


def test_letters_are_dark_enough():
    """WCAG's contrast for text, 4.5, on white and on the grounds that there are."""
    colours = dict(re.findall(r"--(\w+): (#\w+)", STYLE))
    for name in ("ink", "faint", "best"):
        for ground in ("#fff", colours["ground"]):
            assert (luminance(ground) + 0.05) / (luminance(colours[name]) + 0.05) >= 4.5, name


def test_it_can_be_printed():
    assert "@media print" in STYLE and "break-inside: avoid" in STYLE
