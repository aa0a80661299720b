"""Who may look at the page of `windlass serve`, and where it may listen."""

from __future__ import annotations

from pathlib import Path

import pytest

from command import BAD_SPEC, windlass
from windlass.errors import BadSpec
from windlass.run.extras import missing_library
from windlass.web.access import (
    ANYBODY,
    Policy,
    Sessions,
    as_sent,
    check_policy,
    host_is_known,
    is_from_here,
    is_own_form,
    read_tokens,
)
from windlass.web.serving import Place, check_place

ANNE = "anne-has-this-token"
POLICY = Policy({ANNE: "anne"})


def sessions(policy: Policy = POLICY) -> Sessions:
    return Sessions(policy)


def test_a_token_begins_a_session_and_leaving_ends_it() -> None:
    found = sessions()
    cookie = found.begin(ANNE)
    person = found.person(cookie, "", (), "127.0.0.1")
    assert person is not None
    assert (person.name, bool(person.csrf)) == ("anne", True)
    assert is_own_form(person, person.csrf)
    assert not is_own_form(person, "")
    found.end(cookie)
    assert found.person(cookie, "", (), "127.0.0.1") is None


@pytest.mark.parametrize("token", ["", "anne", ANNE[:-1], f"{ANNE} "])
def test_a_wrong_token_begins_none(token: str) -> None:
    assert sessions().begin(token) == ""
    assert sessions().person("", f"Bearer {token}x", (), "127.0.0.1") is None


def test_a_bearer_may_look_and_send_no_form() -> None:
    person = sessions().person("", f"Bearer {ANNE}", (), "127.0.0.1")
    assert person is not None
    assert not is_own_form(person, person.csrf)


@pytest.mark.parametrize(
    ("header", "address", "name"),
    [
        (("bob",), "10.0.0.5", "bob"),
        (("bob",), "10.0.0.6", None),
        (("",), "10.0.0.5", None),
        ((), "10.0.0.5", None),
        (("bob", "root"), "10.0.0.5", None),  # one of them is not the proxy's
    ],
)
def test_only_a_trusted_proxy_names_people(
    header: tuple[str, ...], address: str, name: str | None
) -> None:
    policy = Policy(user_header="X-User", proxies=("10.0.0.5",))
    person = sessions(policy).person("", "", header, address)
    assert (person and person.name) == name


def test_a_person_whom_a_proxy_names_has_the_same_secret_in_every_form() -> None:
    policy = Policy(user_header="X-User")
    one, other = sessions(policy), sessions(policy)
    bob = one.person("", "", ("bob",), "127.0.0.1")
    assert bob is not None
    assert bob == one.person("", "", ("bob",), "127.0.0.1")
    assert is_own_form(bob, bob.csrf)
    for person in (
        one.person("", "", ("eve",), "127.0.0.1"),
        other.person("", "", ("bob",), "127.0.0.1"),
    ):
        assert person is not None
        assert not is_own_form(person, bob.csrf)


def test_a_stream_is_over_when_its_session_is() -> None:
    found = sessions(Policy({ANNE: "anne"}, user_header="X-User"))
    cookie = found.begin(ANNE)
    anne = found.person(cookie, "", (), "127.0.0.1")
    bob = found.person("", "", ("bob",), "127.0.0.1")
    bearer = found.person("", f"Bearer {ANNE}", (), "127.0.0.1")
    assert anne is not None
    assert bob is not None
    assert bearer is not None
    assert not found.is_over(anne, cookie)
    found.end(cookie)
    assert found.is_over(anne, cookie)
    assert not found.is_over(bob, "")
    assert not found.is_over(bearer, "")


def test_without_tokens_and_a_proxy_anybody_may_look_and_nobody_may_act() -> None:
    person = sessions(Policy()).person("", "", (), "127.0.0.1")
    assert person is ANYBODY
    assert not is_own_form(person, "")


@pytest.mark.parametrize(
    ("host", "policy", "names", "faults"),
    [
        ("127.0.0.1", Policy(), (), 0),
        ("::1", Policy(), (), 0),
        ("localhost", Policy(), (), 0),
        ("10.1.2.3", Policy(), (), 1),
        ("0.0.0.0", Policy(), (), 2),
        ("0.0.0.0", POLICY, (), 1),
        ("0.0.0.0", POLICY, ("move.example.com",), 0),
        ("10.1.2.3", Policy(user_header="X-User"), (), 0),
    ],
)
def test_beyond_this_machine_it_asks_who_is_there(
    host: str, policy: Policy, names: tuple[str, ...], faults: int
) -> None:
    if not faults:
        check_policy(policy, host, names=names)
        return
    with pytest.raises(BadSpec) as error:
        check_policy(policy, host, names=names)
    assert len(error.value.faults) == faults


@pytest.mark.parametrize(
    ("header", "known"),
    [
        ("localhost:8642", True),
        ("127.0.0.1:1", True),
        ("[::1]:8642", True),
        ("evil.example:8642", False),
        ("", False),
        ("[", False),
        ("[::1", False),
    ],
)
def test_the_name_of_another_host_is_not_answered(header: str, known: bool) -> None:
    assert host_is_known(header, Policy()) is known


@pytest.mark.parametrize(
    ("headers", "is_here"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"origin": "http://localhost:8642"}, True),
        ({"origin": "http://localhost:8643"}, False),
        ({"origin": "null"}, False),
        ({"origin": "http://["}, False),
        ({}, True),  # no browser; the form's own secret decides
    ],
)
def test_a_form_comes_from_this_page(headers: dict[str, str], is_here: bool) -> None:
    assert is_from_here(headers, "localhost:8642") is is_here


@pytest.mark.parametrize(
    ("policy", "names", "fault"),
    [
        (POLICY, ("move.example.com:8443",), "the name alone"),
        (POLICY, ("https://move.example.com",), "the name alone"),
        (Policy(user_header="X-User", proxies=("10.0.0.0/8",)), (), "not an IP address"),
        (Policy(user_header="X-User", proxies=("proxy.example.com",)), (), "not an IP address"),
        (Policy({ANNE: "anne"}, proxies=("10.0.0.5",)), (), "needs"),
        (Policy(user_header="X User"), (), "not a header name"),
    ],
)
def test_what_would_never_be_met_is_refused(
    policy: Policy, names: tuple[str, ...], fault: str
) -> None:
    with pytest.raises(BadSpec, match=fault):
        check_policy(policy, "127.0.0.1", names=names)


@pytest.mark.parametrize(
    ("given", "sent"), [("Move.Example.COM", "move.example.com"), ("0:0:0:0:0:0:0:1", "::1")]
)
def test_names_are_compared_as_browsers_send_them(given: str, sent: str) -> None:
    header = f"[{sent}]:1" if ":" in sent else f"{sent}:1"
    assert host_is_known(header, Policy(hosts=(as_sent(given),)))


def test_tokens_are_read_with_their_names(tmp_path: Path) -> None:
    file = private(tmp_path, f"# people\nanne {ANNE}\n\nanother-long-token-1\n")
    assert read_tokens(file) == {ANNE: "anne", "another-long-token-1": "token"}


def test_a_token_of_two_people_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSpec, match="line 2: the token of another line"):
        read_tokens(private(tmp_path, f"anne {ANNE}\nbob {ANNE}\n"))


def test_every_fault_of_a_file_of_tokens_is_named_and_no_token(tmp_path: Path) -> None:
    file = private(tmp_path, f"anne short\none two {ANNE}\n")
    with pytest.raises(BadSpec) as error:
        read_tokens(file)
    assert len(error.value.faults) == 2
    assert ANNE not in str(error.value)
    assert "short" not in str(error.value)


def test_a_file_of_tokens_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = private(tmp_path, f"anne {ANNE}\n")
    file.chmod(0o644)
    with pytest.raises(BadSpec, match="other users"):
        read_tokens(file)


@pytest.mark.parametrize("content", ["", "# nobody\n"])
def test_a_file_without_tokens_is_refused(content: str, tmp_path: Path) -> None:
    with pytest.raises(BadSpec, match="no token"):
        read_tokens(private(tmp_path, content))


@pytest.mark.parametrize("name", ["starlette.requests", "uvicorn"])
def test_a_library_that_the_page_lacks_is_named_with_its_extra(name: str) -> None:
    missing = missing_library(ModuleNotFoundError(name=name))
    assert missing is not None
    assert missing.hint == "pip install 'windlass-db[web]'"


def private(folder: Path, content: str) -> Path:
    file = folder / "tokens"
    file.touch(0o600)
    file.write_text(content)
    return file


def test_what_is_no_certificate_with_its_key_is_refused_before_it_listens(tmp_path: Path) -> None:
    certificate, key = private(tmp_path, "no certificate"), tmp_path / "key"
    with pytest.raises(BadSpec, match="given together"):
        check_place(Place(tls_cert=certificate))
    with pytest.raises(BadSpec, match="No such file"):
        check_place(Place(tls_cert=certificate, tls_key=key))
    key.write_text("no key")
    with pytest.raises(BadSpec, match="not a certificate with its key"):
        check_place(Place(tls_cert=certificate, tls_key=key))


def refused(*words: str) -> str:
    """What `windlass serve` prints if it does not begin to listen."""
    ran = windlass("serve", "--port", "0", *words)
    ran.expect(BAD_SPEC)
    return ran.stderr


def test_every_mistake_in_the_options_is_named_at_once(tmp_path: Path) -> None:
    spec = tmp_path / "shop.yaml"
    spec.write_text(
        "flow: migrate\nsource: postgresql://a/b\ntarget: postgresql://c/d\nschmea: x\n"
    )
    tokens = private(tmp_path, "anne short\n")
    said = refused(
        *("-f", str(spec), "--target", "mongo://x/y", "--target", "postgresql://u:pa@h:99x/d"),
        *("--token-file", str(tokens), "--host", "0.0.0.0", "--tls-cert", str(tokens)),
    )
    assert "6 faults" in said
    assert f"{spec}: unknown key 'schmea'" in said
    assert "--target 1: target: mongo:// is not supported" in said
    assert "--target 2: target: its port is not a number from 1 to 65535" in said
    assert "line 1: not NAME TOKEN" in said
    assert "--allowed-host has to name" in said
    assert "--tls-cert and --tls-key are given together" in said
    assert "pa@" not in said


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("--target", ""), "target: is empty"),
        (("--target", "postgresql://h/d", "--source", "postgresql://h:0/d"), "source: its port"),
        (("--target", "postgresql://h/d", "--user-header", ""), "--user-header: is empty"),
    ],
)
def test_an_option_that_could_not_mean_anything_is_refused(
    words: tuple[str, ...], fault: str
) -> None:
    assert fault in refused(*words)
