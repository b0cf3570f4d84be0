// Keeps the page as it is on the server: the parts marked data-live are fetched anew when the server says that anything
// changed. Without this file every page works, and shows what it was when it was loaded.
"use strict";

(() => {
  const stale = document.getElementById("stale");
  const news = document.getElementById("news");
  if (!stale || !window.EventSource) return;

  let heard = new Date();
  let said = document.querySelector("[data-news]")?.dataset.news ?? "";
  let fetching = false;
  let again = false;

  const busy = (part) => {
    // Nobody's word is taken out of their hands: a part that is being written in waits.
    const at = document.activeElement;
    return at && part.contains(at) && /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName);
  };

  const replace = (old, fresh) => {
    const open = new Set([...old.querySelectorAll("details[open]")].map((each) => each.id));
    const focused = document.activeElement && old.contains(document.activeElement) ? document.activeElement : null;
    const mark = focused && (focused.getAttribute("href") || focused.closest("[id]")?.id);
    fresh.querySelectorAll("details").forEach((each) => { each.open = open.has(each.id); });
    old.replaceWith(fresh);
    if (!mark) return;
    const found = focused.getAttribute("href")
      ? fresh.querySelector(`[href="${CSS.escape(mark)}"]`)
      : document.getElementById(mark)?.querySelector(focused.tagName.toLowerCase());
    found?.focus({ preventScroll: true });
  };

  const refresh = async () => {
    if ("reload" in document.body.dataset) { location.reload(); return; }
    if (fetching) { again = true; return; }
    fetching = true;
    try {
      const address = new URL(location.href);
      address.searchParams.delete("said");
      const answer = await fetch(address, { headers: { "X-Live": "1" }, cache: "no-store" });
      if (answer.status === 401 || answer.redirected) { location.reload(); return; }
      if (!answer.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      document.querySelectorAll("[data-live]").forEach((old) => {
        const its = fresh.getElementById(old.id);
        if (its && !busy(old) && its.outerHTML !== old.outerHTML) replace(old, document.adoptNode(its));
      });
      document.title = fresh.title;
      const words = document.querySelector("[data-news]")?.dataset.news ?? "";
      if (words !== said) { said = words; news.textContent = words; }
      heard = new Date();
      stale.hidden = true;
    } catch {
      show();
    } finally {
      fetching = false;
      if (again) { again = false; refresh(); }
    }
  };

  const show = () => {
    const time = heard.toLocaleTimeString(document.documentElement.lang, { hour: "2-digit", minute: "2-digit" });
    stale.textContent = stale.dataset.text.replace("@@", time);
    stale.hidden = false;
  };

  let source;
  const listen = () => {
    source = new EventSource("/events");
    source.addEventListener("changed", refresh);
    source.onopen = () => { stale.hidden = true; };
    source.onerror = () => {
      show();
      if (source.readyState === EventSource.CLOSED) setTimeout(listen, 5000);
    };
  };
  listen();
  window.addEventListener("pagehide", () => source.close());
  window.addEventListener("pageshow", (event) => { if (event.persisted) listen(); });
})();
