"""The link to the counter's page that the launcher prints."""

from serve_app.run import page_link


def test_the_key_is_in_the_link_on_a_terminal_and_in_no_log():
    assert page_link("http://127.0.0.1:8765", "bk_a+b", watched=True) == "http://127.0.0.1:8765/#chave=bk_a%2Bb"
    assert page_link("http://127.0.0.1:8765", "bk_a+b", watched=False) == "http://127.0.0.1:8765/"
