/* The little that pages do in the browser: menu on small screens, copying, the guard on searches, the live count. */
(() => {
  "use strict";
  const byId = (id) => document.getElementById(id);

  function menu() {
    const app = document.querySelector(".app");
    if (!app) return;
    const openers = document.querySelectorAll("[data-menu]");
    const show = (open) => {
      app.classList.toggle("menu-open", open);
      for (const opener of openers) opener.setAttribute("aria-expanded", String(open));
      if (open) document.querySelector(".menu a")?.focus();
    };
    for (const opener of openers) opener.addEventListener("click", () => show(!app.classList.contains("menu-open")));
    document.querySelector(".shade")?.addEventListener("click", () => show(false));
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && app.classList.contains("menu-open")) {
        show(false);
        document.querySelector(".top [data-menu]")?.focus();
      }
    });
    const account = document.querySelector(".me");
    document.addEventListener("click", (event) => {
      if (account?.open && !account.contains(event.target)) account.open = false;
    });
  }

  // a scrolling table must be reachable by keyboard; one that fits must not cost a stop
  function scrollers() {
    for (const box of document.querySelectorAll(".ui .in, .ui .scroll, .ui pre.json")) {
      const overflows = box.scrollWidth > box.clientWidth + 1 || (box.matches("pre") && box.scrollHeight > box.clientHeight + 1);
      if (overflows) {
        box.tabIndex = 0;
        box.setAttribute("role", "group");
        const title = box.closest(".card")?.querySelector("h2")?.textContent;
        if (!box.hasAttribute("aria-label")) box.setAttribute("aria-label", (title || "Table").trim());
      } else if (box.tabIndex === 0) {
        box.removeAttribute("tabindex");
      }
    }
  }

  function copying() {
    document.addEventListener("click", async (event) => {
      const button = event.target.closest("[data-copy]");
      if (!button) return;
      await navigator.clipboard.writeText(button.dataset.copy);
      const words = button.querySelector("span") || button;
      const before = words.textContent;
      words.textContent = "Copied";
      setTimeout(() => { words.textContent = before; }, 1600);
    });
  }

  // the search keeps its text in the address, so what looks like a person's address is not sent
  function searchGuard() {
    document.body.addEventListener("htmx:configRequest", (event) => {
      const text = String(event.detail.parameters.s || "");
      if (!text.includes("@") && !/\d{7,}/.test(text.replace(/[\s().+-]/g, ""))) return;
      event.preventDefault();
      const note = byId("command-results");
      if (note) note.textContent = "Look people up on the People page: there the address is not kept in the browser’s history.";
    });
  }

  // "Live · data up to …" stays true while the page is open
  function liveMark() {
    const mark = document.querySelector("[data-live]");
    if (!mark) return;
    setInterval(async () => {
      if (document.hidden) return;
      const answer = await fetch(mark.dataset.live, { headers: { Accept: "application/json" } }).catch(() => null);
      if (!answer?.ok) return;
      const { text, is_live: isLive } = await answer.json();
      mark.querySelector("[data-live-text]").textContent = text;
      const dot = mark.querySelector("[data-live-dot]");
      dot.className = isLive ? "live" : "stopped";
      dot.textContent = isLive ? "●" : "■";
    }, 15000);
  }

  // the newest calls of a source; a hidden or paused page asks for nothing
  function tail() {
    const place = document.querySelector("[data-tail]");
    if (!place) return;
    const state = document.querySelector("[data-tail-state]");
    const button = document.querySelector("[data-tail-pause]");
    const usual = state.textContent;
    let paused = false;
    let asking = false;
    let shown = "";
    const say = (words) => { if (state.textContent !== words) state.textContent = words; };
    const ask = async () => {
      if (paused || asking || document.hidden) return;
      asking = true;
      try {
        const answer = await fetch(place.dataset.tail, { redirect: "error" }).catch(() => null);
        const text = answer?.ok ? await answer.text().catch(() => null) : null;
        if (paused) return;
        say(text === null ? "No answer came. What stands here is older; reload the page if this stays." : usual);
        if (text !== null && text !== shown) {
          place.innerHTML = text;
          shown = text;
          scrollers();
        }
      } finally {
        asking = false;
      }
    };
    button.addEventListener("click", () => {
      paused = !paused;
      button.setAttribute("aria-pressed", String(paused));
      button.querySelector("span").textContent = paused ? "Go on" : "Pause";
      say(paused ? "Paused" : usual);
      ask();
    });
    setInterval(ask, 2000);
  }

  // live count of a rule while it is being written: waits 300 ms, cancels the count before
  function preview() {
    const form = document.querySelector("[data-preview]");
    if (!form) return;
    const field = form.querySelector("[name=definition]");
    const panel = byId("preview");
    let waiting = 0;
    let running = null;
    const count = async () => {
      running?.abort();
      running = new AbortController();
      const { signal } = running;
      const slow = setTimeout(() => panel.classList.add("counting"), 250);
      try {
        const body = new FormData();
        body.set("definition", field.value);
        body.set("csrfmiddlewaretoken", form.querySelector("[name=csrfmiddlewaretoken]").value);
        const ask = () => fetch(form.dataset.preview, { method: "POST", body, signal });
        panel.innerHTML = await (await ask()).text();
        const problem = panel.querySelector("[data-problem]");
        field.setAttribute("aria-invalid", String(Boolean(problem)));
        if (!panel.querySelector("[data-more]")) return;
        body.set("part", "full"); // rows and reach take longer than the count, so the count does not wait for them
        body.set("took_ms", panel.querySelector("[data-took]").dataset.took);
        panel.innerHTML = await (await ask()).text();
      } catch (error) {
        if (error.name !== "AbortError") panel.querySelector("[role=status]").textContent = "The count did not arrive. Change the rule or reload the page.";
      } finally {
        clearTimeout(slow);
        panel.classList.remove("counting");
      }
    };
    field.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(count, 300);
    });
    count();
  }

  // parts that cost a question are asked for when somebody opens them
  function onDemand() {
    const load = async (place, address) => {
      place.textContent = "Looking…";
      const answer = await fetch(address).catch(() => null);
      if (answer?.ok) place.innerHTML = await answer.text();
      else place.textContent = "No answer came. Close and open it to try again.";
    };
    for (const details of document.querySelectorAll("details[data-src]")) {
      details.addEventListener("toggle", () => {
        const place = details.querySelector("[aria-live]");
        if (details.open && !place.hasChildNodes()) load(place, details.dataset.src);
      });
    }
    for (const choice of document.querySelectorAll("select[data-why]")) {
      choice.addEventListener("change", () => {
        if (choice.value) load(byId(choice.dataset.why), choice.value);
      });
    }
  }

  function confirmations() {
    document.addEventListener("submit", (event) => {
      const words = event.target.dataset?.confirm;
      if (words && !window.confirm(words)) event.preventDefault();
    });
  }

  document.addEventListener("DOMContentLoaded", () => {
    menu();
    scrollers();
    copying();
    searchGuard();
    liveMark();
    tail();
    preview();
    confirmations();
    onDemand();
    addEventListener("resize", scrollers);
  });
})();
