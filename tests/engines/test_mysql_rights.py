"""Rights on a database of MySQL or MariaDB, with those of roles."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from mariadb_server import MariaServer
from windlass.engines.mysql.address import read_address
from windlass.engines.mysql.quoting import text_of
from windlass.engines.mysql.rights import ALL, read_rights, resolved, rights_on
from windlass.engines.mysql.session import Session


def test_rights_of_active_roles_count(
    mariadb: MariaServer, maria_database: Callable[..., str]
) -> None:
    """Also those of a role in a role, and of a database whose name is a pattern."""
    name = maria_database()
    user = "ranked@'127.0.0.1'"
    mariadb.grant("ranked", name, ["select"])
    mariadb.run(
        "mysql",
        "create role inner_reader, reader, idle",
        f"grant event on `{name[:-1]}_`.* to inner_reader",
        "grant inner_reader to reader",
        f"grant trigger on {name}.* to reader",
        f"grant execute on {name}.* to idle",
        f"grant reader to {user}",
        f"grant idle to {user}",
        f"set default role reader for {user}",
    )
    try:
        with closing(Session(read_address(mariadb.url(name, "ranked")))) as session:
            assert read_rights(
                session.run, name, is_mariadb=session.is_mariadb, version=session.version
            ) == {"USAGE", "SELECT", "EVENT", "TRIGGER"}
    finally:
        mariadb.run("mysql", f"drop user {user}", "drop role inner_reader, reader, idle")


def test_mysqls_grants_are_asked_with_its_active_roles() -> None:
    """As its manual documents them: no MySQL 8 runs here."""
    asked = resolved("`app``s`@`%`,`reader`@`localhost`")
    assert not isinstance(asked, str)
    assert text_of(asked) == (
        "show grants for current_user() using `app``s`@`%`, `reader`@`localhost`"
    )
    assert resolved("NONE") == "show grants"
    shown = [
        "GRANT SELECT, EVENT ON *.* TO `u`@`%`",
        "GRANT TRIGGER, SHOW VIEW ON `shop`.* TO `u`@`%` WITH GRANT OPTION",
        "GRANT EXECUTE ON `other`.* TO `u`@`%`",
        "REVOKE EVENT ON `shop`.* FROM `u`@`%`",
        "GRANT `app`@`%`,`reader`@`localhost` TO `u`@`%`",
    ]
    assert rights_on(shown, "shop") == {"SELECT", "TRIGGER", "SHOW VIEW"}


def test_of_all_rights_those_that_are_revoked_for_a_database_are_missing() -> None:
    shown = ["GRANT ALL PRIVILEGES ON *.* TO `u`@`%`", "REVOKE SELECT ON `shop`.* FROM `u`@`%`"]
    on_shop = rights_on(shown, "shop")
    assert {"INSERT", "SHOW VIEW", "TRIGGER"} < on_shop and not on_shop & {"SELECT", ALL}
    assert rights_on(shown, "other") == {ALL}
    assert rights_on([shown[0], "REVOKE ALL PRIVILEGES ON `shop`.* FROM `u`@`%`"], "shop") == set()


def test_a_right_is_revoked_for_the_database_of_that_name_only() -> None:
    shown = [
        "GRANT SELECT, EVENT ON *.* TO `u`@`%`",
        "REVOKE SELECT ON `shop_1`.* FROM `u`@`%`",
        "REVOKE EVENT ON `s%`.* FROM `u`@`%`",
    ]
    assert rights_on(shown, "shop_1") == {"EVENT"}
    assert rights_on(shown, "shopX1") == {"SELECT", "EVENT"}
    assert rights_on(shown, "s%") == {"SELECT"}
