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

from connectors.kafka.topics import ASSESSMENT, EVENT
from infra.observer.reader import LogState
from infra.observer.view import View
from infra.web.access import Terms
from infra.web.feed import Feed
from infra.web.serve import Served, serve
from models.policy_settings import PolicySettings
from models.records import Assessment
from tests.observed_story import BAD, BEGAN, JOB, NODES, Story, assessment, progress, rescue

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
        self.feed = Feed(
            told, lambda: {"title": "a story", "phase": "live"}, PolicySettings(), lambda: BEGAN + 60, time.monotonic
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.page = self.begin(0)

    def begin(self, port: int) -> Served:
        self.page = asyncio.run_coroutine_threadsafe(serve(self.feed, Terms("127.0.0.1"), port), self._loop).result(20)
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
        self.driver, self.site = driver, site
        self.driver.get_log("browser")
        self.shape(1280, 1000)
        self.go("")

    def go(self, way: str) -> None:
        """Load that page of the page anew, and wait until it shows what is known."""
        self.driver.get("about:blank")
        self.driver.get(f"{self.site.page.url}/#/{way}")
        self.until(lambda: self.text("#condition") == "live")
        self.until(lambda: len(self.all("#view .panel")) > 0)
        if not way:
            self.until(lambda: len(self.all(".recent li")) == 5)

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


def command_of(told: Told, action: str) -> str:
    """The id of the story's last command of that kind."""
    commands = told.view.jobs[JOB].commands.values()
    return [one.command.id for one in commands if one.command.action == action][-1]


def test_the_first_page_tells_of_the_fleet_without_a_word_on_the_console(browser: Browser) -> None:
    assert "1 failing" in browser.text(".panel .aside")
    assert [row.text.split()[0] for row in browser.all(".pair .panel:first-child tbody tr")] == [BAD, "n12", "n15"]
    assert [tag.text for tag in browser.all(".recent .tag")] == [
        "RESTORE",
        "MIGRATE",
        "CHECKPOINT",
        "INCIDENT",
        "CHECKPOINT",
    ]
    assert browser.errors() == []
    browser.keep("fleet-light")


@pytest.mark.parametrize(
    "way", ["node/n03", "job/demo", "jobs", "savings", "pipeline", "decision/MIGRATE", "node/nobody"]
)
def test_no_page_says_a_word_on_the_console_but_of_what_is_not_there(browser: Browser, told: Told, way: str) -> None:
    browser.go(way.replace("MIGRATE", command_of(told, "MIGRATE")))
    browser.until(lambda: browser.all(".panel h2"))
    missing = [entry for entry in browser.errors() if "404" not in entry["message"]]
    assert missing == []
    browser.keep(way.replace("/", "-"))


def test_a_node_shows_its_past_its_worst_metrics_and_its_incident(browser: Browser) -> None:
    browser.go(f"node/{BAD}")
    browser.until(lambda: len(browser.all("canvas")) == 2)
    assert "failing" in browser.text(".aside")
    assert browser.text(".worst tbody td") == "gpu0.temp_c"
    assert "60 points" in browser.script("return document.querySelector('.chart').getAttribute('aria-label')")
    assert "opened" in browser.text("#view .panel:last-child tbody")


def test_a_job_shows_each_command_and_each_ranks_answers(browser: Browser) -> None:
    browser.go(f"job/{JOB}")
    browser.until(lambda: len(browser.all(".timeline .tag")) == 5)
    checkpoint = browser.all(".timeline details")[2]
    rows = checkpoint.find_elements(By.CSS_SELECTOR, "tbody tr")
    assert len(rows) == 4
    assert all(len(row.find_elements(By.CSS_SELECTOR, "td.stage:not(.none)")) == 5 for row in rows)
    assert "durable at 4 of 4 ranks" in browser.script(
        "return document.querySelector('.strip svg').getAttribute('aria-label')"
    )
    assert "Leaving n03 in time" in browser.text(".ledger-note")


def test_a_decision_is_shown_from_the_view_and_says_why_it_is_not_explained(browser: Browser, told: Told) -> None:
    browser.go(f"decision/{command_of(told, 'MIGRATE')}")
    browser.until(lambda: browser.text("h2").startswith("MIGRATE rank 2 away from n03"))
    browser.until(lambda: "no broker" in browser.text("#view .panel:last-child"))
    assert "theta" in browser.text(".numbers")


def test_a_node_is_found_and_opened_by_keyboard_alone(browser: Browser) -> None:
    browser.script("document.querySelector('.heat canvas').focus()")
    for key in (Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT):
        browser.driver.switch_to.active_element.send_keys(key)
    assert browser.script("return document.activeElement.dataset.node") == "n02"
    assert browser.text("#cell-told").startswith("n02: healthy")
    browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
    browser.until(lambda: browser.text("h2") == "Node n02")
    assert browser.script("return document.activeElement.id") == "view"


def test_the_table_holds_what_the_map_does(browser: Browser) -> None:
    browser.script("document.querySelector('button.plain').click()")
    browser.until(lambda: len(browser.all(".listing tbody tr")) == len(NODES))
    assert browser.text(".listing tbody tr td") == BAD
    browser.script(
        "const s = document.getElementById('find-node'); s.value = 'spare'; s.dispatchEvent(new Event('input'))"
    )
    browser.until(lambda: len(browser.all(".listing tbody tr")) == 1)


def test_what_was_opened_stays_while_the_page_goes_on(browser: Browser, told: Told) -> None:
    browser.go(f"job/{JOB}")
    browser.until(lambda: len(browser.all(".timeline summary")) == 4)
    browser.all(".timeline summary")[-1].click()
    story = Story()
    for second in range(60, 63):
        later = story.append(EVENT, progress(0, "n01", BEGAN + second, second), BEGAN + second, JOB)
        told.look(lambda view, record=later: view.fold(record))
    browser.until(lambda: "step 464" in browser.text(".aside"))
    assert browser.script("return [...document.querySelectorAll('.timeline details')].at(-1).open") is True


def test_an_alarm_is_shown_after_its_assessment_and_the_page_says_when(browser: Browser, told: Told) -> None:
    appended = time.time()
    alarm = replace(assessment(BAD, 2, BEGAN + 60, 60), node="n09")
    told.look(lambda view: view.fold(Story().append(ASSESSMENT, alarm, appended, "n09", latency_s=0.0)))
    marks = "return performance.getEntriesByName('alarm').map((one) => one.detail).filter((one) => one.node === 'n09')"
    browser.until(lambda: browser.script(marks))
    (mark,) = browser.script(marks)
    print(f"the alarm was on the screen {mark['shown'] - mark['alarmed']:.2f} s after its assessment was appended")
    assert mark["shown"] >= mark["alarmed"] == pytest.approx(appended)
    assert "2 failing" in browser.text(".panel .aside")


FRAMES = """
performance.clearMeasures('fleet');
window.took = [];
let last = performance.now();
const turn = (now) => {
  window.took.push(now - last);
  last = now;
  if (window.took.length < 600) requestAnimationFrame(turn);
};
requestAnimationFrame(turn);
"""


def test_two_thousand_nodes_stay_smooth(browser: Browser, told: Told) -> None:
    """Prints frame times and payload; what is asserted is that only what changed was drawn again."""
    many, story = [f"node-{number:04d}" for number in range(2_000)], Story()

    def assess(names: list[str], like: Assessment) -> None:
        for name in names:
            record = story.append(ASSESSMENT, replace(like, node=name), like.ts, name)
            told.look(lambda view, record=record: view.fold(record))

    assess(many, assessment("n01", 1, BEGAN + 60, 60))
    browser.until(lambda: "2,012 healthy" in browser.text(".panel .aside"))
    browser.script(FRAMES)
    for turn in range(6):
        assess(many[turn::20], assessment(BAD, 2, BEGAN + 61 + turn, 61))
        wanted = f"{100 * (turn + 1) + 1} failing"
        browser.until(lambda wanted=wanted: wanted in browser.text(".panel .aside"))
    drawn = browser.script("return performance.getEntriesByName('fleet').map((one) => [one.detail.many, one.duration])")
    frames = sorted(browser.script("return window.took"))
    busy = [one for one in drawn if one[0]]
    p50, p99 = frames[len(frames) // 2], frames[int(len(frames) * 0.99)]
    print(
        f"drawn: {[(many, round(ms, 1)) for many, ms in busy]} cells, ms; a frame took p50 {p50:.1f} p99 {p99:.1f} ms"
    )
    frame = browser.site.feed.frame()
    print(f"payload: names {len(frame.names)}, cells {len(frame.cells)}, digest {len(frame.digest)} bytes")
    assert len(frame.cells) < 10_000
    assert busy
    assert all(many <= 400 for many, _ in busy)
    browser.keep("fleet-2000-light")


def test_it_says_when_the_data_is_old_and_when_the_broker_is_away(browser: Browser, told: Told) -> None:
    told.log = LogState(away=False, silent_s=12.0)
    browser.until(lambda: browser.text("#condition") == "stale")
    assert "12.0 s" in browser.text("#banner")
    told.log = LogState(away=True, silent_s=14.0)
    browser.until(lambda: browser.text("#condition") == "broker away")
    browser.keep("broker-away")
    told.log = LogState(away=False, silent_s=0.1)
    browser.until(lambda: browser.text("#condition") == "live")
    assert not browser.all("#banner")[0].is_displayed()


def test_it_connects_again_by_itself(browser: Browser, site: Site) -> None:
    port = site.page.port
    site.end()
    browser.until(lambda: browser.text("#condition") == "disconnected")
    assert len(browser.all(".recent li")) == 5, "the last that was heard stays"
    site.begin(port)
    browser.until(lambda: browser.text("#condition") == "live")


WAYS = ("", "node/n03", "job/demo", "decision/MIGRATE", "savings", "pipeline")


@pytest.mark.parametrize(("width", "dark"), [(360, False), (360, True), (768, False)])
def test_nothing_is_wider_than_the_screen(browser: Browser, told: Told, width: int, dark: bool) -> None:
    browser.shape(width, 1000, dark=dark)
    for way in WAYS:
        browser.go(way.replace("MIGRATE", command_of(told, "MIGRATE")))
        browser.until(lambda: browser.all(".panel table, .panel .numbers"))
        assert browser.script("return document.documentElement.scrollWidth") <= width, way
        browser.keep(f"{way.replace('/', '-') or 'fleet'}-{width}-{'dark' if dark else 'light'}")


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
