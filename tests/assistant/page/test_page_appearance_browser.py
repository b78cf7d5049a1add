"""How the page looks in Chromium: both languages, dark, phone width, right to left, and contrast."""

from __future__ import annotations

import re
from typing import Any

import pytest
from helpers.browser_steps import MARKS, PHONE, ask_example, button, expect, phone_is_slow, picture, send
from helpers.fake_chat import FakeChat

from assistant.bases.built_in_cards import STARTER_CARD
from assistant.page.i18n.languages import CHINESE, ENGLISH

pytestmark = MARKS

STARTER = STARTER_CARD.texts["zh"]


@phone_is_slow
def test_the_page_speaks_chinese_to_a_chinese_browser_and_can_be_switched(
    visit: Any, fake: FakeChat, size: dict[str, int]
) -> None:
    tab = visit(size, locale="zh-CN")
    expect(tab.get_by_role("heading", name=STARTER.greeting)).to_be_visible()
    picture(tab, f"welcome-chinese-{size['width']}")
    ask_example(tab, STARTER.examples[0])
    expect(tab.locator(".thought summary")).to_have_text(re.compile(r"思考了 \d+\.\d 秒"))
    button(tab, CHINESE.good).click()
    expect(tab.get_by_text(CHINESE.ask_good)).to_be_visible()
    picture(tab, f"feedback-chinese-{size['width']}")
    seen = re.sub(
        r"v1|English|Thumbtune|Enter|Shift|Markdown|JSON", "", str(tab.locator("#frame").inner_text())
    )
    assert not re.search(r"[A-Za-z]{2,}", seen.replace(STARTER.examples[0], ""))
    button(tab, CHINESE.switch_language).click()
    expect(button(tab, ENGLISH.good)).to_be_visible()
    expect(tab.locator("#send")).to_have_text(ENGLISH.send)
    tab.reload()
    expect(tab.locator("#send")).to_have_text(ENGLISH.send)


@pytest.mark.parametrize(
    ("name", "scheme"), [("phone", "light"), pytest.param("phone-dark", "dark", marks=pytest.mark.slow)]
)
def test_at_phone_width_nothing_is_cut_off(visit: Any, fake: FakeChat, name: str, scheme: str) -> None:
    tab = visit(PHONE, color_scheme=scheme, has_touch=True)
    picture(tab, f"{name}-welcome")
    assert tab.evaluate(SMALL_TARGETS) == []
    send(tab, "table")
    button(tab, ENGLISH.bad).click()
    expect(tab.locator(".feedback")).to_be_visible()
    picture(tab, name)
    assert tab.evaluate("document.scrollingElement.scrollWidth") <= PHONE["width"]
    for selector in ("#send", "#header [data-do=new_conversation]", ".feedback [type=submit]"):
        box = tab.locator(selector).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["width"]
    expect(tab.locator("#send")).to_be_in_viewport()
    assert tab.evaluate(SMALL_TARGETS) == []


def test_dark_follows_the_browser(visit: Any, fake: FakeChat) -> None:
    tab = visit(color_scheme="dark")
    send(tab, "347 + 285")
    send(tab, "table")
    picture(tab, "dark")
    background = tab.evaluate("getComputedStyle(document.querySelector('#frame')).backgroundColor")
    assert background == "rgb(17, 21, 20)"


@phone_is_slow
def test_a_language_from_right_to_left_is_written_from_the_right(
    visit: Any, fake: FakeChat, size: dict[str, int]
) -> None:
    tab = visit(size)
    send(tab, "مرحبا")
    direction = "element => getComputedStyle(element).direction"
    assert tab.locator(".bubble").evaluate(direction) == "rtl"
    assert tab.locator(".answer p").evaluate(direction) == "rtl"
    picture(tab, f"right-to-left-{size['width']}")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_enough_contrast(visit: Any, fake: FakeChat, scheme: str) -> None:
    tab = visit(color_scheme=scheme)
    send(tab, "table")
    button(tab, ENGLISH.bad).click()
    expect(tab.locator(".feedback")).to_be_visible()
    poor = tab.evaluate(CONTRAST)
    assert poor == []
    code = "[...document.querySelectorAll('.answer pre code, .answer pre i')].map(e => getComputedStyle(e).color)"
    # The code itself, a builtin and numbers.
    assert len(set(tab.evaluate(code))) == 3
    tab.close()


# WCAG 2.2, success criterion 2.5.5, for fingers: 44 by 44 px. A control may be pressed beside what is drawn of it, and
# a box is pressed by its label.
SMALL_TARGETS = """() => [...document.querySelectorAll('#frame :is(button, a, select, summary, textarea, label)')]
  .filter((e) => e.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && !e.disabled)
  .map((e) => {
    const drawn = e.getBoundingClientRect(), beside = getComputedStyle(e, '::after');
    const [width, height] = beside.position === 'absolute' ? [beside.width, beside.height].map(parseFloat) : [0, 0];
    return [e.outerHTML.slice(0, 120), Math.max(drawn.width, width), Math.max(drawn.height, height)];
  })
  .filter(([, width, height]) => Math.min(width, height) < 44)"""


# WCAG 2.2, success criterion 1.4.3: 4.5 to 1 for text below 24 px.
CONTRAST = """() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const light = (c) => {
    const [r, g, b] = c.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.push(rgba(getComputedStyle(at).backgroundColor));
    let colour = [255, 255, 255];
    for (const [r, g, b, a] of layers.reverse()) colour = colour.map((v, i) => v * (1 - a) + [r, g, b][i] * a);
    return colour;
  };
  return [...document.querySelectorAll('#frame *')]
    .filter((e) => e.checkVisibility({ opacityProperty: true, visibilityProperty: true }))
    .filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()))
    .filter((e) => !e.closest(':disabled') && getComputedStyle(e).opacity === '1')
    .map((e) => {
      const back = behind(e), fore = rgba(getComputedStyle(e).color);
      const mixed = back.map((v, i) => v * (1 - fore[3]) + fore[i] * fore[3]);
      const [a, b] = [light(mixed), light(back)].sort((x, y) => y - x);
      return [e.outerHTML.slice(0, 120), (a + 0.05) / (b + 0.05)];
    })
    .filter(([, ratio]) => ratio < 4.5);
}"""
