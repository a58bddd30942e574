"""HTML from hostile names."""

from linnet.core.html import Html, put, tag


def test_names_are_text_in_a_page() -> None:
    assert put("<b>\x1b[31m\u202e\ud800\x9b é\n") == "&lt;b&gt;\\x1b[31m\\u202e\\ud800\\x9b é\n"
    assert put(Html("<b>")) == "<b>"
    assert tag("p", "a", title='"\u2066x') == '<p title="&quot;\\u2066x">a</p>'
    tag("p", "\ud800").encode()
