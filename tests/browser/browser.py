"""A headless Chromium with one look, as one person has it, and what must hold of every page that it shows."""

import base64
import contextlib
import dataclasses
import json
import os
import pathlib
import tempfile

from harness import equal, wait_until
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By

# Nothing of the machine's own is used, and nothing is asked of anybody: no profile, no updates, no accounts.
FLAGS = """--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
           --disable-component-update --disable-sync --disable-default-apps --disable-extensions""".split()


@dataclasses.dataclass(frozen=True)
class Look:
    """The size of the screen, in pixels of CSS, and the colours that its owner prefers."""

    name: str
    width: int
    height: int
    colours: str


DESK = Look("desk", 1280, 900, "light")
PHONE = Look("phone", 360, 800, "dark")


class Browser:
    """One person's browser. `open` and `press` look at each page that comes, `end` at what was loaded besides."""

    def __init__(self, driver, look):
        self.driver, self.look = driver, look
        self.link, self.requests = None, []

    def open(self, link):
        """Opens the link of a mail."""
        self.link = link
        self.driver.get(link)
        self.arrived()

    def press(self, text):
        """Presses the button with this text, and waits for the page that comes."""
        with self.leaving():
            self.button(text).click()

    def button(self, text):
        return self.driver.find_element(By.XPATH, f"//button[normalize-space()='{text}']")

    def field(self, name):
        return self.driver.find_element(By.NAME, name)

    def fill(self, name, text):
        self.field(name).clear()
        self.field(name).send_keys(text)

    def text(self, selector="body"):
        """What a person reads there."""
        return self.driver.find_element(By.CSS_SELECTOR, selector).text

    def has(self, selector):
        return bool(self.driver.find_elements(By.CSS_SELECTOR, selector))

    def run(self, script, *arguments):
        """Asks the browser itself. The page's own policy, under which no script runs, does not bind it."""
        return self.driver.execute_script(script, *arguments)

    @contextlib.contextmanager
    def leaving(self):
        """What is done in the block leads to another page: waits until that is there."""
        old = self.driver.find_element(By.TAG_NAME, "html")
        yield
        wait_until("another page", lambda: is_gone(old))
        wait_until("the page", lambda: self.run("return document.readyState") == "complete")
        self.arrived()

    def arrived(self):
        """What holds of every page."""
        assert secret(self.link) not in self.driver.page_source, "the link stands on the page"
        equal(self.run("return innerWidth"), self.look.width, "the width of the screen")
        assert self.run(f"return matchMedia('(prefers-color-scheme: {self.look.colours})').matches"), "its colours"
        wide = self.run("return document.documentElement.scrollWidth")
        assert wide <= self.look.width, f"the page is {wide} wide, and the screen {self.look.width}"
        equal(self.run("return document.scripts.length"), 0, "scripts")

    def sent(self):
        """The requests of this story so far: (method, URL)."""
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                request = message["params"]["request"]
                self.requests.append((request["method"], request["url"]))
        return self.requests

    def votes_sent(self):
        return sum(method == "POST" for method, _ in self.sent())

    def begin(self):
        """A story begins, and nothing of the one before is left, or of the page that Chromium begins with."""
        self.driver.get("about:blank")
        self.driver.get_log("performance")
        self.driver.get_log("browser")
        self.link, self.requests = None, []

    def end(self):
        """Nothing but the link itself was asked for, and the browser had nothing to complain of."""
        strange = [url for _, url in self.sent() if url.split("?")[0] != self.link]
        equal(strange, [], "requests for anything else")
        # A vote that is not taken has a status of its own, which the browser notes as a failure of the network.
        noted = [entry["message"] for entry in self.driver.get_log("browser") if entry["source"] != "network"]
        equal(noted, [], "the console")

    def picture(self, name):
        """Keeps the whole page as a picture, for people to look at."""
        folder = pathlib.Path(os.environ["BROWSER_PICTURES"])
        folder.mkdir(parents=True, exist_ok=True)
        height = self.run("return document.documentElement.scrollHeight")
        clip = {"x": 0, "y": 0, "width": self.look.width, "height": max(height, self.look.height), "scale": 1}
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
        (folder / f"{name}-{self.look.name}.png").write_bytes(base64.b64decode(shot["data"]))


def secret(link):
    """What must not be seen of a link."""
    return link.rsplit("/", 1)[1]


def is_gone(element):
    """Whether its page is no more. While that is going, the driver says so in more than one way."""
    try:
        element.is_enabled()
    except WebDriverException:
        return True
    return False


@contextlib.contextmanager
def browser(look):
    """Starts the Chromium named by CHROMIUM through the driver named by CHROMEDRIVER, and ends both."""
    with tempfile.TemporaryDirectory(prefix="pointsman-browser-", ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = os.environ["CHROMIUM"]
        for flag in [*FLAGS, f"--user-data-dir={profile}"]:
            options.add_argument(flag)
        is_phone = look is PHONE
        metrics = {"width": look.width, "height": look.height, "pixelRatio": 2 if is_phone else 1,
                   "mobile": is_phone, "touch": is_phone}
        options.add_experimental_option("mobileEmulation", {"deviceMetrics": metrics})
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        # With its path given, Selenium looks for no driver and downloads none.
        service = webdriver.ChromeService(executable_path=os.environ["CHROMEDRIVER"])
        driver = webdriver.Chrome(options=options, service=service)
        try:
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
                "features": [{"name": "prefers-color-scheme", "value": look.colours},
                             # A page that still scrolls is hard to press a button of.
                             {"name": "prefers-reduced-motion", "value": "reduce"}]})
            yield Browser(driver, look)
        finally:
            driver.quit()
