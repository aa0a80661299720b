"""What `make` installs comes from where pip would get it."""

from __future__ import annotations

from install import indexes


def test_the_indexes_of_pip_are_searched() -> None:
    settings = [
        "global.index-url='https://one.example/simple'",
        "global.extra-index-url='file:///a/simple\\nfile:///b/simple'",
        "global.timeout='60'",
        "install.find-links='/wheels /more'",
        ":env:.index-url='https://two.example/simple'",
    ]
    assert indexes(settings) == {
        "UV_DEFAULT_INDEX": "https://two.example/simple",
        "UV_INDEX": "file:///a/simple file:///b/simple",
        "UV_FIND_LINKS": "/wheels,/more",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }


def test_without_settings_uv_searches_where_it_does_by_itself() -> None:
    assert indexes(["global.timeout='60'"]) == {"UV_INDEX_STRATEGY": "unsafe-best-match"}
