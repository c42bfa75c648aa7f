"""The live page in a real browser, on a story of recorded records."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from connectors.kafka.topics import ASSESSMENT
from infra.observer.reader import LogState
from infra.observer.view import View
from infra.web.access import Terms
from infra.web.feed import Feed
from infra.web.serve import Served, serve
from models.policy_settings import PolicySettings
from tests.observed_story import BAD, BEGAN, NODES, Story, assessment, rescue

pytestmark = pytest.mark.browser
DEADLINE_S = 20.0
SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_T = TypeVar("_T")


class Told:
    """A view without a broker, and how its log stands; the page's thread and the test's take turns."""

    def __init__(self) -> None:
        self.view, self.log, self._lock = View(), LogState(away=False, silent_s=0.2), threading.Lock()
        for record in rescue():
            self.view.fold(record)

    def look(self, at: Callable[[View], _T]) -> _T:
        with self._lock:
            return at(self.view)

    def state(self) -> LogState:
        return self.log


class Site:
    """The page, served from a thread of its own; it can go away and come back on its port."""

    def __init__(self, told: Told) -> None:
        self._feed = Feed(
            told, lambda: {"title": "a story", "phase": "live"}, PolicySettings(), lambda: BEGAN + 60, time.monotonic
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.page = self.begin(0)

    def begin(self, port: int) -> Served:
        self.page = asyncio.run_coroutine_threadsafe(serve(self._feed, Terms("127.0.0.1"), port), self._loop).result(20)
        return self.page

    def end(self) -> None:
        asyncio.run_coroutine_threadsafe(self.page.stop(), self._loop).result(20)

    def close(self) -> None:
        self.end()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
        self._loop.close()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def site(told: Told) -> Iterator[Site]:
    site = Site(told)
    yield site
    site.close()


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    driver_path = shutil.which("chromedriver")
    if driver_path is None or shutil.which("chromium") is None:
        pytest.skip("no chromium with its driver here (Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(driver_path))
    yield driver
    driver.quit()


class Browser:
    """What the tests ask of the page."""

    def __init__(self, driver: webdriver.Chrome, site: Site) -> None:
        self.driver = driver
        self.driver.get_log("browser")
        self.shape(1280, 1000)
        self.driver.get(site.page.url)
        self.until(lambda: len(self.all(".cell")) == len(NODES))
        self.until(lambda: self.text("#detail-title") != "Node")

    def shape(self, width: int, height: int, *, dark: bool = False) -> None:
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def all(self, css: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def text(self, css: str) -> str:
        """The text as it stands in the document, read at once: an element may be replaced between two calls."""
        return str(self.script("return document.querySelector(arguments[0])?.textContent ?? ''", css))

    def script(self, code: str, *given: object) -> Any:
        return self.driver.execute_script(code, *given)

    def until(self, condition: Callable[[], object]) -> None:
        WebDriverWait(self.driver, DEADLINE_S, 0.05).until(lambda _: condition())

    def errors(self) -> list[dict[str, Any]]:
        return [entry for entry in self.driver.get_log("browser") if entry["level"] in {"SEVERE", "WARNING"}]

    def keep(self, name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.driver.save_screenshot(str(SCREENSHOTS / f"{name}.png"))


@pytest.fixture
def browser(chromium: webdriver.Chrome, site: Site) -> Browser:
    return Browser(chromium, site)


def test_it_opens_on_the_node_that_needs_a_look_without_a_word_on_the_console(browser: Browser) -> None:
    assert browser.text("#detail-title") == BAD
    assert "failing" in browser.text("#detail-verdict")
    assert browser.text("#condition") == "live"
    assert len(browser.all("#p-chart path.line")) == 1
    assert browser.text("#worst tbody tr td") == "gpu0.temp_c"
    assert browser.errors() == []
    browser.keep("live-page-light")


def test_a_verdict_is_told_by_word_and_shape_not_by_colour_alone(browser: Browser) -> None:
    seen = {
        verdict: browser.script(
            "const c = document.querySelector(`.cell[data-verdict='${arguments[0]}']`);"
            "return [c.querySelector('.verdict').textContent, c.querySelector('use').getAttribute('href')]",
            verdict,
        )
        for verdict in ("healthy", "warming", "suspect", "failing", "unknown")
    }
    assert seen == {verdict: [verdict, f"#shape-{verdict}"] for verdict in seen}


def test_the_job_shows_each_command_and_each_ranks_answers(browser: Browser) -> None:
    tags = [element.text for element in browser.all(".timeline .tag")]
    assert tags == ["RESTORE", "MIGRATE", "CHECKPOINT", "INCIDENT", "CHECKPOINT"]
    checkpoint = browser.all(".timeline details")[2]
    assert checkpoint.find_element(By.CSS_SELECTOR, ".sum").text.startswith("4/4 done")
    rows = checkpoint.find_elements(By.CSS_SELECTOR, "tbody tr")
    assert [row.find_element(By.CSS_SELECTOR, "td").text for row in rows] == [
        "rank 0 · n01",
        "rank 1 · n02",
        "rank 2 · n03",
        "rank 3 · n04",
    ]
    assert all(len(row.find_elements(By.CSS_SELECTOR, "td.stage:not(.none)")) == 5 for row in rows)
    assert checkpoint.find_element(By.CSS_SELECTOR, ".what").text.startswith("every rank")
    assert "theta" in checkpoint.find_element(By.CSS_SELECTOR, ".numbers").text
    assert "step 440" in browser.text(".job .now")
    assert "Leaving n03 in time" in browser.text(".ledger-note")


def test_a_node_is_chosen_by_keyboard_alone(browser: Browser) -> None:
    first = browser.all(".cell")[0]
    browser.script("arguments[0].focus()", first)
    for key in (Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT, Keys.ENTER):
        browser.driver.switch_to.active_element.send_keys(key)
    browser.until(lambda: browser.text("#detail-title") == "n02")
    assert browser.driver.current_url.endswith("#n02")
    assert browser.script("return document.activeElement.dataset.node") == "n02"
    assert browser.script("return document.activeElement.getAttribute('aria-pressed')") == "true"


def test_what_was_opened_and_focused_stays_while_the_page_goes_on(browser: Browser, told: Told) -> None:
    summary = browser.all(".timeline summary")[-1]
    summary.click()
    story = Story()
    for second in range(60, 63):
        later = story.append(ASSESSMENT, assessment(BAD, 2, BEGAN + second, second), BEGAN + second, BAD)
        told.look(lambda view, record=later: view.fold(record))
    browser.until(lambda: "63 points" in browser.script(POINTS))
    assert browser.script("return [...document.querySelectorAll('.timeline details')].at(-1).open") is True
    assert browser.script("return document.activeElement.tagName") == "SUMMARY"


POINTS = "return document.querySelector('#p-chart svg').getAttribute('aria-label')"


def test_a_new_alarm_shows_by_itself(browser: Browser, told: Told) -> None:
    alarm = replace(assessment(BAD, 2, BEGAN + 60, 60), node="n09")
    bad_one = Story().append(ASSESSMENT, alarm, BEGAN + 60, "n09")
    assert browser.script("return document.querySelector('[data-node=n09]').dataset.verdict") == "healthy"
    told.look(lambda view: view.fold(bad_one))
    browser.until(
        lambda: browser.script("return document.querySelector('[data-node=n09]').dataset.verdict") == "failing"
    )


def test_it_says_when_the_data_is_old_and_when_the_broker_is_away(browser: Browser, told: Told) -> None:
    told.log = LogState(away=False, silent_s=12.0)
    browser.until(lambda: browser.text("#condition") == "stale")
    assert "12.0 s" in browser.text("#banner")
    told.log = LogState(away=True, silent_s=14.0)
    browser.until(lambda: browser.text("#condition") == "broker away")
    browser.keep("live-page-broker-away")
    told.log = LogState(away=False, silent_s=0.1)
    browser.until(lambda: browser.text("#condition") == "live")
    assert not browser.all("#banner")[0].is_displayed()


def test_it_connects_again_by_itself(browser: Browser, site: Site) -> None:
    port = site.page.port
    site.end()
    browser.until(lambda: browser.text("#condition") == "disconnected")
    assert len(browser.all(".cell")) == len(NODES), "the last that was heard stays"
    site.begin(port)
    browser.until(lambda: browser.text("#condition") == "live")


@pytest.mark.parametrize(("width", "dark"), [(390, False), (390, True), (768, False), (1280, True)])
def test_nothing_is_wider_than_the_screen(browser: Browser, width: int, dark: bool) -> None:
    browser.shape(width, 1000, dark=dark)
    browser.until(lambda: browser.script("return document.documentElement.clientWidth") <= width)
    assert browser.script("return document.documentElement.scrollWidth") <= width
    names = browser.script("return [...document.querySelectorAll('.cell b')].map((b) => b.scrollWidth - b.clientWidth)")
    assert max(names) <= 1, "every name can be read whole"
    browser.keep(f"live-page-{width}-{'dark' if dark else 'light'}")


@pytest.mark.parametrize("dark", [False, True])
def test_text_stands_out_from_its_ground(browser: Browser, dark: bool) -> None:
    """WCAG AA: at least 4.5 to 1 for the page's words, verdicts and figures."""
    browser.shape(1280, 1000, dark=dark)
    lowest = browser.script(CONTRAST)
    assert lowest["ratio"] >= 4.5, lowest


CONTRAST = """
const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
  .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const ground = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const colour = parse(getComputedStyle(at).backgroundColor);
    if (colour.length === 3 || colour[3] > 0) return colour;
  }
  return [255, 255, 255];
};
let lowest = { ratio: 99 };
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const element = walk.currentNode.parentElement;
  if (!walk.currentNode.textContent.trim() || element.closest('svg, .note') || !element.checkVisibility()) continue;
  const [a, b] = [light(parse(getComputedStyle(element).color)), light(ground(element))];
  const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  if (ratio < lowest.ratio) lowest = { ratio, text: walk.currentNode.textContent, of: element.className };
}
return lowest;
"""
