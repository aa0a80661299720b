"""Make the pictures of docs/report.md: reports of the sample shop, in a real browser.

    .venv/bin/python -m docs.report_pictures

It needs a Chromium, by default Debian's. Servers and files are in a temporary folder, which is gone
afterwards. With a folder as its argument it also keeps all pages there, with pictures of each as
wide as a phone and a desktop, light and dark.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import psycopg
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

IMAGES = Path(__file__).parent / "images"
SCALE, COLOURS = 0.3, 256
DESKTOP, PHONE = {"width": 1280, "height": 1000}, {"width": 390, "height": 844}
SPOIL = (
    "update shop.product set name = 'Oops' where id in (7, 42)",
    "delete from shop.review where id = 99",
)
RUNS = {  # by page: the words of its command, and whether it prints the page
    "migration": (("status", "{run}", "--report", "{page}"), False),
    "differences": (("verify", "--show-values", "--report", "{page}"), False),
    "refused": (("migrate", "--jobs", "2", "--restart", "--report", "{page}"), False),
    "plan": (("plan", "--existing", "replace", "--format", "html"), True),
}


def main(kept: Path | None) -> None:
    with tempfile.TemporaryDirectory(prefix="windlass-pictures-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the servers of root run as somebody else
        demo = ("demo", "--folder", str(folder / "demo"))
        made = run(*demo, "--scale", str(SCALE), "--json")
        try:
            pages = make_pages(json.loads(made), folder)
        finally:
            run(*demo, "--stop")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path="/usr/bin/chromium", args=["--no-sandbox"]
            )
            take(browser, pages["differences"], IMAGES / "report-differences.png")
            take(browser, pages["plan"], IMAGES / "report-plan.png")
            if kept:
                keep(browser, pages, kept)
            browser.close()


def make_pages(made: dict[str, object], folder: Path) -> dict[str, Path]:
    places = made["demo"]
    assert isinstance(places, dict)
    env = {
        "PGPASSFILE": places["password_file"],
        "WINDLASS_SOURCE": places["source"],
        "WINDLASS_TARGET": places["target"],
    }
    os.environ.update(env)
    with psycopg.connect(env["WINDLASS_TARGET"], autocommit=True) as target:
        for statement in SPOIL:
            target.execute(statement)
    found = {}
    for name, (words, prints) in RUNS.items():
        page = found[name] = folder / f"{name}.html"
        said = run(*(word.format(run=made["run"], page=page) for word in words))
        if prints:
            page.write_text(said, encoding="utf-8")
    return found


def run(*words: str) -> str:
    """A command; it may end with differences, or be refused."""
    call = [sys.executable, "-m", "windlass", *words]
    done = subprocess.run(call, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode not in (0, 1, 3):
        raise SystemExit(f"{words} ended with {done.returncode}")
    return done.stdout


def take(browser: Browser, page: Path, into: Path) -> None:
    """What is seen first, in few colours: that is a third of the size, and looks the same."""
    context = browser.new_context(viewport=DESKTOP, color_scheme="light")
    shown = context.new_page()
    shown.goto(page.as_uri())
    shown.screenshot(path=into)
    context.close()
    flatten(into)


def flatten(into: Path) -> None:
    """Keep fewer colours in a picture."""
    with Image.open(into) as picture:
        flat = picture.convert("RGB").quantize(COLOURS, Image.Quantize.FASTOCTREE)
    flat.save(into, optimize=True)
    click.echo(f"{into}  {into.stat().st_size / 1000:.0f} kB", err=True)


def keep(browser: Browser, pages: dict[str, Path], kept: Path) -> None:
    kept.mkdir(parents=True, exist_ok=True)
    for name, page in pages.items():
        (kept / page.name).write_bytes(page.read_bytes())
        for size in (DESKTOP, PHONE):
            for scheme in ("light", "dark"):
                context = browser.new_context(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
                shown = context.new_page()
                shown.goto(page.as_uri())
                place = kept / f"{name}-{size['width']}-{scheme}.png"
                shown.screenshot(path=place, full_page=True)
                context.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
