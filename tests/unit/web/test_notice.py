"""The page for whoever a browser was turned away from."""

from __future__ import annotations

import pytest

from bot.web.notice import notice
from bot.wecom.errcodes import meaning_of
from bot.wording import Words


@pytest.mark.parametrize(("lang", "html_lang"), [("zh", "zh-CN"), ("en", "en")])
def test_what_it_says_is_text_and_nothing_else(lang: str, html_lang: str) -> None:
    page = notice(Words(lang, "kfbot", meaning_of), 403, "<b>", "<script>x</script>", ("a & b", '/x?"y"'))
    assert page.status == 403
    assert f'<html lang="{html_lang}">' in str(page.text)
    assert "<b>" not in str(page.text) and "<script" not in str(page.text)
    assert '<a class="button button-main wide" href="/x?&quot;y&quot;">a &amp; b</a>' in str(page.text)


def test_nothing_but_our_own_style_may_be_loaded() -> None:
    page = notice(Words("zh", "kfbot", meaning_of), 401, "t", "x")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"] and "script" not in str(page.text)
    assert page.headers["Cache-Control"] == "no-store" and "<a " not in str(page.text)
