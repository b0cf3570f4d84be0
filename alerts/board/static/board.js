// Keeps the page as it is on the server: the parts marked data-live are fetched anew when the server says that anything
// changed. And keeps what somebody writes until it was taken. Without this file every page works, and shows what it was
// when it was loaded.
"use strict";

(() => {
  const FIELDS = "textarea, select, input[type=text], input[type=url], input[type=radio], input[type=checkbox]";
  const FORMS = 'form[method="post"]';
  const page = document.body;
  const byId = (id) => document.getElementById(id);
  const stale = byId("stale");
  if (!stale) return;

  // A laptop's sleep counts: not every browser's steady clock runs on meanwhile.
  const clock = () => ({ steady: performance.now(), wall: Date.now() });
  const since = (then) => Math.max(performance.now() - then.steady, Date.now() - then.wall);

  /** Where this page is found by GET; what answered a form says it. */
  const address = () => {
    const its = new URL(page.dataset.address || location.href, location.href);
    its.searchParams.delete("said");
    return its;
  };
  const path = () => address().pathname + address().search;

  // ---- What is being written

  const fieldsOf = (form) => [...form.querySelectorAll(FIELDS)].filter((each) => each.name);
  const isTicked = (field) => field.type === "radio" || field.type === "checkbox";
  const isChanged = (field) => {
    if (isTicked(field)) return field.checked !== field.defaultChecked;
    if (field.tagName !== "SELECT") return field.value !== field.defaultValue;
    const usual = [...field.options].findIndex((each) => each.defaultSelected);
    return field.selectedIndex !== Math.max(usual, 0);
  };

  /** The server filled it in again, because it was refused, and nobody closed it since. */
  const isKept = (form) => "kept" in form.dataset && (form.closest("details")?.open ?? true);
  /** Nobody's word is taken out of their hands: a part with a form that somebody is at waits. */
  const isWritten = (part) => {
    const at = document.activeElement?.closest("form");
    return [...part.querySelectorAll(FORMS)].some((form) => isKept(form) || fieldsOf(form).some(isChanged)
      || (fieldsOf(form).length && (form === at || form.closest("details[open]"))));
  };

  // ---- What was written is there again where a form was refused, or its session was over

  const DAY_PART = 12 * 3600e3;
  const AGAIN = 15 * 60e3;
  const me = document.querySelector(".who span")?.textContent ?? "";
  const drafts = { who: me, last: "", kept: {} };
  const store = () => {
    try { sessionStorage.setItem("drafts", JSON.stringify(drafts)); } catch { /* It may be full, or forbidden. */ }
  };
  try {
    const found = JSON.parse(sessionStorage.getItem("drafts") ?? "{}");
    // What one person wrote is not shown to the next.
    if (me && found.who === me) Object.assign(drafts, found);
  } catch { /* As if there were none. */ }

  /** A form by its action and what it is about; its token is another after each log-in, and is never kept. */
  const keyOf = (form) => [form.getAttribute("action")]
    .concat([...form.querySelectorAll("input[type=hidden]")]
      .filter((each) => each.name !== "token").map((each) => `${each.name}=${each.value}`)).join(" ");
  const keep = (form) => {
    const fields = fieldsOf(form);
    if (!me || !fields.length) return;
    const values = fields.map((each) => [each.name, each.value, isTicked(each) ? each.checked : null]);
    drafts.kept[keyOf(form)] = { page: path(), values, until: Date.now() + DAY_PART };
  };
  const hint = (name) => byId(name).content.firstElementChild.cloneNode(true);
  const refill = (form, draft) => {
    for (const field of fieldsOf(form)) {
      const its = draft.values.find(([name, value]) => name === field.name && (!isTicked(field) || value === field.value));
      if (its && isTicked(field)) field.checked = its[2];
      else if (its) field.value = its[1];
    }
    for (let at = form.closest("details"); at; at = at.parentElement.closest("details")) at.open = true;
    form.querySelectorAll("details").forEach((each) => { each.open ||= fieldsOf(each).some(isChanged); });
    if (!("kept" in form.dataset)) form.prepend(hint("kept"));
    draft.until = Math.min(draft.until, Date.now() + AGAIN);
  };

  const bringBack = () => {
    if (!me) return;
    const told = byId("told");
    const answers = location.pathname === drafts.last.split(" ")[0];
    if (!told?.classList.contains("wrong") && (told || answers)) delete drafts.kept[drafts.last];
    drafts.last = "";
    for (const [key, draft] of Object.entries(drafts.kept)) if (draft.until < Date.now()) delete drafts.kept[key];
    let found = false;
    document.querySelectorAll(FORMS).forEach((form) => {
      const draft = drafts.kept[keyOf(form)];
      if (draft) { refill(form, draft); found = true; }
    });
    const elsewhere = Object.values(drafts.kept).find((each) => !each.offered && each.page !== path());
    if (!found && elsewhere) {
      const offer = hint("kept-elsewhere");
      offer.querySelector("a").href = elsewhere.page;
      byId("main").prepend(offer);
      elsewhere.offered = true;
    }
    store();
  };
  bringBack();
  document.addEventListener("submit", ({ target: form }) => {
    if (!form.matches(FORMS)) return;
    if (form.getAttribute("action") === "/logout") { sessionStorage.removeItem("drafts"); return; }
    keep(form);
    drafts.last = keyOf(form);
    store();
  });

  // ---- The foot's other language: of this page as it is, with what was asked for

  document.querySelectorAll(".foot a[hreflang]").forEach((link) => {
    const its = address();
    its.searchParams.set("lang", link.hreflang);
    link.href = its.pathname + its.search;
  });

  // ---- A press: nothing is moved from under it

  const AFTER_MS = 300;
  const POINTED_MS = 5000;
  const MOVED_MS = 600;
  let down = null;
  let up = -Infinity;
  let over = null;
  let tops = new Map();
  let moved = -Infinity;
  const pointed = new Map();
  const press = () => { down ??= performance.now(); };
  const release = () => { if (down !== null) { down = null; up = performance.now(); } };
  const isPressing = () =>
    (down !== null && performance.now() - down < POINTED_MS) || performance.now() - up < AFTER_MS;
  const listenTo = (names, what) => names.forEach((name) => document.addEventListener(name, what, { capture: true }));
  listenTo(["pointerdown"], press);
  listenTo(["keydown"], ({ key, target }) => {
    if ((key === "Enter" || key === " ") && target.matches?.("button, summary, a, [type=checkbox], [type=radio]")) press();
  });
  listenTo(["pointerup", "pointercancel", "keyup", "click"], release);
  listenTo(["pointerover"], (event) => { over = event.pointerType === "touch" ? null : event.target; });
  document.documentElement.addEventListener("pointerleave", () => { over = null; });
  window.addEventListener("blur", release);

  /** A list of things to press keeps its order while a pointer is over it, but not for ever. */
  const isPointedAt = (part) => {
    if (!over || !part.contains(over) || !part.querySelector(FORMS)) { pointed.delete(part.id); return false; }
    if (!pointed.has(part.id)) pointed.set(part.id, performance.now());
    if (performance.now() - pointed.get(part.id) < POINTED_MS) return true;
    pointed.delete(part.id);
    return false;
  };
  const rows = () => [...document.querySelectorAll(".alert[id]")];
  const topOf = (row) => row.getBoundingClientRect().top;
  // A press that was meant for the row that was there a moment ago.
  document.addEventListener("click", (event) => {
    const row = event.target.closest?.(".alert[id]");
    if (!event.detail || !row || performance.now() - moved > MOVED_MS) return;
    if (Math.abs((tops.get(row.id) ?? Infinity) - topOf(row)) < row.offsetHeight / 2) return;
    event.preventDefault();
    event.stopPropagation();
  }, { capture: true });

  // ---- Parts are replaced

  const main = byId("main");
  const news = byId("news");
  const waits = byId("waits");
  const banner = () => byId("banner");
  const isOwn = document.querySelectorAll("[data-live]").length > 1;
  let said = document.querySelector("[data-news]")?.dataset.news;
  let fresh = null;
  let timer = 0;

  /** As the server sent it: without what was opened here. */
  const plain = (part) => {
    const copy = part.cloneNode(true);
    copy.querySelectorAll("details").forEach((each) => { each.removeAttribute("open"); });
    return copy.outerHTML;
  };

  const replace = (old, its) => {
    const open = new Set([...old.querySelectorAll("details[open]")].map((each) => each.id));
    const focused = document.activeElement && old.contains(document.activeElement) ? document.activeElement : null;
    const mark = focused && (focused.getAttribute("href") || focused.closest("[id]")?.id);
    its.querySelectorAll("details").forEach((each) => { each.open = open.has(each.id); });
    old.replaceWith(its);
    if (!mark) return;
    const found = focused.getAttribute("href")
      ? its.querySelector(`[href="${CSS.escape(mark)}"]`)
      : byId(mark)?.querySelector(focused.tagName.toLowerCase());
    found?.focus({ preventScroll: true });
  };

  const apply = () => {
    clearTimeout(timer);
    if (!fresh) return;
    if (isPressing()) { timer = setTimeout(apply, 100); return; }
    const before = new Map(rows().map((row) => [row.id, topOf(row)]));
    let later = false, writing = false, changed = false;
    document.querySelectorAll("[data-live]").forEach((old) => {
      const its = fresh.getElementById(old.id);
      if (!its || plain(its) === plain(old)) return;
      if (isWritten(old)) { later = writing = true; return; }
      if (isPointedAt(old)) { later = true; return; }
      changed = true;
      replace(old, document.adoptNode(its));
    });
    if (changed && rows().some((row) => before.get(row.id) !== topOf(row))) {
      tops = before;
      moved = performance.now();
    }
    if (waits) waits.hidden = !writing;
    if (isOwn) document.title = fresh.title;
    const words = document.querySelector("[data-news]")?.dataset.news;
    if (words !== said) { said = words; news.textContent = words; }
    if (later) timer = setTimeout(apply, 250);
  };

  // ---- How old the page is

  let lost = false;
  let isOver = false;
  let source;
  let newest = banner()?.dataset.asOf;
  let newestAt = clock();
  let fetching = false;
  let again = false;

  const isLate = () => {
    const late = Number(banner()?.dataset.late);
    return late > 0 && since(newestAt) > late * 1000;
  };
  const tell = () => {
    if (isOver) return;
    const time = document.querySelector("#banner .as-of")?.dataset.time;
    const { text, late, lost: without } = stale.dataset;
    const words = ((lost ? (time ? text : without) : late) ?? "").replace("@@", () => time ?? "");
    if (stale.textContent !== words) stale.textContent = words;
    stale.hidden = !lost && !isLate();
  };

  /** The session is over: what people wrote is not left on the screen, what was not sent yet is kept. */
  const logOut = () => {
    document.querySelectorAll(FORMS).forEach((form) => { if (fieldsOf(form).some(isChanged)) keep(form); });
    store();
    isOver = true;
    clearTimeout(timer);
    source?.close();
    const text = byId("logged-out").content.cloneNode(true);
    const heading = document.createElement("h1");
    heading.textContent = byId("logged-out").dataset.title;
    text.prepend(heading);
    text.querySelector("a").href = `/login?next=${encodeURIComponent(path())}`;
    document.title = news.textContent = heading.textContent;
    main.replaceChildren(text);
    banner().hidden = document.querySelector("nav").hidden = stale.hidden = waits.hidden = true;
    main.focus();
  };

  const refresh = async () => {
    if (isOver) return;
    if (fetching) { again = true; return; }
    fetching = true;
    try {
      // A page of which only the head is live asks for one that holds nobody's words.
      const asked = isOwn || "reload" in page.dataset ? address() : "/accessibility";
      const signal = AbortSignal.timeout?.(20_000);
      const answer = await fetch(asked, { headers: { "X-Live": "1" }, cache: "no-store", signal });
      if ("reload" in page.dataset) {
        if (answer.ok || answer.status === 401) location.replace(address());
        lost = false;
        return;
      }
      if (answer.status === 401 || answer.redirected) { logOut(); return; }
      // What it shows was removed: nothing of it is left on the screen.
      if (answer.status === 404 && isOwn) { location.replace(address()); return; }
      if (!answer.ok) throw new Error(String(answer.status));
      fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const asOf = fresh.getElementById("banner")?.dataset.asOf;
      if (asOf === undefined || asOf !== newest) { newest = asOf; newestAt = clock(); }
      lost = false;
      apply();
    } catch {
      lost = true;
    } finally {
      fetching = false;
      tell();
      if (again) { again = false; refresh(); }
    }
  };

  // ---- When to look: when the server says so, and by itself where it takes nobody more

  const listen = () => {
    const its = source = new EventSource("/events");
    its.addEventListener("changed", refresh);
    its.onerror = async () => {
      await refresh();
      if (its === source && its.readyState === EventSource.CLOSED && !isOver) {
        source = null;
        setTimeout(() => { if (!source) listen(); }, lost ? 5000 : 15000);
      }
    };
  };
  listen();
  setInterval(tell, 5000);
  window.addEventListener("pagehide", () => source?.close());
  window.addEventListener("pageshow", (event) => { if (event.persisted && !isOver) listen(); });
})();
