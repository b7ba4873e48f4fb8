"""The page in Chromium: a photo is dropped, its overlay seen, a slider moved, an error shown."""

from __future__ import annotations

import base64
import io
import shutil
import urllib.request

import numpy as np
import pytest
from PIL import Image

from fluxpath.runtime.pictures import Drawing, overlay

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
NAMES = ("cat", "dog", "<b>bird</b>", "fish")


def photo():
    stream = io.BytesIO()
    rng = np.random.default_rng(3)
    Image.fromarray(rng.integers(0, 256, (12, 12), np.uint8)).save(stream, "PNG")
    return stream.getvalue()


PHOTO = photo()


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("there is no Chromium")
    with playwright.sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def named(graph):
    from serving import serving

    with serving(f"smooth={graph('smooth', class_names=NAMES)}") as process:
        yield process


@pytest.fixture
def page(browser, named):
    context = browser.new_context(viewport={"width": 390, "height": 800})
    page = context.new_page()
    said = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: said.append(request.url) if named.http not in request.url and
            not request.url.startswith("data:") else None)  # fmt: skip
    page.goto(f"http://{named.http}/")
    page.wait_for_selector("#method option", state="attached")
    page.said = said
    yield page
    context.close()


def drop(page, name, kind, data):
    """As a browser does when a file is let go over the page."""
    page.evaluate(
        """([name, kind, data]) => {
            const bytes = Uint8Array.from(atob(data), c => c.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], name, {type: kind}));
            const event = {dataTransfer: transfer, bubbles: true, cancelable: true};
            document.dispatchEvent(new DragEvent("drop", event));
        }""",
        [name, kind, base64.b64encode(data).decode()],
    )


def pixels(page, canvas):
    data = page.evaluate("id => document.getElementById(id).toDataURL('image/png')", canvas)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data.partition(",")[2]))).convert("RGB"), int)


def test_a_photo_is_explained_and_drawn_as_anywhere(page, smooth):
    drop(page, "noise.png", "image/png", PHOTO)
    page.wait_for_selector("#result:not([hidden])")
    image = smooth.prepare([PHOTO])
    result = smooth.attribute(image)
    expected = np.asarray(overlay(image[0], result.values[0]), int)
    seen = pixels(page, "overlay")
    assert seen.shape == expected.shape
    assert np.abs(seen - expected).max() <= 2
    best = smooth.predict(image, 4)
    rows = page.eval_on_selector_all("#classes tr", "rows => rows.map(r => r.innerText)")
    for row, c in zip(rows, best.classes[0], strict=True):
        assert row.startswith(NAMES[c]) and f"{100 * best.probabilities[0, c]:.1f} %" in row
    points = page.eval_on_selector_all("#walk circle", "found => found.length")
    assert points == len(smooth.walk(image))
    assert page.said == []


def test_sliders_and_signs_redraw_without_a_request(page, smooth):
    drop(page, "noise.png", "image/png", PHOTO)
    page.wait_for_selector("#result:not([hidden])")
    before, asked = pixels(page, "overlay"), []
    page.on("request", lambda request: asked.append(request.url))
    page.evaluate("""() => {
        document.getElementById("low").value = 20;
        document.getElementById("polarity").value = "both";
        document.getElementById("low").dispatchEvent(new Event("input"));
    }""")
    after = pixels(page, "overlay")
    assert np.abs(after - before).max() > 50
    image = smooth.prepare([PHOTO])
    values = smooth.attribute(image).values[0]
    drawing = Drawing(polarity="both", clip_percent_lowerbound=20)
    assert np.abs(after - np.asarray(overlay(image[0], values, drawing), int)).max() <= 2
    assert asked == []


def test_settings_and_class_are_asked_for(page):
    page.select_option("#method", "neflag")
    page.select_option("#target", "2")
    page.fill("#settings input[name=n]", "2")
    drop(page, "noise.png", "image/png", PHOTO)
    page.wait_for_selector("#result:not([hidden])")
    assert page.inner_text("#caption").startswith("<b>bird</b>: score")
    page.fill("#settings input[name=n]", "many")
    page.click("#go")
    page.wait_for_selector("#message.error")
    assert "n is 'many'" in page.inner_text("#message")


def test_a_text_file_gives_an_error(page):
    drop(page, "letter.txt", "text/plain", b"Dear Sir or Madam")
    page.wait_for_selector("#message.error")
    assert "not an image in a format" in page.inner_text("#message")
    assert page.is_hidden("#result")


def test_it_fits_a_phone(page):
    drop(page, "noise.png", "image/png", PHOTO)
    page.wait_for_selector("#result:not([hidden])")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_its_headers(named):
    with urllib.request.urlopen(f"http://{named.http}/") as answer:
        policy = answer.headers["content-security-policy"]
        assert (
            "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        )
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_server_with_a_token_asks_for_it(browser, graph):
    from serving import serving

    with serving(f"smooth={graph('smooth')}", FLUXPATH_TOKEN="secret") as process:
        page = browser.new_page()
        page.goto(f"http://{process.http}/")
        page.wait_for_selector("#tokens:not([hidden])")
        page.fill("#token", "secret")
        page.dispatch_event("#token", "change")
        page.wait_for_selector("#method option", state="attached")
        drop(page, "noise.png", "image/png", PHOTO)
        page.wait_for_selector("#result:not([hidden])")
        page.close()
