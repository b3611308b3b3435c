"""The approval page in a browser: each story is lived through in Chromium, from the mail to what CodePipeline did.

`cargo local` runs as a process of its own. Two people have a browser each: one at a desk with a light screen, one with
a dark phone. `browser.py` says what must hold of every page besides.
"""

import tempfile
import time

from browser import DESK, PHONE, browser
from harness import Checks, equal, runner, wait_until
from selenium.webdriver import ActionChains, Keys
from shop import GROUPS, Case, Place, frozen, gated

STORIES = []
# One person gets five mails a second; what is more waits for a minute.
SECONDS_BETWEEN_PUSHES = 0.3


def story(title, require="{ devops = 1 }", extra=lambda name: ""):
    """A story, and the approval that it needs."""
    def add(tell):
        name = tell.__name__.replace("_", "-")
        STORIES.append((title, tell, Place(name, require, extra(name))))
        return tell
    return add


@story("two people approve, and the pipeline goes on", require="{ devops = 1, product = 1 }")
def two_approve(case, desk, phone):
    desk.open(case.link("ada"))
    assert case.digits in desk.text("h1") and "Merge staging into production" in desk.text(), desk.text()
    equal(desk.text(".digits"), case.digits)
    desk.picture("open")
    desk.fill("sha", case.digits)
    desk.press("Approve")
    equal(desk.text(".banner h2"), "Your approval is counted")
    desk.picture("counted")
    case.waits()
    phone.open(case.link("eve"))
    phone.picture("open")
    phone.fill("sha", case.digits.upper())
    phone.press("Approve")
    equal(phone.text(".banner h2"), "Your answer is counted, and decided it")
    assert "ada@example.com and eve@example.com" in phone.text(".outcome"), phone.text(".outcome")
    assert not phone.has("form"), "there is nothing left to answer"
    phone.picture("decided")
    case.ends("Succeeded", "Succeeded")


@story("one rejects, and says why")
def reject(case, desk, phone):
    phone.open(case.link("bob"))
    phone.fill("sha", case.digits)
    phone.press("Reject")
    equal(phone.text("#comment-error"), "Say why you reject it.")
    case.waits()
    phone.fill("sha", case.digits)
    phone.fill("comment", "The hats are <b>not</b> ready.\nAsk again on Monday.")
    phone.press("Reject")
    equal(phone.text(".outcome blockquote"), "The hats are <b>not</b> ready.\nAsk again on Monday.")
    phone.picture("rejected")
    case.ends("Failed", "Failed")
    desk.open(case.link("ada"))
    assert "Rejected" in desk.text("h1") and not desk.has("form"), "whoever comes later reads how it ended"
    desk.picture("rejected")


@story("one comes second")
def second(case, desk, phone):
    desk.open(case.link("ada"))
    phone.open(case.link("bob"))
    desk.fill("sha", case.digits)
    desk.press("Approve")
    desk.picture("decided")
    phone.fill("sha", case.digits)
    phone.fill("comment", "No!")
    phone.press("Reject")
    equal(phone.text(".banner h2"), "It was over before your answer came")
    assert "ada@example.com" in phone.text(".outcome") and "Approved" in phone.text("h1"), phone.text()
    assert "No!" not in phone.text(), "it counts for nothing"
    phone.picture("second")
    case.ends("Succeeded", "Succeeded")


@story("one comes too late: the execution was stopped")
def too_late(case, desk, phone):
    desk.open(case.link("ada"))
    case.stop()
    wait_until("the stop", lambda: case.execution()["status"] == "Stopped")
    desk.fill("sha", case.digits)
    desk.press("Approve")
    equal(desk.text(".banner h2"), "It was over before your answer came")
    assert "Stopped" in desk.text(".outcome") and not desk.has("form"), desk.text()
    desk.picture("late")
    equal("Deploy" in case.actions(), False, "deployed")


@story("wrong digits: told beside the field, the comment kept, nothing voted")
def wrong_digits(case, desk, phone):
    for each, who in ((phone, "ada"), (desk, "bob")):
        each.open(case.link(who))
        each.fill("sha", "0000000")
        each.fill("comment", "Typed with <care> & patience")
        each.press("Approve")
        equal(each.text(".banner h2"), "Your answer was not counted")
        equal(each.text("#sha-error"), "Those are not the seven digits. Read them on this page, and type them.")
        equal(each.field("sha").get_attribute("aria-invalid"), "true")
        described = each.field("sha").get_attribute("aria-describedby").split()
        assert "sha-error" in described, "a screen reader says it with the field"
        equal(each.field("comment").get_attribute("value"), "Typed with <care> & patience")
        equal(each.field("sha").get_attribute("value"), "", "a wrong proof is not kept")
        each.picture("refused")
        case.waits()
        assert "0 of 1 approved" in each.text(".who-decides"), each.text(".who-decides")


@story("Enter decides nothing")
def enter(case, desk, phone):
    for each, who in ((phone, "ada"), (desk, "bob")):
        each.open(case.link(who))
        each.fill("sha", case.digits)
        each.field("sha").send_keys(Keys.ENTER)
        each.field("sha").send_keys(Keys.ENTER)
        equal(each.field("sha").get_attribute("value"), case.digits, "the same page")
        equal(each.votes_sent(), 0, "votes")
    case.waits()


@story("with the keyboard alone")
def keyboard(case, desk, phone):
    desk.open(case.link("ada"))
    focused = lambda what: desk.run(f"return document.activeElement.{what}")
    press = lambda *keys: ActionChains(desk.driver).send_keys(*keys).perform()
    press(Keys.TAB)
    equal(focused("id"), "sha", "on a wide screen the form stands beside the facts, and comes first")
    press(case.digits, Keys.TAB, "Looks good", Keys.TAB)
    equal((focused("tagName"), focused("value")), ("BUTTON", "approve"))
    assert desk.run("return getComputedStyle(document.activeElement).outlineStyle") != "none", "one sees where one is"
    with desk.leaving():
        press(Keys.ENTER)
    equal(desk.text(".banner h2"), "Your answer is counted, and decided it")
    assert focused("matches('.banner')"), "the outcome is what is read first"
    case.ends("Succeeded", "Succeeded")


@story("a vote after the jump to the form is answered at the top of the page")
def jump(case, desk, phone):
    phone.open(case.link("ada"))
    phone.driver.find_element("link text", "Go to your decision").click()
    phone.fill("sha", "0000000")
    phone.press("Approve")
    assert phone.run("return document.activeElement.matches('.banner')"), "the outcome is what is read first"
    equal(phone.run("return scrollY < innerHeight / 2"), True, "and seen")
    case.waits()


@story("a freeze: nobody approves until somebody overrides it", extra=frozen)
def freeze(case, desk, phone):
    desk.open(case.link("ada"))
    assert "Frozen" in desk.text("#obstacles") and not desk.button("Approve").is_enabled(), desk.text("#decision")
    assert not desk.has("#override"), "devops may not override it"
    desk.picture("frozen")
    phone.open(case.link("eve"))
    phone.fill("sha", case.digits)
    phone.press("Approve")
    equal(phone.text("#override-error"), "Nothing is approved in a freeze, unless somebody overrides it.")
    phone.fill("sha", case.digits)
    phone.field("override").click()
    phone.press("Approve")
    equal(phone.text("#comment-error"), "Say why you override the freeze.")
    assert phone.field("override").is_selected(), "the tick is kept"
    phone.picture("frozen")
    phone.fill("sha", case.digits)
    phone.fill("comment", "Nobody can pay.")
    phone.press("Approve")
    phone.picture("overridden")
    case.waits()
    desk.open(case.link("ada"))
    desk.fill("sha", case.digits)
    desk.press("Approve")
    assert "A freeze was overridden." in desk.text(".outcome"), desk.text()
    case.ends("Succeeded", "Succeeded")


@story("a gate: without a scan nobody approves, and one may reject", extra=gated)
def gate(case, desk, phone):
    for each, who in ((phone, "ada"), (desk, "bob")):
        each.open(case.link(who))
        assert "The image scan is not there yet" in each.text("#obstacles"), each.text("#obstacles")
        assert "@sha256:" in each.text(".facts"), "the image that is to be scanned is named"
        assert not each.button("Approve").is_enabled() and each.button("Reject").is_enabled()
        each.picture("blocked")
    desk.run("arguments[0].disabled = false", desk.button("Approve"))
    desk.fill("sha", case.digits)
    desk.press("Approve")
    equal(desk.text(".banner h2"), "Your answer was not counted")
    case.waits()
    phone.fill("sha", case.digits)
    phone.fill("comment", "It was never scanned.")
    phone.press("Reject")
    case.ends("Failed", "Failed")


@story("a link that nobody was sent")
def unknown(case, desk, phone):
    for each in (desk, phone):
        link = case.link("ada")
        each.open(link[:-43] + "A" * 43)
        equal(each.text("h1"), "This link opens nothing")
        assert case.digits not in each.text() and not each.has("form"), each.text()
        each.picture("unknown")


def main():
    checks = Checks("browser")
    places = [place for _, _, place in STORIES]
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(GROUPS + "".join(place.configuration() for place in places))
        file.flush()
        with runner("--config", file.name) as local, browser(DESK) as desk, browser(PHONE) as phone:
            for place in places:
                equal(local.post(place.push())[0], 202, place.name)
                time.sleep(SECONDS_BETWEEN_PUSHES)
            for title, tell, place in STORIES:
                with checks.check(title):
                    desk.begin(), phone.begin()
                    tell(Case(local, place), desk, phone)
                    desk.end(), phone.end()
    checks.end()


if __name__ == "__main__":
    main()
