// Replaces the fragments of a page as the server sends them. Without this script a page still shows
// everything; it is then as old as its last loading.
"use strict";
// A page within Airflow's is in a frame that may not open another page in its place: the page around
// it follows links that lead out.
addEventListener("click", (event) => {
  const link = window.top !== window && event.target.closest("a[data-outside]");
  if (!link) return;
  event.preventDefault();
  const outer = window.top.document;
  const again = outer.createElement("a");
  again.href = link.href;
  outer.body.append(again);
  again.click();
  again.remove();
});
(() => {
  const main = document.querySelector("main[data-live]");
  const shown = document.getElementById("connection");
  if (!main || !window.EventSource) return;
  const say = (text) => { if (shown && shown.textContent !== text) shown.textContent = text; };
  const source = new EventSource(main.dataset.live);
  source.addEventListener("open", () => say("Live"));
  source.addEventListener("error", () => {
    if (source.readyState !== EventSource.CLOSED) return say("Not connected: this page tries again");
    say("Not connected: "); // a browser gives up if it is refused, as when a login has ended
    const again = document.createElement("a");
    again.href = location.href.split("#")[0];
    again.textContent = "load this page again";
    shown?.append(again);
  });
  source.addEventListener("fragment", (event) => {
    const { id, html } = JSON.parse(event.data);
    const element = document.getElementById(id);
    if (!element) return;
    const active = document.activeElement;
    const kept = active && element.contains(active) ? active.id || active.getAttribute("href") : "";
    const scrolled = [...element.querySelectorAll("[data-keep-scroll]")].map((one) => [one.dataset.keepScroll, one.scrollLeft]);
    element.innerHTML = html;
    for (const [key, left] of scrolled) {
      const again = element.querySelector(`[data-keep-scroll="${CSS.escape(key)}"]`);
      if (again) again.scrollLeft = left;
    }
    for (const one of element.querySelectorAll("[data-follow]")) one.scrollTop = one.scrollHeight;
    if (kept) {
      const again = element.querySelector(`#${CSS.escape(kept)}, [href="${CSS.escape(kept)}"]`);
      if (again) again.focus({ preventScroll: true });
    }
  });
  source.addEventListener("over", () => { source.close(); say("Ended"); });
})();
