"""The web interface in a real browser, on a real server with the demo library.

What is asked of each page stands in ``browser.mjs``, one function a scenario.
"""

from __future__ import annotations

import pytest

from tests.e2e.browser import Browser


@pytest.mark.parametrize(
    "scenario",
    [
        "library",
        "search",
        "keyboard",
        "selection",
        "lora",
        "every_layout",
        "profiles",
        "inert",
        "indexing",
        "layouts",
        "compare",
        "health",
    ],
)
def test_interface(browser: Browser, scenario: str) -> None:
    """The scenario passes, without script errors, refused content or requests to other hosts."""
    browser.run(scenario)


def test_every_page_is_accessible_in_both_themes(browser: Browser) -> None:
    """axe finds nothing, contrast included, and each page is on a screenshot."""
    browser.run("accessibility")
    assert len(list(browser.screenshots.glob("*.png"))) >= 12
