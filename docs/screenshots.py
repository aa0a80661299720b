"""Make the pictures of docs/airflow.md: the web UI of `make airflow`, used as a person would.

One command, on the installation of `make test` with two libraries beside it:

    .venv/bin/python -m pip install playwright pillow
    .venv/bin/python -m docs.screenshots

It takes about three minutes and needs a Chromium, by default Debian's. Airflow, both servers and
the shop live in a temporary folder, which is gone afterwards. Nothing waits for a time: only for
what has to be in the picture.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import psycopg
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from demo.airflow.client import USER, Client
from demo.airflow.local import client_of
from windlass.engines.postgres.embedded import EmbeddedServer

ROOT = Path(__file__).parents[1]
LOCAL = (sys.executable, "-m", "demo.airflow")
MIGRATION, VALIDATION = "postgres_to_postgres_migration", "validate_migration_env"
SCALE = 0.5  # order_line has more than 100,000 rows, below which nothing can be cut
WIDTH, COLOURS = 1400, 256
RUN_SECONDS = 300.0
MOST_WAIT = 180_000  # milliseconds for what has to be on a page; a busy machine is slow
SPOIL = (
    "update shop.product set name = 'Oops' where id in (7, 42)",
    "delete from shop.review where id = 99",
)


@dataclass(frozen=True)
class Camera:
    """A browser that is logged in, and the folder for what it sees."""

    airflow: Client
    browser: Browser
    session: BrowserContext
    images: Path

    @classmethod
    def log_in(cls, airflow: Client, browser: Browser, images: Path) -> Camera:
        session = browser.new_context()
        session.set_default_timeout(MOST_WAIT)
        page = session.new_page()
        page.goto(airflow.url)
        page.locator("input[name=username]").fill(USER)
        page.locator("input[name=password]").fill(airflow.password)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_text("Pool Slots").wait_for()
        return cls(airflow, browser, session, images)

    @contextmanager
    def at(self, path: str, height: int) -> Iterator[Page]:
        """A page of Airflow that remembers nothing of the others, such as a closed panel."""
        size = {"width": WIDTH, "height": height}
        cookies = {"cookies": self.session.cookies(), "origins": []}
        context = self.browser.new_context(viewport=size, storage_state=cookies)
        context.set_default_timeout(MOST_WAIT)
        page = context.new_page()
        page.goto(f"{self.airflow.url}{path}")
        try:
            yield page
        except BaseException:
            seen = Path(tempfile.mkstemp(prefix="windlass-failed-", suffix=".png")[1])
            page.screenshot(path=seen)
            click.echo(f"this was on the page: {seen}", err=True)
            raise
        context.close()

    def take(self, page: Page, name: str) -> None:
        page.mouse.move(WIDTH / 2, 4)  # nothing is pointed at
        path = self.images / f"airflow-{name}.png"
        page.screenshot(path=path, animations="disabled", caret="hide")
        with Image.open(path) as picture:  # a third of the size, and looks the same
            flat = picture.convert("RGB").quantize(COLOURS, Image.Quantize.FASTOCTREE)
        flat.save(path, optimize=True)
        click.echo(f"{path}  {path.stat().st_size / 1000:.0f} kB", err=True)


def trigger_by_form(camera: Camera) -> str:
    """Fill the form of the migration DAG, with an approval; the new run's id."""
    with camera.at(f"/dags/{MIGRATION}", 1380) as page:
        page.get_by_role("button", name="Trigger Dag").click()
        form = page.get_by_role("dialog").filter(has_text="Trigger Dag")
        form.get_by_role("button", name="Proof", exact=True).click()
        form.locator("label:has([name=element_require_approval])").click()
        form.get_by_role("button", name="How", exact=True).click()
        for name, value in (("partition_threshold", 100_000), ("chunk_size", 10_000)):
            form.locator(f"[name=element_{name}]").fill(str(value))
            form.locator(f"[name=element_{name}]").blur()
        start = form.get_by_role("button", name="Trigger", exact=True)
        expect(start).to_be_enabled()
        expect(form.locator("[name=element_require_approval]")).to_be_hidden()
        camera.take(page, "form")
        start.click()
        page.wait_for_url(f"**/{MIGRATION}/runs/*")
    runs = camera.airflow.api("GET", f"/dags/{MIGRATION}/dagRuns?order_by=-id&limit=1")
    return str(runs["dag_runs"][0]["dag_run_id"])


def approve(camera: Camera, run: str) -> None:
    """Wait for the plan, and approve it."""
    with camera.at(f"{run_path(MIGRATION, run)}/tasks/approve_migration", 1000) as page:
        page.get_by_title("Required Action").click()
        button = page.get_by_role("button", name="Approve")
        button.wait_for()
        page.get_by_text("Order of work").wait_for()
        camera.take(page, "approval")
        button.click()
        page.get_by_text("Success").first.wait_for()


def show_run(camera: Camera, dag_id: str, run: str, name: str, height: int) -> None:
    """The tasks over time."""
    with camera.at(run_path(dag_id, run), height) as page:
        page.get_by_role("button", name="Show Gantt").click()
        page.get_by_role("button", name="Collapse Details Panel").click()
        for task in {one["task_id"] for one in camera.airflow.task_instances(dag_id, run)}:
            # its name, its state, and its bar, which is neither
            bar = page.locator(f"[data-task-id={task}]:not([id])").get_by_role("link")
            bar.first.wait_for()  # there is a separate one for the time in the queue
        camera.take(page, name)


def show_partitions(camera: Camera, run: str) -> None:
    path = f"{run_path(MIGRATION, run)}/tasks/transfer_partition/mapped"
    with camera.at(path, 780) as page:
        page.get_by_text("shop.order_line blocks 0 to").first.wait_for()
        camera.take(page, "mapped")


def show_differences(camera: Camera, run: str) -> None:
    path = f"{run_path(VALIDATION, run)}/tasks/generate_validation_report"
    with camera.at(path, 620) as page:
        named = page.get_by_text("shop.product (id = 42): differs in name").first
        named.wait_for()
        page.get_by_text("AirflowFailException").click()  # puts the traceback away
        expect(page.get_by_text("task_runner.py").filter(visible=True)).to_have_count(0)
        page.evaluate("for (const one of document.querySelectorAll('*')) one.scrollTo(0, 0)")
        named.scroll_into_view_if_needed()
        camera.take(page, "differences")


def run_path(dag_id: str, run: str) -> str:
    """As Airflow writes it: in a quoted one it does not find the tab that is open."""
    return f"/dags/{dag_id}/runs/{run}"


def end(airflow: Client, dag_id: str, run: str, state: str) -> None:
    found = airflow.wait_for(dag_id, run, RUN_SECONDS)
    if found != state:
        raise click.ClickException(f"{dag_id} {run} is {found}, not {state}")


def take_all(airflow: Client, target: EmbeddedServer, camera: Camera) -> None:
    run = trigger_by_form(camera)
    approve(camera, run)
    end(airflow, MIGRATION, run, "success")
    show_run(camera, MIGRATION, run, "run", 960)
    show_partitions(camera, run)
    (proof,) = airflow.api("GET", f"/dags/{VALIDATION}/dagRuns")["dag_runs"]
    show_run(camera, VALIDATION, proof["dag_run_id"], "validation", 540)
    with psycopg.connect(target.url("shop")) as connection:
        for statement in SPOIL:
            connection.execute(statement.encode())
    red = airflow.trigger(VALIDATION)
    end(airflow, VALIDATION, red, "failed")
    show_differences(camera, red)


@click.command()
@click.option("--chromium", default="/usr/bin/chromium", show_default=True)
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    default=ROOT / "docs" / "images",
    help="The folder for the pictures.",
)
def main(chromium: str, into: Path) -> None:
    """Make the pictures of docs/airflow.md."""
    into.mkdir(exist_ok=True)
    room = Path(tempfile.mkdtemp(prefix="windlass-pictures-"))
    room.chmod(0o755)  # where root starts servers, they run as another account
    folder, dags = room / "airflow", ROOT / "dags"
    try:
        start = (*LOCAL, "start", "--folder", folder, "--dags", dags, "--scale", str(SCALE))
        subprocess.run(start, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        airflow = client_of(folder)
        with sync_playwright() as playwright:
            expect.set_options(timeout=MOST_WAIT)
            # as root Chromium refuses its sandbox; the only page that it sees is our own
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            camera = Camera.log_in(airflow, browser, into)
            take_all(airflow, EmbeddedServer.open(folder / "target"), camera)
            browser.close()
    finally:
        stop = (*LOCAL, "stop", "--folder", folder)
        subprocess.run(stop, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(room, ignore_errors=True)


if __name__ == "__main__":
    main()
